//! Errors that point: file, line, column, the line itself, a caret and a remedy, in plain ASCII for serial consoles.

use std::fmt;

/// Most characters of a source line that are shown.
const WIDEST_EXCERPT: usize = 100;
/// Characters kept before the caret when a line is cut.
const BEFORE_CARET: usize = 40;
/// Most characters of a message, a remedy or a label.
const LONGEST_TEXT: usize = 400;
/// Most errors that are shown of one text.
const MOST_SHOWN: usize = 20;

/// One error in one text. [`crate::Span::error`] makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    label: String,
    line: usize,
    column: usize,
    excerpt: String,
    caret: std::ops::Range<usize>,
    message: String,
    help: String,
}

impl Diagnostic {
    /// Takes (label, line, column), (line of text, first and last byte in it) and (message, help).
    pub(crate) fn new(
        at: (&str, usize, usize),
        text: (&str, usize, usize),
        says: (&str, &str),
    ) -> Diagnostic {
        let (excerpt, caret) = excerpt(text.0, text.1, text.2);
        let (message, help) = (plain(says.0), plain(says.1));
        Diagnostic { label: plain(at.0), line: at.1, column: at.2, excerpt, caret, message, help }
    }

    /// What is wrong, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do, in one line; empty when there is nothing to say.
    pub fn help(&self) -> &str {
        &self.help
    }

    /// Line and column, both from 1.
    pub fn position(&self) -> (usize, usize) {
        (self.line, self.column)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: error: {}", self.label, self.line, self.column, self.message)?;
        if !self.excerpt.is_empty() {
            let (indent, carets) = (" ".repeat(self.caret.start), "^".repeat(self.caret.len()));
            write!(f, "\n    {}\n    {indent}{carets}", self.excerpt)?;
        }
        if !self.help.is_empty() {
            write!(f, "\nhelp: {}", self.help)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostic {}

/// All errors that one reading found, in the order of the text. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Sorts the errors of one text by position. `first` makes sure that there is one.
    pub fn new(first: Diagnostic, rest: impl IntoIterator<Item = Diagnostic>) -> Diagnostics {
        let mut all: Vec<Diagnostic> = std::iter::once(first).chain(rest).collect();
        all.sort_by(|a, b| (&a.label, a.position()).cmp(&(&b.label, b.position())));
        all.dedup();
        Diagnostics(all)
    }

    /// `Ok(value)` when no error was found and there is a value.
    pub fn unless(errors: Vec<Diagnostic>) -> Result<(), Diagnostics> {
        let mut errors = errors.into_iter();
        errors.next().map_or(Ok(()), |first| Err(Diagnostics::new(first, errors)))
    }

    /// The errors, by position.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(one: Diagnostic) -> Diagnostics {
        Diagnostics(vec![one])
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().take(MOST_SHOWN).enumerate() {
            write!(f, "{}{diagnostic}", if index == 0 { "" } else { "\n" })?;
        }
        match self.0.len().saturating_sub(MOST_SHOWN) {
            0 => Ok(()),
            1 => f.write_str("\n... and 1 more error"),
            more => write!(f, "\n... and {more} more errors"),
        }
    }
}

impl std::error::Error for Diagnostics {}

/// Shows a character on any console: printable ASCII as it is, the rest escaped.
fn push_plain(out: &mut String, c: char) {
    match c {
        ' '..='~' => out.push(c),
        '\t' => out.push(' '),
        _ => out.extend(c.escape_default()),
    }
}

/// A text of at most [`LONGEST_TEXT`] characters in printable ASCII.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if out.len() >= LONGEST_TEXT {
            out.push_str("...");
            break;
        }
        push_plain(&mut out, c);
    }
    out
}

/// The part of `line` around the bytes `start..end`, and where the caret stands under it.
fn excerpt(line: &str, start: usize, end: usize) -> (String, std::ops::Range<usize>) {
    let mut before = String::new();
    let from = line[..start.min(line.len())].char_indices().rev().nth(BEFORE_CARET).map(|(at, _)| at);
    if from.is_some() && line.len() > WIDEST_EXCERPT {
        before.push_str("...");
    }
    let from = if before.is_empty() { 0 } else { from.unwrap_or(0) };
    let mut text = before;
    let (mut caret_start, mut caret_end) = (None, None);
    for (at, c) in line[from..].char_indices().map(|(at, c)| (from + at, c)) {
        if text.len() >= WIDEST_EXCERPT {
            text.push_str("...");
            break;
        }
        if at == start {
            caret_start = Some(text.len());
        }
        if at == end {
            caret_end = Some(text.len());
        }
        push_plain(&mut text, c);
    }
    let caret_start = caret_start.unwrap_or(text.len());
    let caret_end = caret_end.unwrap_or(text.len()).max(caret_start + 1);
    (text, caret_start..caret_end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Source, Span};

    fn shown(text: &str, word: &str) -> String {
        let start = text.find(word).expect("the word is in the text");
        Span::new(&Source::new("web.kdl", text.into()), start, start + word.len())
            .error("bad word", "drop it")
            .to_string()
    }

    #[test]
    fn points_at_the_word() {
        assert_eq!(
            shown("one\n  two three\r\n", "three"),
            "web.kdl:2:7: error: bad word\n      two three\n          ^^^^^\nhelp: drop it"
        );
    }

    #[test]
    fn shows_every_character_in_ascii_and_keeps_the_caret_in_place() {
        assert_eq!(
            shown("\t\"\u{e9}\u{1b}[31m\" bad", "bad"),
            "web.kdl:1:11: error: bad word\n     \"\\u{e9}\\u{1b}[31m\" bad\n                        ^^^\nhelp: drop it"
        );
    }

    #[test]
    fn cuts_a_long_line_around_the_caret() {
        let text = format!("{}BAD{}", "a".repeat(5000), "b".repeat(5000));
        let shown = shown(&text, "BAD");
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "web.kdl:1:5001: error: bad word");
        assert!(
            lines[1].starts_with("    ...aaa") && lines[1].ends_with("bbb...") && lines[1].len() < 115,
            "{shown}"
        );
        let caret = lines[2].find('^').expect("a caret");
        assert_eq!(&lines[1][caret..caret + 3], "BAD");
    }

    #[test]
    fn sorts_by_position_and_counts_what_it_does_not_show() {
        let source = Source::new("x", "a\n".repeat(50));
        let errors: Vec<Diagnostic> =
            (0..30).rev().map(|line| Span::new(&source, line * 2, line * 2 + 1).error("e", "")).collect();
        let all = Diagnostics::unless(errors).expect_err("thirty errors").to_string();
        assert!(all.starts_with("x:1:1: error: e\n    a\n    ^\nx:2:1: "), "{all}");
        assert!(all.ends_with("\n... and 10 more errors"), "{all}");
    }
}
