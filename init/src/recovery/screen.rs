//! The screen, laid out so that all of it fits: the step, at the top, must not scroll away.

use std::fmt;

use super::context::Context;
use crate::error::BootError;
use crate::paths;
use crate::step_name::StepName;

/// Rows around the fields: an empty one, two rules, the title and an empty one below it.
const FRAME: usize = 5;
/// What comes before the text of a field.
const HEAD: usize = 11;
/// A single line may take so many rows; a label of 4096 characters has no right to the whole screen.
const MOST_ROWS_A_LINE: usize = 4;
const BOLD_RED: &str = "\x1b[1;31m";
const PLAIN: &str = "\x1b[0m";

/// Rows and columns of characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScreenSize {
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
}

impl ScreenSize {
    /// That of a terminal that does not tell: what a PC's text mode has.
    pub const ASSUMED: Self = Self { rows: 25, columns: 80 };

    /// What fits on both.
    pub fn smaller(self, other: Self) -> Self {
        Self { rows: self.rows.min(other.rows), columns: self.columns.min(other.columns) }
    }
}

/// The whole screen, for terminals of this size with `below` rows left for the menu.
pub fn text(
    error: &BootError,
    context: &Context,
    kernel: &[String],
    size: ScreenSize,
    below: usize,
) -> String {
    let title = if error.step == StepName::Rescue {
        "stopped for rescue"
    } else {
        "this system could not be started"
    };
    let rule = "-".repeat(size.columns.saturating_sub(8).clamp(20, 72));
    let body = body(fields(error, context, kernel), size, FRAME + below);
    format!("\n{rule}\n{BOLD_RED}lamina: {title}{PLAIN}\n\n{body}\n{rule}\n")
}

impl fmt::Display for BootError {
    /// The body of the screen as a terminal of unknown size would have it, without a trailing newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&body(fields(self, &Context::default(), &[]), ScreenSize::ASSUMED, FRAME + 2))
    }
}

/// How much of the screen a line of a field may take.
#[derive(Clone, Copy)]
struct Room {
    columns: usize,
    /// A longer line is cut.
    rows: usize,
}

/// One field: its name, its lines, and how many of them are shown.
struct Field {
    name: &'static str,
    lines: Vec<String>,
    shown: usize,
    /// The last lines are those that matter, as in a log.
    newest_last: bool,
}

fn fields(error: &BootError, context: &Context, kernel: &[String]) -> Vec<Field> {
    let BootError { step, object, failure, also, suspects } = error;
    let one = |text: &str| vec![text.to_owned()];
    let mut seen = failure.seen.clone();
    seen.extend(context.devices.iter().filter(|device| !failure.seen.contains(device)).cloned());
    let mut fields = Vec::new();
    for (name, texts) in [
        ("step:", one(step.as_str())),
        ("object:", one(object)),
        ("why:", one(&failure.why)),
        ("also:", also.clone()),
        ("suspect:", suspects.clone()),
        ("before:", context.attempts.clone()),
        ("seen:", seen),
        ("try:", failure.remedies.clone()),
        ("kernel:", kernel.to_vec()),
    ] {
        let lines: Vec<String> = texts.iter().flat_map(|text| text.lines()).map(printable).collect();
        fields.push(Field { name, shown: lines.len(), lines, newest_last: name == "kernel:" });
    }
    fields.retain(|field| !field.lines.is_empty());
    fields
}

impl Field {
    /// Rows that it takes, with the line that says how many are missing.
    fn rows(&self, room: Room) -> usize {
        let rows = |line: &String| line.chars().count().div_ceil(room.columns).clamp(1, room.rows);
        self.visible().iter().map(rows).sum::<usize>() + usize::from(self.says_more())
    }

    fn says_more(&self) -> bool {
        self.shown < self.lines.len() && !self.newest_last
    }

    fn visible(&self) -> &[String] {
        if self.newest_last {
            &self.lines[self.lines.len() - self.shown..]
        } else {
            &self.lines[..self.shown]
        }
    }

    /// Shows less. One line more is not worth a line that says so.
    fn shrink(&mut self) {
        self.shown -= if self.shown == self.lines.len() && !self.newest_last { 2 } else { 1 };
    }

    fn can_shrink(&self) -> bool {
        self.shown > if self.shown == self.lines.len() && !self.newest_last { 2 } else { 1 }
    }
}

/// The fields, with `taken` rows of the terminal for what is around them.
fn body(mut fields: Vec<Field>, size: ScreenSize, taken: usize) -> String {
    let rows = size.rows.saturating_sub(taken);
    let mut room = Room { columns: size.columns.saturating_sub(HEAD).clamp(20, 500), rows: MOST_ROWS_A_LINE };
    // First fewer lines, then shorter ones.
    while !fit(&mut fields, rows, room) && room.rows > 1 {
        room.rows -= 1;
    }
    written(&fields, room)
}

/// Takes lines from the largest field, of equals from the lowest, until all fit; false when they do not.
fn fit(fields: &mut [Field], rows: usize, room: Room) -> bool {
    while fields.iter().map(|field| field.rows(room)).sum::<usize>() > rows {
        let shrinkable = fields.iter_mut().filter(|field| field.can_shrink());
        match shrinkable.max_by_key(|field| field.rows(room)) {
            Some(field) => field.shrink(),
            None => return false,
        }
    }
    true
}

