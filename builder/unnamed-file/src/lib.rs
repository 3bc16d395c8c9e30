//! A file that has no name until it is complete (O_TMPFILE, open(2)): a killed process leaves nothing.
//!
//! FAT and some network file systems have no such files. There it has a hidden name beside its later place, which only a
//! killed process leaves, and the next one for the same place removes.

mod error;

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, RenameFlags, renameat2};

pub use error::Error;

/// A new file on the file system of its later place.
#[derive(Debug)]
pub struct UnnamedFile {
    file: File,
    target: PathBuf,
    folder: PathBuf,
    /// The name it has all the same; removed when it is dropped unpublished.
    hidden: Option<PathBuf>,
}

impl UnnamedFile {
    /// A file that [`UnnamedFile::publish`] will put at `target`.
    ///
    /// # Errors
    /// `target` is a folder or has no file name; its folder is missing or may not be written to.
    pub fn beside(target: &Path) -> Result<Self, Error> {
        if target.is_dir() || target.file_name().is_none() {
            return Err(Error::new(target, "is a folder", "give the name of a file"));
        }
        let folder = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let flags = OFlag::O_TMPFILE.bits();
        let nameless = File::options().read(true).write(true).mode(0o644).custom_flags(flags).open(&folder);
        let made = match nameless {
            Ok(file) => {
                Ok(UnnamedFile { file, target: target.to_path_buf(), folder: folder.clone(), hidden: None })
            }
            Err(error) if has_no_nameless_files(&error) => UnnamedFile::hidden(target, &folder),
            Err(error) => Err(error),
        };
        made.map_err(|error| {
            let cause = format!("cannot make a file in this folder: {error}");
            Error::new(&folder, cause, "choose a folder that exists and that you may write to")
        })
    }

    fn hidden(target: &Path, folder: &Path) -> io::Result<Self> {
        let (pid, name) = (std::process::id(), file_name(target));
        sweep(folder, &name)?;
        let mut number = 0;
        loop {
            let hidden = folder.join(format!(".{name}.{pid}.{number}.part"));
            match File::options().read(true).write(true).create_new(true).open(&hidden) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(error),
                Ok(file) => {
                    let (target, folder) = (target.to_path_buf(), folder.to_path_buf());
                    return Ok(UnnamedFile { file, target, folder, hidden: Some(hidden) });
                }
            }
        }
    }

    /// A second descriptor of the file, to write through.
    ///
    /// # Errors
    /// This process has too many open files.
    pub fn handle(&self) -> Result<File, Error> {
        self.file.try_clone().map_err(Error::on(&self.target))
    }

    /// Syncs the file and gives it its name, in place of a file that has it already.
    ///
    /// # Errors
    /// The disk is full or fails; the name has become that of a folder.
    pub fn publish(mut self) -> Result<(), Error> {
        self.file.sync_all().map_err(Error::on(&self.target))?;
        let name = match self.hidden.take() {
            Some(hidden) => hidden,
            None => self.give_name()?,
        };
        fs::rename(&name, &self.target).map_err(|error| {
            let _ = fs::remove_file(&name);
            Error::new(&self.target, error, "")
        })?;
        self.sync_name()
    }

    /// The same, but never in place of a file that has the name already.
    ///
    /// # Errors
    /// As [`UnnamedFile::publish`]; the name is taken.
    pub fn publish_new(mut self) -> Result<(), Error> {
        self.file.sync_all().map_err(Error::on(&self.target))?;
        let named = match self.hidden.take() {
            Some(hidden) => {
                let flags = RenameFlags::RENAME_NOREPLACE;
                let renamed = renameat2(AT_FDCWD, &hidden, AT_FDCWD, &self.target, flags);
                renamed.inspect_err(|_| drop(fs::remove_file(&hidden))).map_err(io::Error::from)
            }
            None => self.link(&self.target),
        };
        named.map_err(Error::on(&self.target))?;
        self.sync_name()
    }

    /// Has the name on the disk, and with it what the name leads to.
    fn sync_name(&self) -> Result<(), Error> {
        // On FAT the new name has neither length nor blocks until the file itself is written once more (vfat_rename of the
        // kernel's fs/fat/namei_vfat.c): a power cut would leave an empty file.
        sync_changed(&self.file).map_err(Error::on(&self.target))?;
        File::open(&self.folder).and_then(|folder| sync_changed(&folder)).map_err(Error::on(&self.folder))
    }

    /// linkat(2) does not replace: this name is there for the moment between link and rename. Threads that publish the
    /// same target have descriptors of different numbers.
    fn give_name(&self) -> Result<PathBuf, Error> {
        let (pid, descriptor) = (std::process::id(), self.file.as_raw_fd());
        let name = self.folder.join(format!(".{}.{pid}.{descriptor}", file_name(&self.target)));
        self.link(&name).map_err(Error::on(&name))?;
        Ok(name)
    }

    fn link(&self, name: &Path) -> io::Result<()> {
        let from = PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()));
        Ok(nix::unistd::linkat(AT_FDCWD, &from, AT_FDCWD, name, AtFlags::AT_SYMLINK_FOLLOW)?)
    }
}

