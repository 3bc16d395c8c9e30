//! The one error of this crate: which object, what went wrong with it, and what to do.

use std::fmt;

/// Names an object (file, image, package, device), the cause, and, where there is one, the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    object: String,
    cause: String,
    remedy: Option<String>,
}

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error about `object`; `cause` is a sentence or another error.
    pub fn new(object: impl fmt::Display, cause: impl fmt::Display) -> Self {
        Error { object: object.to_string(), cause: cause.to_string(), remedy: None }
    }

    /// The same error with what the reader can do about it.
    pub fn remedy(mut self, remedy: impl fmt::Display) -> Self {
        self.remedy = Some(remedy.to_string());
        self
    }

    /// The same error shown at a place of a text, with the line and a caret, when it is a single line.
    pub fn at(self, place: &profiles::Place) -> Self {
        if self.cause.contains('\n') || self.object.is_empty() {
            return self;
        }
        let remedy = self.remedy.unwrap_or_default();
        Error::new("", place.error(format!("{}: {}", self.object, self.cause), remedy))
    }

    /// For `map_err`: wraps any error as the cause, with `object` in front.
    pub fn on<E: fmt::Display>(object: impl fmt::Display) -> impl FnOnce(E) -> Self {
        move |cause| Error::new(object, cause)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.object.is_empty() {
            write!(out, "{}: ", self.object)?;
        }
        out.write_str(self.cause.trim_end())?;
        match &self.remedy {
            Some(remedy) => write!(out, "\nhelp: {remedy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_object_cause_and_remedy() {
        let error = Error::new("images/ab.sqfs", "is cut short").remedy("run `lamina build hello`");
        assert_eq!(error.to_string(), "images/ab.sqfs: is cut short\nhelp: run `lamina build hello`");
    }

    #[test]
    fn an_empty_object_leaves_no_colon() {
        assert_eq!(Error::new("", "recipe.kdl:1:1: error: no").to_string(), "recipe.kdl:1:1: error: no");
    }
}
