//! What lies in a store or on a medium, opened and made as what it must be. The folder may be another user's, who can put a link, a
//! FIFO or a folder under any name while root works there: folders are entered one name at a time, each from the one above it, and
//! neither a link is followed nor a FIFO waited for.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path};

use nix::fcntl::OFlag;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// Of the folders of a store, whatever the umask: others read what they may stack, boot and copy.
pub(super) const SHARED: u32 = 0o755;
/// Of the files that are published in it.
const SHARED_FILE: u32 = 0o644;
/// To go on from; this needs no right to list it.
const ENTERED: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const LISTED: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const LINK: &str = "is a symbolic link, and no folder of a store or a medium may be one";

/// Completes a new folder; the first is the one above it.
type Complete<'a> = &'a dyn Fn(BorrowedFd<'_>, &File) -> io::Result<()>;

/// A folder below `root`, which may be a link itself. It and those above it are made where they are missing. The descriptor is there
/// to go on from (O_PATH); [`listed`] gives one that can be locked and synced.
///
/// # Errors
/// A name on the way is a link or no folder; it cannot be made.
pub(crate) fn folder_beneath(root: &Path, path: &Path, complete: Complete<'_>) -> io::Result<OwnedFd> {
    let below = path.strip_prefix(root).map_err(io::Error::other)?;
    let mut here = openat(CWD, root, ENTERED, Mode::empty())?;
    for name in below.components() {
        let Component::Normal(name) = name else { return Err(io::ErrorKind::InvalidInput.into()) };
        let enter = || openat(&here, name, ENTERED | OFlags::NOFOLLOW, Mode::empty());
        here = match enter() {
            Err(Errno::NOENT) => match rustix::fs::mkdirat(&here, name, Mode::from_raw_mode(0o777)) {
                Err(Errno::EXIST) => enter()?,
                made => {
                    made?;
                    let new = openat(&here, name, LISTED | OFlags::NOFOLLOW, Mode::empty())?;
                    complete(here.as_fd(), &File::from(new))?;
                    enter()?
                }
            },
            Err(Errno::NOTDIR | Errno::LOOP) => return Err(no_folder(here.as_fd(), name)),
            entered => entered?,
        };
    }
    Ok(here)
}

/// The kernel says of a link to a folder what it says of a file: "Not a directory".
fn no_folder(above: BorrowedFd<'_>, name: &std::ffi::OsStr) -> io::Error {
    let found = rustix::fs::statat(above, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW);
    let kind = found.map(|found| rustix::fs::FileType::from_raw_mode(found.st_mode));
    match kind {
        Ok(kind) if kind.is_symlink() => io::Error::new(io::ErrorKind::NotADirectory, LINK),
        _ => Errno::NOTDIR.into(),
    }
}

/// A folder that was entered, to be locked and synced.
pub(crate) fn listed(folder: impl AsFd) -> io::Result<File> {
    Ok(openat(folder, c".", LISTED, Mode::empty())?.into())
}

/// A folder of the store at `root`, made with this mode whatever the umask where it is missing. What root makes in the store of
/// another belongs to that one: he has to write there too.
pub(super) fn store_folder(root: &Path, path: &Path, mode: u32) -> Result<OwnedFd> {
    let complete = |above: BorrowedFd<'_>, new: &File| -> io::Result<()> {
        let above = rustix::fs::fstat(above)?;
        if nix::unistd::geteuid().is_root() && above.st_uid != 0 {
            std::os::unix::fs::fchown(new, Some(above.st_uid), Some(above.st_gid))?;
        }
        // The bit of a shared group's folder, which a new one has from the folder above, stays.
        let inherited = new.metadata()?.mode() & 0o2000;
        set_mode(new, mode | inherited)
    };
    folder_beneath(root, path, &complete).map_err(|error| unusable(path, &error))
}

/// Makes a folder of a store that is filled from elsewhere, and those above it.
pub(crate) fn make_shared_folder(path: &Path) -> Result<()> {
    let Some(root) = path.parent() else { return Ok(()) };
    make_root(root)?;
    store_folder(root, path, SHARED).map(drop)
}

/// Makes the folder of a store; those above it are made as the umask says.
pub(super) fn make_root(root: &Path) -> Result<()> {
    if root.is_dir() {
        return Ok(());
    }
    let Some(above) = root.parent() else { return Ok(()) };
    fs::create_dir_all(above).map_err(|error| unusable(above, &error))?;
    store_folder(above, root, SHARED).map(drop)
}

/// Refuses a link where a folder of a store belongs.
pub(super) fn refuse_link(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => {
            Err(unusable(path, &io::Error::new(io::ErrorKind::NotADirectory, LINK)))
        }
        _ => Ok(()),
    }
}

/// Opens a regular file for reading, and nothing else: no link is followed, no FIFO waited for.
pub(crate) fn file(path: &Path) -> io::Result<File> {
    let plain = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let opened = File::options().read(true).custom_flags(plain).open(path)?;
    match opened.metadata()?.is_file() {
        true => Ok(opened),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file")),
    }
}

/// Lets all read a new file that is published in a store, whatever the umask.
pub(crate) fn share(file: &File) -> io::Result<()> {
    set_mode(file, SHARED_FILE)
}

fn unusable(path: &Path, error: &io::Error) -> Error {
    if error.kind() == io::ErrorKind::NotADirectory && error.to_string() == LINK {
        return Error::new(path.display(), LINK).remedy(
            "remove the link; to have a part elsewhere, move the whole store, or mount a folder there",
        );
    }
    Error::new(path.display(), format!("cannot make this folder: {error}"))
        .remedy("give a folder that you may write to with `--store DIR` or LAMINA_STORE")
}

/// Sets the mode of what this process made. On FAT, which keeps no modes, there is nothing to be set.
fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    if file.metadata()?.mode() & 0o7777 == mode {
        return Ok(());
    }
    match file.set_permissions(fs::Permissions::from_mode(mode)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        set => set,
    }
}
