//! Where the running system is.

use std::path::{Path, PathBuf};

/// The running system, or a folder that looks like one.
#[derive(Debug, Clone)]
pub struct System {
    root: PathBuf,
}

impl System {
    /// The system this program runs in.
    pub fn here() -> Self {
        System::below("/")
    }

    /// A system whose root is this folder.
    pub fn below(root: impl Into<PathBuf>) -> Self {
        System { root: root.into() }
    }

    /// Where an absolute path of the system is.
    pub fn path(&self, absolute: impl AsRef<Path>) -> PathBuf {
        let absolute = absolute.as_ref();
        self.root.join(absolute.strip_prefix("/").unwrap_or(absolute))
    }
}
