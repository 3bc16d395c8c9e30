//! The error of this crate is [`fault::Error`]; here are the ways in which it meets texts with lines and columns.

pub use fault::{Error, Result};
use profiles::{Diagnostic, Span};

/// An error that belongs to a place of a text.
pub trait AtSpan {
    /// The same error shown there, with the line and a caret, when it is a single line.
    fn at(self, span: &Span) -> Self;

    /// Object, cause and remedy as an error of that text.
    fn diagnostic(self, span: &Span) -> Diagnostic;
}

impl AtSpan for Error {
    fn at(self, span: &Span) -> Self {
        if self.cause().contains('\n') || self.object().is_empty() {
            return self;
        }
        Error::on("")(self.diagnostic(span))
    }

    fn diagnostic(self, span: &Span) -> Diagnostic {
        let own = if self.has_own_remedy() { self.known_remedy() } else { None };
        span.error(format!("{}: {}", self.object(), self.cause()), own.unwrap_or_default())
    }
}

/// For `map_err` of what is opened beneath a folder: a link that is not followed, or something else than was to lie there, has no number of
/// the system that says what helps.
pub(crate) fn beneath(object: impl std::fmt::Display) -> impl FnOnce(std::io::Error) -> Error {
    move |error| match error.kind() {
        std::io::ErrorKind::InvalidInput => Error::caused(object, error).remedy(
            "let the file or folder itself lie there: neither a link nor anything else is taken for it",
        ),
        _ => Error::on(object)(error),
    }
}
