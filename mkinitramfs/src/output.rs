//! A file that is there whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::libc::{O_CLOEXEC, O_TMPFILE};
use nix::unistd::linkat;

use crate::error::Error;

/// A file being written. It has no name until [`Output::publish`] (open(2), `O_TMPFILE`), so that whatever kills this
/// process, nothing is left. A file system without nameless files gets a hidden one, which the next run replaces.
pub(crate) struct Output {
    file: BufWriter<File>,
    path: PathBuf,
    folder: PathBuf,
    hidden: PathBuf,
    is_named: bool,
}

impl Output {
    /// Starts to write what will be `path`.
    ///
    /// # Errors
    /// The folder is missing or not writable.
    pub(crate) fn create(path: &Path) -> Result<Output, Error> {
        let Some(name) = path.file_name() else {
            return Err(Error::new(path.display(), "is not the name of a file"));
        };
        if path.is_dir() {
            return Err(
                Error::new(path.display(), "is a folder").remedy("give the name of a file to --output")
            );
        }
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."))
            .to_owned();
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(".new");
        let hidden = folder.join(hidden);
        let nameless = OpenOptions::new().write(true).custom_flags(O_TMPFILE | O_CLOEXEC).open(&folder);
        let (file, is_named) = match nameless {
            Ok(file) => (file, false),
            Err(error) if error.raw_os_error() == Some(nix::libc::EOPNOTSUPP) => (named(&hidden)?, true),
            Err(error) => {
                return Err(Error::new(folder.display(), error)
                    .remedy("the folder of --output must be there and writable"));
            }
        };
        Ok(Output {
            file: BufWriter::with_capacity(1 << 17, file),
            path: path.to_owned(),
            folder,
            hidden,
            is_named,
        })
    }

    /// Gives the finished file its name, in the place of one that had it, and waits until all of it is on the disk.
    /// Returns its length in bytes.
    ///
    /// # Errors
    /// The disk is full or fails; another process publishes the same file at the same time.
    pub(crate) fn publish(mut self) -> Result<u64, Error> {
        self.file.flush().map_err(Error::at(&self.path))?;
        let file = self.file.get_ref();
        file.sync_all().map_err(Error::at(&self.path))?;
        let length = file.metadata().map_err(Error::at(&self.path))?.len();
        if !self.is_named {
            remove(&self.hidden).map_err(Error::at(&self.hidden))?;
            let nameless = format!("/proc/self/fd/{}", file.as_raw_fd());
            linkat(AT_FDCWD, nameless.as_str(), AT_FDCWD, &self.hidden, AtFlags::AT_SYMLINK_FOLLOW)
                .map_err(Error::at(&self.hidden))?;
            self.is_named = true;
        }
        fs::rename(&self.hidden, &self.path).map_err(Error::at(&self.path))?;
        self.is_named = false;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(Error::at(&self.folder))?;
        Ok(length)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.is_named {
            // An error has been reported already; the next run removes the file if this does not.
            let _ = remove(&self.hidden);
        }
    }
}

/// A new file called `hidden`, in the place of one that a killed run left.
fn named(hidden: &Path) -> Result<File, Error> {
    remove(hidden)
        .and_then(|()| OpenOptions::new().write(true).create_new(true).open(hidden))
        .map_err(Error::at(hidden))
}

/// Removes a file that may not be there.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<OsString> {
        fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").file_name()).collect()
    }

    #[test]
    fn there_is_nothing_until_it_is_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.img");
        let mut output = Output::create(&path).expect("created");
        output.write_all(b"half").expect("written");
        drop(output);
        assert_eq!(names(folder.path()), Vec::<OsString>::new());

        fs::write(&path, "old").expect("an older file");
        let mut output = Output::create(&path).expect("created");
        output.write_all(b"new").expect("written");
        assert_eq!(fs::read(&path).expect("still there"), b"old");
        assert_eq!(output.publish(), Ok(3));
        assert_eq!(fs::read(&path).expect("replaced"), b"new");
        assert_eq!(names(folder.path()), ["out.img"]);
    }

    #[test]
    fn a_file_with_a_name_goes_away_too() {
        let folder = tempfile::tempdir().expect("a folder");
        let hidden = folder.path().join(".out.img.new");
        fs::write(&hidden, "left by a killed run").expect("a leftover");
        let mut output = Output::create(&folder.path().join("out.img")).expect("created");
        output.file = BufWriter::new(named(&hidden).expect("the leftover is replaced"));
        output.is_named = true;
        drop(output);
        assert_eq!(names(folder.path()), Vec::<OsString>::new());
    }

    #[test]
    fn says_what_is_wrong_with_the_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = |path: &Path| Output::create(path).err().expect("refused").to_string();
        assert!(error(folder.path()).contains("is a folder"));
        assert!(
            error(&folder.path().join("no/out.img"))
                .contains("the folder of --output must be there and writable")
        );
    }
}
