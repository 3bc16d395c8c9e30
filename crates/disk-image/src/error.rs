//! The error of this crate: object, cause, remedy.

use std::fmt;

/// What went wrong with which part of a disk, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The file, partition or program.
    pub object: String,
    /// What went wrong.
    pub cause: String,
    /// What helps; empty where nothing special does.
    pub remedy: String,
}

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error about `object`.
    pub fn new(object: impl fmt::Display, cause: impl fmt::Display) -> Self {
        Error { object: object.to_string(), cause: cause.to_string(), remedy: String::new() }
    }

    /// The same with what helps.
    #[must_use]
    pub fn remedy(mut self, remedy: impl fmt::Display) -> Self {
        self.remedy = remedy.to_string();
        self
    }

    /// For `map_err`.
    pub fn on<E: fmt::Display>(object: impl fmt::Display) -> impl FnOnce(E) -> Self {
        move |cause| Error::new(object, cause)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.object, self.cause)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(out, "\nhelp: {}", self.remedy) }
    }
}

impl std::error::Error for Error {}

/// As one of the commands' errors.
impl From<Error> for fault::Error {
    fn from(error: Error) -> Self {
        let plain = fault::Error::new(&error.object, &error.cause);
        let plain = if error.remedy.is_empty() { plain } else { plain.remedy(&error.remedy) };
        plain.because_of(error)
    }
}
