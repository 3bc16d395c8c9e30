//! A file that has no name until it is complete (O_TMPFILE, open(2)): a killed process leaves nothing.
//!
//! FAT and some network file systems have no such files. There it has a hidden name beside its later place, which only a
//! killed process leaves, and the next one for the same place removes.
//!
//! [`UnnamedFile`] is for names that are the program's own, as those in a store or on a medium: a link there is not followed.
//! [`Output`] is for names that somebody gave.

mod error;
mod moving;
mod output;
mod place;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag};
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};
use rustix::fs::{RenameFlags, renameat_with};

pub use error::Error;
use error::{on, refusal};
pub use moving::move_into;
pub use output::{Form, Output};
use place::{Place, descriptor_path, no_file_here};

/// Bytes of a later name that a hidden one repeats: what is added must not make it longer than a name can be (NAME_MAX).
const REPEATED: usize = 200;

/// A new file on the file system of its later place.
#[derive(Debug)]
pub struct UnnamedFile {
    file: File,
    place: Place,
    /// The name it has all the same; removed when it is dropped unpublished.
    hidden: Option<OsString>,
}

impl UnnamedFile {
    /// A file that [`UnnamedFile::publish`] will put at `target`, in place of a file or a symbolic link there.
    ///
    /// # Errors
    /// `target` is a folder, a device or another special file, or has no file name; its folder is missing or may not be
    /// written to.
    pub fn beside(target: &Path) -> Result<Self, Error> {
        UnnamedFile::at(Place::of(target)?)
    }

    fn at(place: Place) -> Result<Self, Error> {
        refuse_special(&place)?;
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        match openat(&place.folder, ".", flags, Mode::from_bits_truncate(0o644)) {
            Ok(file) => Ok(UnnamedFile { file: file.into(), place, hidden: None }),
            Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL) => UnnamedFile::hidden(place),
            Err(errno) => Err(no_file_here(&place.folder_shown, io::Error::from(errno))),
        }
    }

    /// Where the file system, or the kernel, does not know O_TMPFILE.
    fn hidden(place: Place) -> Result<Self, Error> {
        let (pid, name) = (std::process::id(), repeated(&place.name));
        let failed = |error: io::Error| no_file_here(&place.folder_shown, error);
        sweep(&place.folder, &name).map_err(failed)?;
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let mut number = 0;
        loop {
            let hidden = OsString::from(format!(".{name}.{pid}.{number}.part"));
            match openat(&place.folder, &*hidden, flags, Mode::from_bits_truncate(0o644)) {
                Err(Errno::EEXIST) => number += 1,
                Err(errno) => return Err(failed(errno.into())),
                Ok(file) => return Ok(UnnamedFile { file: file.into(), place, hidden: Some(hidden) }),
            }
        }
    }

    /// A second descriptor of the file, to write through.
    ///
    /// # Errors
    /// This process has too many open files.
    pub fn handle(&self) -> Result<File, Error> {
        self.file.try_clone().map_err(on(&self.place.shown))
    }

    /// Syncs the file and gives it its name, in place of a file that has it already.
    ///
    /// # Errors
    /// The disk is full or fails; the name has become that of a folder.
    pub fn publish(mut self) -> Result<(), Error> {
        self.file.sync_all().map_err(on(&self.place.shown))?;
        let name = match self.hidden.take() {
            Some(hidden) => hidden,
            None => self.give_name()?,
        };
        let folder = &self.place.folder;
        let place = (folder, &*self.place.name);
        moving::rename(&self.file, (folder, Path::new(&name)), place).map_err(|error| {
            remove(folder, &name);
            on(&self.place.shown)(error)
        })
    }

    /// The same, but never in place of a file that has the name already.
    ///
    /// # Errors
    /// As [`UnnamedFile::publish`]; the name is taken.
    pub fn publish_new(mut self) -> Result<(), Error> {
        self.file.sync_all().map_err(on(&self.place.shown))?;
        let (folder, name) = (&self.place.folder, &*self.place.name);
        let named = match self.hidden.take() {
            Some(hidden) => {
                let renamed = renameat_with(folder, &*hidden, folder, name, RenameFlags::NOREPLACE);
                renamed.inspect_err(|_| remove(folder, &hidden)).map_err(io::Error::from)
            }
            None => self.link(name),
        };
        let on_the_disk = named.and_then(|()| moving::sync_name(&self.file, folder));
        on_the_disk.map_err(on(&self.place.shown))
    }

    /// linkat(2) does not replace: this name is there for the moment between link and rename. Threads that publish the
    /// same target have descriptors of different numbers.
    fn give_name(&self) -> Result<OsString, Error> {
        let (pid, descriptor) = (std::process::id(), self.file.as_raw_fd());
        let name = OsString::from(format!(".{}.{pid}.{descriptor}", repeated(&self.place.name)));
        self.link(&name).map_err(on(&self.place.folder_shown.join(&name)))?;
        Ok(name)
    }

    fn link(&self, name: &OsStr) -> io::Result<()> {
        let (from, follow) = (descriptor_path(&self.file), AtFlags::AT_SYMLINK_FOLLOW);
        Ok(linkat(AT_FDCWD, &from, &self.place.folder, name, follow)?)
    }

    fn real_folder(&self) -> Option<PathBuf> {
        self.place.real_folder().ok()
    }
}

/// A file takes the place of a file or a link, and of nothing else.
fn refuse_special(place: &Place) -> Result<(), Error> {
    let (cause, remedy) = match place.found.as_ref().map(|found| found.kind) {
        None | Some(SFlag::S_IFREG | SFlag::S_IFLNK) => return Ok(()),
        Some(SFlag::S_IFDIR) => ("is a folder", "give the name of a file"),
        Some(_) => ("is no regular file, and is not replaced by one", "give another name, or remove it"),
    };
    Err(refusal(&place.shown, cause, remedy))
}

fn remove(folder: &OwnedFd, name: &OsStr) {
    let _ = unlinkat(folder, name, UnlinkatFlags::NoRemoveDir);
}

impl Drop for UnnamedFile {
    fn drop(&mut self) {
        if let Some(hidden) = &self.hidden {
            remove(&self.place.folder, hidden);
        }
    }
}

/// Removes the hidden files of processes that are gone.
fn sweep(folder: &OwnedFd, name: &str) -> io::Result<()> {
    for entry in fs::read_dir(descriptor_path(folder))? {
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
            remove(folder, &found);
        }
    }
    Ok(())
}

/// The beginning of a name, as text.
fn repeated(name: &OsStr) -> String {
    let mut text = name.to_string_lossy().into_owned();
    let end = (0..=REPEATED.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
    text
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
        let dropped = UnnamedFile::hidden(Place::of(&target).unwrap()).unwrap();
        let second = UnnamedFile::hidden(Place::of(&target).unwrap()).unwrap();
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
        let hidden = || UnnamedFile::hidden(Place::of(&target).unwrap()).unwrap();
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
