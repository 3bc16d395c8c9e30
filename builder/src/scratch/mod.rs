//! Folders of one process under a folder for them, swept by the next command when that process is gone. A store has such a folder, `tmp/`,
//! and so has each user where temporary files lie ([`temporary`]).
//!
//! An entry `NAME` is a folder whose file descriptor its owner holds locked (flock(2)); the kernel drops the lock when the
//! owner dies, however it dies. `tmp/` itself is locked while an entry is made and while the sweep looks at one, so that an
//! entry is never seen between its creation and its lock. Locking needs no right to write, so that neither the owner of a file nor
//! its mode can keep a command waiting or make it fail.
//!
//! `tmp/` is its owner's alone (0700), unless somebody let a group write to it: what a build makes there, setuid files for example, is
//! nobody else's to run. What cannot be removed is renamed to `set-aside-NAME`, tried again by every sweep, said once, and listed by
//! `lamina store verify`; it never stops a command.

mod removal;
pub mod temporary;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, FdFlag, Flock, FlockArg, OFlag, fcntl};
use rustix::fs::AtFlags;

use removal::Stuck;

use crate::error::{Error, Result};
use crate::new_folder::{self, Rule};

/// What stands before the names of entries that could not be removed.
pub(crate) const SET_ASIDE: &str = "set-aside-";
/// What earlier versions locked; it holds nothing.
const EARLIER_LOCK: &str = ".lock";
/// Of `tmp/` and its entries.
pub(crate) const PRIVATE: u32 = 0o700;

/// A folder that is removed when this is dropped, or by the next command when the process was killed.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    lock: Flock<File>,
}

impl Scratch {
    /// Makes an entry of `tmp`, which `ready` makes where it is missing; `remedy` helps where nothing can be made in it.
    pub(crate) fn make(
        tmp: &Path,
        label: &str,
        remedy: &str,
        ready: impl Fn() -> Result<()>,
    ) -> Result<Self> {
        let guard = loop {
            ready()?;
            let locked = lock_tmp(tmp);
            // None: another process has just removed an empty one.
            if let Some(guard) = locked.map_err(|error| Error::caused(tmp.display(), error).remedy(remedy))? {
                break guard;
            }
        };
        let path = free_name(tmp, label)?;
        let made = new_folder::fresh(&path, Rule::NothingInherited(PRIVATE));
        made.and_then(|()| open_to_its_owner(tmp, &path))
            .map_err(|error| Error::caused(path.display(), error).remedy(remedy))?;
        let lock = lock_entry(&path)
            .map_err(Error::on(path.display()))?
            .ok_or_else(|| Error::new(path.display(), "another process has locked this new folder"))?;
        drop(guard);
        Ok(Scratch { path, lock })
    }

    /// The folder, absolute when the store's path is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves it to the program that this process becomes: the lock, and with it the folder, lasts as long as that one.
    pub(crate) fn leave_to_next_program(self) -> io::Result<()> {
        let scratch = std::mem::ManuallyDrop::new(self);
        fcntl(&*scratch.lock, FcntlArg::F_SETFD(FdFlag::empty()))?;
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now (a folder that someone still writes to) is for the next sweep.
        let _ = remove_tree(&self.path);
    }
}

/// Where only the owner of `tmp/` comes anyway, he may look into what root works on in his store, to see later that it is a leftover.
fn open_to_its_owner(tmp: &Path, entry: &Path) -> io::Result<()> {
    match fs::metadata(tmp)?.mode() & 0o077 {
        0 => fs::set_permissions(entry, fs::Permissions::from_mode(0o755)),
        _ => Ok(()),
    }
}

/// The first `LABEL-PID-N` that is not taken; threads of one process make entries at the same time.
fn free_name(tmp: &Path, label: &str) -> Result<PathBuf> {
    let pid = std::process::id();
    (0..u32::MAX)
        .map(|number| tmp.join(format!("{label}-{pid}-{number}")))
        .find(|path| fs::symlink_metadata(path).is_err())
        .ok_or_else(|| Error::new(tmp.display(), "has no free name left"))
}

/// Removes the entries whose owner is gone. Gives what could not be removed, and is said for the first time.
///
/// Nothing that goes wrong here is an error: a store that this process may only read has nothing to be swept by it.
pub(crate) fn sweep(tmp: &Path) -> Vec<Error> {
    let Ok(folder) = open_folder(tmp) else { return Vec::new() };
    close_to_others(&folder);
    let names = names_in(tmp).unwrap_or_default();
    names
        .iter()
        .filter(|name| *name != EARLIER_LOCK)
        .filter_map(|name| sweep_entry(tmp, &folder, name))
        .collect()
}

/// The entries that were set aside, for people.
pub(crate) fn set_aside(tmp: &Path) -> Vec<Error> {
    let names = names_in(tmp).unwrap_or_default();
    let left = names.into_iter().filter(|name| name.to_string_lossy().starts_with(SET_ASIDE));
    left.map(|name| finding(&name, "an interrupted command left it, and it could not be removed", tmp))
        .collect()
}

