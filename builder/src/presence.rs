//! What lies at a path: something, nothing, or what nobody can tell. [`Path::exists`] and its like take the third for the second, and then a
//! folder that may not be entered is one without anything in it.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::path::Path;

use crate::error::{Error, Result};

/// What is there, links followed; `None` where nothing is.
///
/// # Errors
/// It cannot be looked at.
pub(crate) fn of(path: &Path) -> Result<Option<Metadata>> {
    match fs::metadata(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        found => found.map(Some).map_err(Error::on(path.display())),
    }
}

/// Whether a folder is there.
///
/// # Errors
/// Likewise.
pub(crate) fn of_folder(path: &Path) -> Result<bool> {
    Ok(of(path)?.is_some_and(|found| found.is_dir()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_looked_at_is_not_what_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), "").unwrap();
        std::os::unix::fs::symlink("itself", path("itself")).unwrap();
        assert!(of_folder(folder.path()).unwrap() && of(&path("file")).unwrap().is_some());
        for none in ["nothing", "file/below"] {
            assert!(of(&path(none)).unwrap().is_none() && !of_folder(&path(none)).unwrap(), "{none}");
        }
        for path in [path("itself"), path("itself/below"), path(&"long".repeat(99))] {
            assert!(!path.exists());
            let told = of(&path).unwrap_err().to_string();
            assert!(told.starts_with(&path.display().to_string()), "{told}");
        }
    }
}
