//! A kernel that cannot be read.

use std::fmt;
use std::path::{Path, PathBuf};

/// What could not be read, why, and what to do.
#[derive(Debug)]
pub struct KernelError {
    path: PathBuf,
    text: String,
}

impl KernelError {
    /// About the thing at `path`: what is wrong with it, and what to do.
    pub fn new(path: &Path, text: impl fmt::Display) -> KernelError {
        KernelError { path: path.to_owned(), text: text.to_string() }
    }

    /// The kernel package, folder or config that could not be read.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.text)
    }
}

impl std::error::Error for KernelError {}

impl From<deb::Error> for KernelError {
    fn from(error: deb::Error) -> KernelError {
        let path = error.path().to_owned();
        let text = error.to_string();
        let text = text.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&text).to_owned();
        KernelError { path, text }
    }
}