fn finding(name: &OsStr, cause: &str, tmp: &Path) -> Error {
    let remedy = format!("remove it as its owner, or as root: rm -rf '{}'", tmp.join(name).display());
    let folder = tmp.file_name().unwrap_or_default().to_string_lossy();
    Error::new(format!("{folder}/{}", name.to_string_lossy()), cause).remedy(remedy)
}

/// The names in a folder, sorted; `.` and `..` are none.
fn names_in(folder: &Path) -> io::Result<Vec<OsString>> {
    let mut names = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn sweep_entry(tmp: &Path, folder: &File, name: &OsStr) -> Option<Error> {
    let path = tmp.join(name);
    let guard = lock_tmp(tmp).ok()??;
    let lock = match lock_entry(&path) {
        Ok(Some(lock)) => Some(lock),
        // Somebody's work, or somebody else's, of whom nobody knows whether he is at work.
        Ok(None) => return None,
        // A link, or what else no process of ours ever made there, is nobody's work.
        Err(error) if is_no_entry(&error) => None,
        Err(_) => return None,
    };
    // Nobody else takes it while its own lock is held: others need not wait until all of it is gone.
    drop(guard);
    let removed = removal::remove_at(folder.as_fd(), name);
    let finding = removed.err().and_then(|stuck| put_aside(tmp, folder, name, &stuck));
    drop(lock);
    finding
}

/// Renames an entry that stays. `None` when it was set aside before, and when nothing may be changed here at all.
fn put_aside(tmp: &Path, folder: &File, name: &OsStr, stuck: &Stuck) -> Option<Error> {
    if name.to_string_lossy().starts_with(SET_ASIDE)
        || stuck.error.kind() == io::ErrorKind::ReadOnlyFilesystem
    {
        return None;
    }
    let aside = aside_name(folder, name)?;
    // Where not even a name may be changed, the leftover is not ours to speak of.
    rustix::fs::renameat(folder, name, folder, &aside).ok()?;
    let what = if stuck.path.as_os_str().is_empty() {
        "it cannot be removed".to_owned()
    } else {
        format!("{} cannot be removed", stuck.path.display())
    };
    let cause = format!("was left by an interrupted command and set aside: {what}: {}", stuck.error);
    Some(finding(&aside, &cause, tmp))
}

/// The first name that is free in `folder` for what cannot be removed from it.
pub(crate) fn aside_name(folder: &File, name: &OsStr) -> Option<OsString> {
    let aside = |number: u32| {
        let mut aside = OsString::from(SET_ASIDE);
        aside.push(name);
        if number > 0 {
            aside.push(format!("-{number}"));
        }
        aside
    };
    (0..u32::MAX).map(aside).find(|aside| !is_there(folder, aside))
}

/// Whether something has this name, a link too.
pub(crate) fn is_there(folder: &File, name: &OsStr) -> bool {
    rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// Takes the rights of others away from a `tmp/` that an earlier version made. One that a group may write to was made so by
/// somebody, for a group that shares the store.
fn close_to_others(tmp: &File) {
    let Ok(found) = tmp.metadata() else { return };
    if found.mode() & 0o077 != 0 && found.mode() & 0o022 == 0 {
        // Who may not do that has nothing to lose there.
        let _ = tmp.set_permissions(fs::Permissions::from_mode(PRIVATE));
    }
}

/// The lock of `tmp`; `None` where that folder was removed while this waited for it.
fn lock_tmp(tmp: &Path) -> io::Result<Option<Flock<File>>> {
    let folder = match open_folder(tmp) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        folder => folder?,
    };
    let lock = Flock::lock(folder, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
    let identity = |found: &fs::Metadata| (found.dev(), found.ino());
    let locked = identity(&lock.metadata()?);
    Ok(fs::symlink_metadata(tmp).is_ok_and(|found| identity(&found) == locked).then_some(lock))
}

/// Opens `tmp/`, which is never a link: to sweep where a link leads would remove what is no leftover.
fn open_folder(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    File::options().read(true).custom_flags(flags.bits()).open(path)
}

/// The lock of an entry, and with it the word that its owner is gone. A folder of ours without rights gets them.
fn lock_entry(path: &Path) -> io::Result<Option<Flock<File>>> {
    // Neither a link nor a FIFO, which would wait for a writer, is opened.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let open = || File::options().read(true).custom_flags(flags.bits()).open(path);
    let file = match open() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && is_folder(path) => {
            fs::set_permissions(path, fs::Permissions::from_mode(PRIVATE))?;
            open()?
        }
        opened => opened?,
    };
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(errno.into()),
    }
}

/// chmod(2) follows links: only a folder is given rights.
fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

/// ELOOP for a link; ENXIO for a socket or a device without a driver.
fn is_no_entry(error: &io::Error) -> bool {
    use nix::errno::Errno;
    [Errno::ELOOP, Errno::ENXIO].iter().any(|errno| error.raw_os_error() == Some(*errno as i32))
}

/// Removes a folder and all below it, of any depth and with whatever rights builds left; what is gone already is no error.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    let parent = File::open(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?;
    removal::remove_at(parent.as_fd(), name).map_err(|stuck| stuck.error)
}
