//! A text with its label, and places in it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::Diagnostic;

/// A text that is being read, with the label that names it in messages (a path, most often).
#[derive(Debug)]
pub struct Source {
    label: String,
    text: String,
}

impl Source {
    /// Joins a label and a text.
    pub fn new(label: &str, text: String) -> Arc<Source> {
        Arc::new(Source { label: label.to_owned(), text })
    }

    /// The name of the text in messages.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// A stretch of a [`Source`]: what a caret points at.
#[derive(Clone)]
pub struct Span {
    source: Arc<Source>,
    start: usize,
    end: usize,
}

impl Span {
    /// The bytes from `start` to `end`; both are moved into the text and onto character borders.
    pub fn new(source: &Arc<Source>, start: usize, end: usize) -> Span {
        let start = source.text.floor_char_boundary(start);
        let end = source.text.ceil_char_boundary(end).max(start);
        Span { source: Arc::clone(source), start, end }
    }

    /// An error here; `help` is the remedy, one sentence, empty when there is none.
    pub fn error(&self, message: impl Into<String>, help: impl Into<String>) -> Diagnostic {
        let line = self.line_start();
        let text = &self.source.text[line..];
        let text = text.split('\n').next().unwrap_or_default().trim_end_matches('\r');
        Diagnostic::new(
            (&self.source.label, self.line(), self.column()),
            (text, self.start - line, self.end - line),
            (&message.into(), &help.into()),
        )
    }

    /// The bytes of the text.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// The label of the text.
    pub fn label(&self) -> &str {
        &self.source.label
    }

    /// The number of the line, from 1.
    pub fn line(&self) -> usize {
        1 + self.source.text[..self.start].matches('\n').count()
    }

    /// The number of the character in its line, from 1.
    pub fn column(&self) -> usize {
        1 + self.source.text[self.line_start()..self.start].chars().count()
    }

    fn line_start(&self) -> usize {
        self.source.text[..self.start].rfind('\n').map_or(0, |newline| newline + 1)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.source.label, self.line(), self.column())
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
