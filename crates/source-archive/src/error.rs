//! What can be wrong with the archive of a source.

use std::path::{Path, PathBuf};
use std::{fmt, io};

/// An archive that was not unpacked: which, why, and what to do.
#[derive(Debug)]
pub struct Error {
    archive: PathBuf,
    problem: Problem,
}

#[derive(Debug)]
pub(crate) enum Problem {
    /// The operating system, or a decompressor, refused while doing the named thing.
    Io(&'static str, io::Error),
    /// The bytes are not what they should be.
    Damaged(String),
    /// It is an archive that would not come out whole. The words follow the archive's name.
    Lossy(String),
}

/// The result of a part of unpacking.
pub(crate) type Part<T> = Result<T, Problem>;

pub(crate) fn while_doing(action: &'static str) -> impl Fn(io::Error) -> Problem {
    move |error| Problem::Io(action, error)
}

pub(crate) fn lossy<T>(text: impl Into<String>) -> Part<T> {
    Err(Problem::Lossy(text.into()))
}

pub(crate) fn damaged<T>(text: impl Into<String>) -> Part<T> {
    Err(Problem::Damaged(text.into()))
}

impl Error {
    pub(crate) fn of(archive: &Path, problem: Problem) -> Self {
        Error { archive: archive.to_owned(), problem }
    }

    /// What went wrong, in one line.
    pub fn cause(&self) -> String {
        match &self.problem {
            Problem::Io(action, error) => {
                let chain = std::iter::successors(std::error::Error::source(error), |error| error.source());
                let mut text = format!("{action}: {error}");
                // Each layer of the `tar` crate says its own part only.
                for reason in chain.map(|reason| reason.to_string()).filter(|reason| !reason.is_empty()) {
                    if !text.ends_with(&reason) {
                        text.push_str(": ");
                        text.push_str(&reason);
                    }
                }
                text
            }
            Problem::Damaged(text) | Problem::Lossy(text) => text.clone(),
        }
    }

    /// What the author of a recipe can do about it.
    pub fn remedy(&self) -> &'static str {
        match &self.problem {
            Problem::Io(_, error) if error.kind() == io::ErrorKind::StorageFull => {
                "make room on the file system of the store"
            }
            Problem::Io(..) | Problem::Damaged(_) => {
                "compare the archive with its publisher's; when it is right, give the recipe a step \"unpack\" that reads it"
            }
            Problem::Lossy(_) => {
                "give the recipe a step \"unpack\" of its own (\":\" leaves the source in /sources)"
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\nhelp: {}", self.archive.display(), self.cause(), self.remedy())
    }
}

impl std::error::Error for Error {}
