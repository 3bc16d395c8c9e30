//! What can go wrong, with the object it happened to.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// An error that names its object: a file of this machine, an entry of a tree, or an image.
#[derive(Debug)]
pub enum Error {
    /// The operating system refused something.
    Io {
        /// What was being done, as in "read".
        action: &'static str,
        /// The file it was done to.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// An entry of a tree that an image cannot hold, or that cannot be where it was put.
    Entry {
        /// The path inside the tree.
        path: Vec<u8>,
        /// The cause, and the remedy.
        problem: String,
    },
    /// A tree that exceeds what the format can number, or an option out of range.
    Limit(String),
    /// An image that is damaged, or that asks for what this reader does not have.
    Image {
        /// The image.
        image: PathBuf,
        /// The cause.
        problem: String,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: impl AsRef<Path>, source: impl Into<io::Error>) -> Self {
        Self::Io { action, path: path.as_ref().to_owned(), source: source.into() }
    }

    pub(crate) fn entry(path: &[u8], problem: impl Into<String>) -> Self {
        Self::Entry { path: path.to_owned(), problem: problem.into() }
    }

    pub(crate) fn image(image: &Path, problem: impl Into<String>) -> Self {
        Self::Image { image: image.to_owned(), problem: problem.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { action, path, source } => write!(f, "cannot {action} {}: {source}", path.display()),
            Self::Entry { path, problem } => write!(f, "{}: {problem}", Printable(path)),
            Self::Limit(problem) => f.write_str(problem),
            Self::Image { image, problem } => write!(f, "{}: {problem}", image.display()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// A path of bytes as text: what is not printable ASCII stands as `\xNN`, so that a name cannot drive a terminal.
pub(crate) struct Printable<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("/");
        }
        write!(f, "{}", self.0.escape_ascii())
    }
}
