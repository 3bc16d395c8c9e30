//! The one error of this crate.

use std::fmt;
use std::path::Path;

/// The file or folder, what went wrong with it, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The file or folder.
    pub object: String,
    /// What the system said.
    pub cause: String,
    /// What to do; empty when the cause says it all.
    pub remedy: &'static str,
}

impl Error {
    pub(crate) fn new(object: &Path, cause: impl fmt::Display, remedy: &'static str) -> Self {
        Error { object: object.display().to_string(), cause: cause.to_string(), remedy }
    }

    /// For `map_err`: an error about `object`.
    pub(crate) fn on<E: fmt::Display>(object: &Path) -> impl FnOnce(E) -> Self {
        move |cause| Error::new(object, cause, "")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.object, self.cause)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(out, "\nhelp: {}", self.remedy) }
    }
}

impl std::error::Error for Error {}
