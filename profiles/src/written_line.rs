//! A line of KDL as this program writes it, taken apart without the parser. The reading may be careless: its result counts only when
//! writing it gives the same text again.

use crate::Digest;

/// What is left of a line. Its properties come in one order only.
#[derive(Debug, Clone, Copy)]
pub struct Rest<'a>(pub &'a str);

impl<'a> Rest<'a> {
    /// The text behind `before`, up to the next quote. One with escapes comes out wrong, and is not written back alike.
    pub fn text(&mut self, before: &str) -> Option<&'a str> {
        let (text, rest) = self.0.strip_prefix(before)?.split_once('"')?;
        self.0 = rest;
        Some(text)
    }

    /// A digest behind `before`, up to the next quote.
    pub fn digest(&mut self, before: &str) -> Option<Digest> {
        Digest::parse(self.text(before)?).ok()
    }

    /// A number behind `before`, up to the next blank or the end.
    pub fn number(&mut self, before: &str) -> Option<u64> {
        let rest = self.0.strip_prefix(before)?;
        let (number, rest) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
        self.0 = rest;
        number.parse().ok()
    }
}
