//! A disk that is opened for this program alone.

use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use disk_image::read::DiskReader;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;

use crate::disk::device::{observe, open_exclusively, shown_by_loop};
use crate::disk::other_disk::{self, refuse_container};
use crate::error::{Error, Result};
use crate::medium;
use crate::report::Report;

/// What keeps others away, for as long as the file is open: also for loop(4), which keeps the open file.
#[derive(Debug)]
pub(super) enum Hold {
    /// Of a file: flock(2) against other commands, an open file description lock (fcntl(2)) against QEMU, which has some of its own.
    Locked(File),
    /// Of a device: O_EXCL of open(2).
    Exclusive(File),
}

/// A disk that nobody else changes meanwhile.
#[derive(Debug)]
pub struct OpenDisk {
    /// As it was named.
    pub path: PathBuf,
    pub(super) hold: Hold,
}

impl Hold {
    pub(super) fn file(&self) -> &File {
        match self {
            Hold::Locked(file) | Hold::Exclusive(file) => file,
        }
    }
}

impl OpenDisk {
    /// Opens it for writing. Waits for another command that has it.
    ///
    /// # Errors
    /// It may not be written; it is no raw disk; a virtual machine, a mount or a loop device uses it.
    pub fn open(path: &Path, report: &Report) -> Result<OpenDisk> {
        let hold = match is_device(path)? {
            true => {
                let facts = observe(path)?;
                facts.judge()?;
                Hold::Exclusive(open_exclusively(&facts)?)
            }
            false => lock(path, report)?,
        };
        refuse_container(hold.file(), path)?;
        Ok(OpenDisk { path: path.to_owned(), hold })
    }

    /// What lies on it.
    ///
    /// # Errors
    /// There is no partition table.
    pub fn reader(&self) -> Result<DiskReader> {
        let file = self.hold.file().try_clone().map_err(Error::on(self.path.display()))?;
        named(DiskReader::new(file), &self.path)
    }

    /// The same of a disk with a system of Lamina.
    ///
    /// # Errors
    /// There is none.
    pub fn system(&self) -> Result<DiskReader> {
        system_on(self.hold.file(), &self.path)
    }

    /// The disk itself.
    pub fn file(&self) -> &File {
        self.hold.file()
    }
}

/// Opens a disk to be looked at; nothing keeps others away.
///
/// # Errors
/// It cannot be opened, or is no raw disk with a system of Lamina.
pub fn look(path: &Path) -> Result<DiskReader> {
    is_device(path)?;
    // O_NONBLOCK: a FIFO that came meanwhile must not hang it.
    let flags = OFlag::O_NONBLOCK.bits();
    let file =
        File::options().read(true).custom_flags(flags).open(path).map_err(Error::on(path.display()))?;
    refuse_container(&file, path)?;
    system_on(&file, path)
}

/// A disk with a system of Lamina, whole or not.
fn system_on(file: &File, path: &Path) -> Result<DiskReader> {
    let read = file.try_clone().map_err(Error::on(path.display())).map(DiskReader::new)?;
    match other_disk::look(file, &read) {
        Ok(Some(other)) => Err(other.no_system(path.display())),
        _ => named(read, path),
    }
}

fn named(read: Result<DiskReader>, path: &Path) -> Result<DiskReader> {
    read.map_err(|error| {
        let remedy = error.known_remedy().unwrap_or("give a disk that `lamina disk create` wrote").to_owned();
        Error::new(path.display(), error.cause().to_owned()).remedy(remedy)
    })
}

fn is_device(path: &Path) -> Result<bool> {
    let kind = std::fs::metadata(path).map_err(Error::on(path.display()))?.file_type();
    match kind.is_block_device() {
        true => Ok(true),
        false if kind.is_file() => Ok(false),
        false => Err(Error::new(path.display(), "is neither a file nor a block device")
            .remedy("name the image of a disk, or the device of one")),
    }
}

fn lock(path: &Path, report: &Report) -> Result<Hold> {
    let flags = OFlag::O_NONBLOCK.bits();
    let mut options = File::options();
    let opened = options.read(true).write(true).custom_flags(flags).open(path);
    let file = opened.map_err(|error| match error.kind() {
        ErrorKind::ReadOnlyFilesystem => {
            Error::caused(path.display(), error).remedy("copy it to a file system that can be written to")
        }
        _ => Error::on(path.display())(error),
    })?;
    medium::lock(&file, path, report)?;
    if let Some(device) = shown_by_loop(&file) {
        return Err(Error::new(path.display(), format!("is shown by the loop device {device}")).remedy(format!(
            "unmount what is mounted of it and `losetup --detach /dev/{device}`; or give `--medium` and `--esp` where it is mounted"
        )));
    }
    refuse_users(&file, path)?;
    Ok(Hold::Locked(file))
}

/// QEMU holds locks on single bytes of an image that it uses (`raw_apply_lock_bytes` of its `block/file-posix.c`): one on all of them
/// cannot be had then, and keeps it away as long as it is held.
fn refuse_users(file: impl AsFd, path: &Path) -> Result<()> {
    let whole = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    match fcntl(file, FcntlArg::F_OFD_SETLK(&whole)) {
        Ok(_) => Ok(()),
        Err(Errno::EAGAIN | Errno::EACCES) => {
            Err(Error::new(path.display(), "is in use by another program, such as a virtual machine").remedy(
                "end it first; in a guest that runs Lamina, `lamina system` works on the guest's own medium",
            ))
        }
        // A file system without such locks.
        Err(Errno::EINVAL | Errno::ENOLCK | Errno::EOPNOTSUPP) => Ok(()),
        Err(errno) => Err(Error::caused(path.display(), errno)),
    }
}
