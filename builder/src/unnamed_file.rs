//! A file that has no name until it is complete (O_TMPFILE, open(2)): a killed process leaves nothing.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};

use crate::error::{Error, Result};

/// A new file on the file system of its later place.
#[derive(Debug)]
pub struct UnnamedFile {
    file: File,
    target: PathBuf,
    folder: PathBuf,
}

impl UnnamedFile {
    /// A file that [`UnnamedFile::publish`] will put at `target`.
    pub fn beside(target: &Path) -> Result<Self> {
        let folder = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let flags = nix::fcntl::OFlag::O_TMPFILE.bits();
        let file = File::options().read(true).write(true).mode(0o644).custom_flags(flags).open(&folder);
        let file = file.map_err(|error| {
            Error::new(folder.display(), format!("cannot make a file without a name in this folder: {error}"))
                .remedy(
                    "choose a folder that exists, that you may write to, and whose file system has O_TMPFILE",
                )
        })?;
        Ok(UnnamedFile { file, target: target.to_path_buf(), folder })
    }

    /// A second descriptor of the file, to write through.
    pub fn handle(&self) -> Result<File> {
        self.file.try_clone().map_err(Error::on(self.target.display()))
    }

    /// Syncs the file and gives it its name, in place of a file that has it already.
    pub fn publish(self) -> Result<()> {
        self.file.sync_all().map_err(Error::on(self.target.display()))?;
        // linkat(2) does not replace: the second name is there for the moment between link and rename.
        let name = self.target.file_name().unwrap_or_default().to_string_lossy();
        let beside = self.folder.join(format!(".{name}.{}", std::process::id()));
        let from = PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        nix::unistd::linkat(AT_FDCWD, &from, AT_FDCWD, &beside, AtFlags::AT_SYMLINK_FOLLOW)
            .map_err(Error::on(beside.display()))?;
        fs::rename(&beside, &self.target).map_err(|error| {
            let _ = fs::remove_file(&beside);
            Error::new(self.target.display(), error)
        })?;
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(Error::on(self.folder.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn has_no_name_until_it_is_published() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("image");
        fs::write(&target, "old").unwrap();
        let file = UnnamedFile::beside(&target).unwrap();
        file.handle().unwrap().write_all(b"new").unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(fs::read(&target).unwrap(), b"old");
        file.publish().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(fs::read(&target).unwrap(), b"new");
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = UnnamedFile::beside(Path::new("no/such/folder/image")).unwrap_err().to_string();
        assert!(error.starts_with("no/such/folder: cannot make"), "{error}");
    }
}
