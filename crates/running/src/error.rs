//! The one error of this crate.

use std::fmt;

use crate::text::{clean, clean_lines};

/// The file, folder or medium, what is wrong with it, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The file, folder or medium.
    pub object: String,
    /// What is wrong.
    pub cause: String,
    /// What to do; empty when the cause says it all.
    pub remedy: String,
}

/// What the functions of this crate return.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(object: impl fmt::Display, cause: impl fmt::Display) -> Self {
        Error { object: object.to_string(), cause: cause.to_string(), remedy: String::new() }
    }

    pub(crate) fn try_this(mut self, remedy: impl fmt::Display) -> Self {
        self.remedy = remedy.to_string();
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names of files and media come from outside.
        write!(out, "{}: {}", clean(&self.object), clean_lines(&self.cause))?;
        if self.remedy.is_empty() { Ok(()) } else { write!(out, "\nhelp: {}", clean_lines(&self.remedy)) }
    }
}

impl std::error::Error for Error {}
