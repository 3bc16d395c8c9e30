//! What can be wrong with a package.

use std::path::{Path, PathBuf};
use std::{fmt, io};

/// A package that cannot be read: which file, what is wrong with it, and what to do.
#[derive(Debug)]
pub struct Error {
    path: PathBuf,
    problem: Problem,
}

#[derive(Debug)]
pub(crate) enum Problem {
    /// The operating system refused, while doing the named thing.
    Io(&'static str, io::Error),
    /// The bytes are not those of a Debian package.
    Malformed(String),
    /// The package is whole, and made in a way that is not read here. Fetching it again would not help.
    Unsupported(String),
}

/// The result of reading a part of a package, before its path is known.
pub(crate) type Part<T> = Result<T, Problem>;

impl Problem {
    pub(crate) fn of(self, path: &Path) -> Error {
        Error { path: path.to_owned(), problem: self }
    }
}

pub(crate) fn malformed<T>(text: impl Into<String>) -> Part<T> {
    Err(Problem::Malformed(text.into()))
}

pub(crate) fn unsupported<T>(text: impl Into<String>) -> Part<T> {
    Err(Problem::Unsupported(text.into()))
}

/// Names what was being done when the operating system (or a decompressor) reported an error.
pub(crate) fn while_doing(action: &'static str) -> impl Fn(io::Error) -> Problem {
    move |error| Problem::Io(action, error)
}

impl Error {
    /// The package that could not be read.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is wrong with it, without its path.
    pub fn cause(&self) -> String {
        match &self.problem {
            Problem::Io(action, error) => format!("{action}: {error}"),
            Problem::Unsupported(text) => text.clone(),
            Problem::Malformed(text) => format!("not a usable Debian package: {text}"),
        }
    }

    /// What to do.
    pub fn remedy(&self) -> &'static str {
        match &self.problem {
            Problem::Io(_, error) if error.kind() == io::ErrorKind::NotFound => "check the path",
            Problem::Io(..) => "if the file is damaged, fetch the package again",
            Problem::Unsupported(_) => {
                "make it again with today's dpkg-deb: `dpkg-deb --raw-extract`, then `dpkg-deb --build`"
            }
            Problem::Malformed(_) => "fetch the package again",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.path.display(), self.cause(), self.remedy())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            Problem::Io(_, error) => Some(error),
            Problem::Malformed(_) | Problem::Unsupported(_) => None,
        }
    }
}
