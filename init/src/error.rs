//! What the recovery screen shows: which step, which object, why, what was seen, what to try.

use std::fmt;

use crate::paths;

/// Why something could not be done, before it is known which step it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Failure {
    /// The cause; may have several lines (a rendered profile error has).
    pub why: String,
    /// What was there instead: devices, profiles, files.
    pub seen: Vec<String>,
    /// What to try, most promising first.
    pub remedies: Vec<String>,
}

impl Failure {
    /// A cause without more.
    pub fn new(why: impl fmt::Display) -> Self {
        Self { why: why.to_string(), ..Self::default() }
    }

    /// Adds one thing to try.
    pub fn try_this(mut self, remedy: impl Into<String>) -> Self {
        self.remedies.push(remedy.into());
        self
    }

    /// Adds things that were seen.
    pub fn having_seen(mut self, seen: impl IntoIterator<Item = String>) -> Self {
        self.seen.extend(seen);
        self
    }

    /// The failure as that of a step on an object.
    pub fn at(self, step: &'static str, object: impl fmt::Display) -> BootError {
        BootError {
            step,
            object: object.to_string(),
            failure: Box::new(self),
            also: Vec::new(),
            suspects: Vec::new(),
        }
    }
}

impl From<stack::Error> for Failure {
    fn from(error: stack::Error) -> Self {
        let failure = Self::new(format!("cannot {} {}: {}", error.action, error.object, error.why()));
        match error.remedy {
            Some(remedy) => failure.try_this(remedy),
            None => failure,
        }
    }
}

/// Rows of the cause on the screen, two errors in a profile: the step, at the top, must not scroll away.
const MOST_WHY: usize = 12;
/// Rows of each of the other lists on the screen.
const MOST_OTHERS: usize = 6;
/// What the names of the fields leave of 80 columns.
const COLUMNS: usize = 69;

/// A boot that stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootError {
    /// The step, by the names of `docs/boot.md`.
    pub step: &'static str,
    /// The image, device, file or parameter.
    pub object: String,
    /// The rest; in a box, because it is large and every step's result has room for it.
    pub failure: Box<Failure>,
    /// One line for each other object that failed in the same stage.
    pub also: Vec<String>,
    /// Layers that may be at fault, most likely first.
    pub suspects: Vec<String>,
}

impl fmt::Display for BootError {
    /// The body of the recovery screen, without a trailing newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = |name: &str, texts: &[String], most: usize| -> String {
            let mut lines: Vec<String> = texts.iter().flat_map(|text| text.lines()).map(printable).collect();
            let shown = fitting(&lines, most);
            // One line more is not worth a line that says so.
            if lines.len() > shown + 1 {
                let more = format!("... and {} more, in {}", lines.len() - shown, paths::REPORT);
                lines.splice(shown.., [more]);
            }
            let heads = std::iter::once(name).chain(std::iter::repeat(""));
            let line = |(line, head): (String, _)| format!("\n  {head:<8} {line}").trim_end().to_owned();
            lines.into_iter().zip(heads).map(line).collect()
        };
        write!(f, "  {:<8} {}", "step:", self.step)?;
        f.write_str(&field("object:", std::slice::from_ref(&self.object), 1))?;
        f.write_str(&field("why:", std::slice::from_ref(&self.failure.why), MOST_WHY))?;
        f.write_str(&field("also:", &self.also, MOST_OTHERS))?;
        f.write_str(&field("suspect:", &self.suspects, MOST_OTHERS))?;
        f.write_str(&field("seen:", &self.failure.seen, MOST_OTHERS))?;
        f.write_str(&field("try:", &self.failure.remedies, MOST_OTHERS))
    }
}

/// How many of the lines fit into so many rows of a terminal of 80 columns; at least one.
fn fitting(lines: &[String], rows: usize) -> usize {
    let ends = lines.iter().scan(0, |end, line| {
        *end += line.chars().count().max(1).div_ceil(COLUMNS);
        Some(*end)
    });
    ends.take_while(|end| *end <= rows).count().max(1)
}

/// The line without what could move the cursor: labels and file names come from outside.
fn printable(line: &str) -> String {
    let shown = |character: char| match character {
        '\t' => " ".to_owned(),
        character if character.is_control() => character.escape_default().to_string(),
        character => character.to_string(),
    };
    line.chars().map(shown).collect()
}

impl std::error::Error for BootError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_broken_images_fit_on_the_screen_and_cannot_move_the_cursor() {
        let mut error =
            Failure::new("gone\u{1b}[2J").having_seen((0..100).map(|_| "vda".into())).at("s", "o");
        error.also = (0..99).map(|number| format!("image {number}")).collect();
        let screen = error.to_string();
        assert!(screen.lines().count() < 20, "{screen}");
        assert!(
            screen.contains("image 5\n           ... and 93 more, in /run/lamina/report.json"),
            "{screen}"
        );
        assert!(screen.contains(r"gone\u{1b}[2J"), "{screen}");
        error.also.truncate(7);
        assert!(error.to_string().contains("image 6"));
        error.also = vec!["two rows ".repeat(10); 9];
        assert!(error.to_string().contains("... and 6 more"), "{error}");
    }

    #[test]
    fn the_screen_is_aligned_and_leaves_out_what_is_empty() {
        let failure = Failure::new("line one\nline two")
            .having_seen(["vda (swap)".into(), "vdb".into()])
            .try_this("plug it in");
        let expected = "  step:    find the store
  object:  LABEL=x
  why:     line one
           line two
  seen:    vda (swap)
           vdb
  try:     plug it in";
        assert_eq!(failure.at("find the store", "LABEL=x").to_string(), expected);
    }
}
