//! Why a machine could not be started or ordered about.

use std::fmt;
use std::io;
use std::path::Path;

/// What failed, why, and what to do about it.
#[derive(Debug)]
pub struct Error {
    /// The file, program or machine.
    object: String,
    cause: String,
    remedy: String,
    source: Option<io::Error>,
}

impl Error {
    /// An error without another one below it.
    pub(crate) fn new(
        object: impl fmt::Display,
        cause: impl fmt::Display,
        remedy: impl fmt::Display,
    ) -> Self {
        let (object, cause, remedy) = (object.to_string(), cause.to_string(), remedy.to_string());
        Self { object, cause, remedy, source: None }
    }

    /// An error of the operating system.
    pub(crate) fn io(object: impl fmt::Display, source: io::Error, remedy: impl fmt::Display) -> Self {
        Self { source: Some(source), ..Self::new(object, "", remedy) }
    }

    /// For `map_err`: an error of the operating system about a file.
    pub(crate) fn at(path: &Path, remedy: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::io(path.display(), error, remedy)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { object, cause, remedy, source } = self;
        match source {
            Some(source) => write!(formatter, "{object}: {source}: {remedy}"),
            None => write!(formatter, "{object}: {cause}: {remedy}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