fn written(fields: &[Field], room: Room) -> String {
    let mut text = String::new();
    for field in fields {
        let mut lines: Vec<String> = field.visible().iter().map(|line| cut(line, room)).collect();
        if field.says_more() {
            lines.push(format!("... and {} more, in {}", field.lines.len() - field.shown, paths::REPORT));
        }
        let heads = std::iter::once(field.name).chain(std::iter::repeat(""));
        for (line, head) in lines.iter().zip(heads) {
            text += format!("  {head:<8} {line}").trim_end();
            text.push('\n');
        }
    }
    text.truncate(text.trim_end().len());
    text
}

/// The line, in as many rows as there is room for.
fn cut(line: &str, room: Room) -> String {
    let most = room.columns * room.rows;
    if line.chars().count() <= most {
        return line.to_owned();
    }
    line.chars().take(most - 3).chain("...".chars()).collect()
}

/// The line without what could move the cursor: labels and file names come from outside.
pub fn printable(line: &str) -> String {
    running::text::clean(&line.replace('\t', " "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Failure;

    /// Rows of the text on a terminal of so many columns.
    fn height(text: &str, columns: usize) -> usize {
        text.lines().map(|line| line.chars().count().div_ceil(columns).max(1)).sum()
    }

    fn crowded() -> (BootError, Context, Vec<String>) {
        let mut error = Failure::new("line of a profile\n".repeat(20))
            .having_seen((0..100).map(|number| format!("/dev/vd{number}")))
            .try_this("first")
            .at(StepName::OpenImage, "o".repeat(5000));
        error.also = (0..99).map(|number| format!("image {number}: {}", "long ".repeat(30))).collect();
        error.suspects = vec!["busybox".into()];
        let context = Context {
            attempts: vec!["web 7: gone".into(), "web 6: gone too".into()],
            devices: vec!["/dev/vd1".into(), "/dev/sr0 (nothing known)".into()],
            ..Context::default()
        };
        (error, context, (0..5).map(|number| format!("kernel {number}")).collect())
    }

    #[test]
    fn whatever_is_to_be_said_the_step_stays_on_the_screen() {
        let (error, context, kernel) = crowded();
        for size in [
            ScreenSize::ASSUMED,
            ScreenSize { rows: 48, columns: 128 },
            ScreenSize { rows: 30, columns: 100 },
        ] {
            let text = text(&error, &context, &kernel, size, 3);
            assert!(height(&text, size.columns) + 3 <= size.rows, "{size:?}\n{text}");
            for part in ["open image", "image 0", "busybox", "web 7", "/dev/vd0", "first", "kernel 4"] {
                assert!(text.contains(part), "{part} is not in\n{text}");
            }
        }
    }

    #[test]
    fn a_larger_terminal_shows_more() {
        let (error, context, kernel) = crowded();
        let shown =
            |rows| text(&error, &context, &kernel, ScreenSize { rows, columns: 80 }, 3).lines().count();
        assert!(shown(60) > shown(30));
    }

    #[test]
    fn an_absurd_size_is_survived() {
        let (error, context, kernel) = crowded();
        for (rows, columns) in [(0, 0), (1, 1), (5, 10), (usize::MAX, usize::MAX)] {
            let text = text(&error, &context, &kernel, ScreenSize { rows, columns }, 3);
            assert!(text.contains("open image"), "{rows} {columns}");
        }
    }

    #[test]
    fn names_from_outside_cannot_move_the_cursor() {
        let error = Failure::new("gone\u{1b}[2J\tthere").at(StepName::Mount, "o");
        assert!(error.to_string().contains(r"gone\u{1b}[2J there"), "{error}");
    }

    #[test]
    fn one_line_more_is_shown_and_not_counted() {
        let mut error = Failure::new("gone").at(StepName::Mount, "o");
        error.also = (0..15).map(|number| format!("image {number}")).collect();
        assert!(error.to_string().contains("image 14"), "{error}");
        error.also = (0..99).map(|number| format!("image {number}")).collect();
        let screen = error.to_string();
        assert!(
            screen.contains("image 13\n           ... and 85 more, in /run/lamina/report.json"),
            "{screen}"
        );
    }

    #[test]
    fn the_screen_is_aligned_and_leaves_out_what_is_empty() {
        let mut error = Failure::new("line one\nline two")
            .having_seen(["vda (swap)".into(), "vdb".into()])
            .try_this("plug it in")
            .at(StepName::FindStore, "LABEL=x");
        error.suspects = vec!["busybox".into()];
        let kernel = ["squashfs: bad".to_owned(), "I/O error".to_owned()];
        let rule = "-".repeat(72);
        let expected = format!(
            "\n{rule}\n{BOLD_RED}lamina: this system could not be started{PLAIN}\n
  step:    find the store
  object:  LABEL=x
  why:     line one
           line two
  suspect: busybox
  seen:    vda (swap)
           vdb
  try:     plug it in
  kernel:  squashfs: bad
           I/O error\n{rule}\n"
        );
        assert_eq!(text(&error, &Context::default(), &kernel, ScreenSize::ASSUMED, 2), expected);
    }
}