/// Syncs a file or folder whose inode was changed by link(2), rename(2) or a new entry.
///
/// On ext4 without a journal such a change is in a buffer that fsync(2) does not look at, because the inode does not count as dirty
/// (`ext4_mark_inode_dirty` and `ext4_fsync_nojournal` of the kernel's fs/ext4): the name was on the disk, and the file had no links
/// there. Setting the mode that it has makes the inode dirty. Somebody else's folder cannot be set, and is synced as well as may be.
fn sync_changed(file: &File) -> io::Result<()> {
    let _ = file.set_permissions(file.metadata()?.permissions());
    file.sync_all()
}

impl Drop for UnnamedFile {
    fn drop(&mut self) {
        if let Some(hidden) = &self.hidden {
            let _ = fs::remove_file(hidden);
        }
    }
}

/// Removes the hidden files of processes that are gone.
fn sweep(folder: &Path, name: &str) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let found = entry.file_name();
        let words = found.to_str().and_then(|found| found.strip_prefix(&format!(".{name}.")));
        let owner =
            words.and_then(|words| words.strip_suffix(".part")).and_then(|words| words.split_once('.'));
        if let Some((pid, number)) = owner
            && [pid, number].iter().all(|word| word.parse::<u32>().is_ok())
            && !Path::new("/proc").join(pid).exists()
        {
            // Another process may have been faster.
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What open(2) answers to O_TMPFILE where the file system, or the kernel, does not know it.
fn has_no_nameless_files(error: &io::Error) -> bool {
    [Errno::EOPNOTSUPP, Errno::EISDIR, Errno::EINVAL]
        .iter()
        .any(|errno| error.raw_os_error() == Some(*errno as i32))
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
    fn where_every_file_has_a_name_it_is_hidden_and_goes_with_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("image");
        let names =
            || fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect::<Vec<_>>();
        // Left by a killed process: no process has this number (proc(5), pid_max).
        fs::write(folder.path().join(".image.4194305.0.part"), "half").unwrap();
        let dropped = UnnamedFile::hidden(&target, folder.path()).unwrap();
        let second = UnnamedFile::hidden(&target, folder.path()).unwrap();
        assert!(names().iter().all(|name| name.to_string_lossy().starts_with('.')) && names().len() == 2);
        drop(dropped);
        second.handle().unwrap().write_all(b"new").unwrap();
        second.publish().unwrap();
        assert_eq!(names(), ["image"]);
        assert_eq!(fs::read(&target).unwrap(), b"new");
    }

    #[test]
    fn a_new_file_replaces_nothing_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("key");
        let hidden = || UnnamedFile::hidden(&target, folder.path()).unwrap();
        let nameless = || UnnamedFile::beside(&target).unwrap();
        nameless().publish_new().unwrap();
        for file in [hidden(), nameless()] {
            assert!(file.publish_new().unwrap_err().to_string().contains("File exists (os error 17)"));
        }
        fs::remove_file(&target).unwrap();
        hidden().publish_new().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn threads_may_publish_the_same_target() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("image");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| UnnamedFile::beside(&target).unwrap().publish().unwrap());
            }
        });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = UnnamedFile::beside(Path::new("no/such/folder/image")).unwrap_err().to_string();
        assert!(error.starts_with("no/such/folder: cannot make") && error.contains("\nhelp: "), "{error}");
    }

    #[test]
    fn a_folder_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        for target in [folder.path(), Path::new("/"), Path::new("..")] {
            let error = UnnamedFile::beside(target).unwrap_err().to_string();
            assert!(error.ends_with("is a folder\nhelp: give the name of a file"), "{error}");
        }
    }
}
