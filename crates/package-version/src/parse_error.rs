//! What is wrong with the text of a version or a constraint, and where.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use crate::scheme::Scheme;

/// What is wrong, before it is known in which text.
#[derive(Debug)]
pub(crate) struct Fault {
    at: usize,
    cause: Cow<'static, str>,
    remedy: Cow<'static, str>,
}

impl Fault {
    pub(crate) fn new(
        at: usize,
        cause: impl Into<Cow<'static, str>>,
        remedy: impl Into<Cow<'static, str>>,
    ) -> Fault {
        Fault { at, cause: cause.into(), remedy: remedy.into() }
    }

    pub(crate) fn in_version(self, text: &str, scheme: Scheme) -> ParseError {
        self.in_text("version", text, scheme)
    }

    pub(crate) fn in_constraint(self, text: &str, scheme: Scheme) -> ParseError {
        self.in_text("constraint", text, scheme)
    }

    fn in_text(self, what: &'static str, text: &str, scheme: Scheme) -> ParseError {
        let Fault { at, cause, remedy } = self;
        ParseError { what, text: shortened(text), scheme, at, cause, remedy }
    }
}

/// The text is no version, or no constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    what: &'static str,
    text: String,
    scheme: Scheme,
    at: usize,
    cause: Cow<'static, str>,
    remedy: Cow<'static, str>,
}

impl ParseError {
    /// Where in the text it is, in bytes from 0; the length of the text when something is missing at its end.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// What is wrong, as a sentence without the text and the place.
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// What to write.
    pub fn remedy(&self) -> &str {
        &self.remedy
    }

    /// The scheme by which it was read.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The same of a longer text, in which this one, or the beginning of it, stands from byte `start` to `end`.
    pub(crate) fn moved(self, start: usize, end: usize) -> Fault {
        Fault { at: end.min(start + self.at), cause: self.cause, remedy: self.remedy }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ParseError { what, text, scheme, at, cause, .. } = self;
        write!(f, "'{text}' is no {what} of the scheme {scheme}: {cause} (at byte {at})")
    }
}

impl Error for ParseError {}

/// A character as a message shows it: what a terminal would obey is escaped.
pub(crate) fn shown(character: char) -> String {
    format!("'{}'", character.escape_debug())
}

/// A text of any length as a message shows it.
fn shortened(text: &str) -> String {
    const MOST_SHOWN: usize = 64;
    let mut shown: String = text.chars().take(MOST_SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
