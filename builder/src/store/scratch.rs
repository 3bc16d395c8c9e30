//! Folders of one process under `tmp/`, swept by the next command when that process is gone.
//!
//! An entry `NAME` is a folder whose file descriptor its owner holds locked (flock(2)); the kernel drops the lock when the
//! owner dies, however it dies. `tmp/.lock` is held while an entry is made and while the sweep looks, so that an entry is
//! never seen between its creation and its lock.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use crate::error::{Error, Result};

/// A folder that is removed when this is dropped, or by the next command when the process was killed.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    _lock: Flock<File>,
}

impl Scratch {
    pub(super) fn make(tmp: &Path, label: &str) -> Result<Self> {
        let _guard = lock_tmp(tmp)?;
        let path = free_name(tmp, label)?;
        fs::create_dir(&path).map_err(Error::on(path.display()))?;
        let lock = lock_entry(&path)
            .map_err(Error::on(path.display()))?
            .ok_or_else(|| Error::new(path.display(), "another process has locked this new folder"))?;
        Ok(Scratch { path, _lock: lock })
    }

    /// The folder, absolute when the store's path is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now (a folder that someone still writes to) is for the next sweep.
        let _ = remove_tree(&self.path);
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

/// Removes the entries whose owner is gone.
pub(super) fn sweep(tmp: &Path) -> Result<()> {
    fs::create_dir_all(tmp).map_err(Error::on(tmp.display()))?;
    let entries = super::files_in(tmp)?;
    if entries.iter().all(|path| path.ends_with(".lock")) {
        return Ok(());
    }
    let _guard = lock_tmp(tmp)?;
    for path in entries.iter().filter(|path| !path.ends_with(".lock")) {
        match lock_entry(path) {
            Ok(Some(_lock)) => remove_tree(path).map_err(Error::on(path.display()))?,
            // Somebody's work, or gone since the folder was read.
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::new(path.display(), error)),
        }
    }
    Ok(())
}

fn lock_tmp(tmp: &Path) -> Result<Flock<File>> {
    let path = tmp.join(".lock");
    fs::create_dir_all(tmp).map_err(Error::on(tmp.display()))?;
    let file = File::options().create(true).append(true).open(&path).map_err(|error| {
        Error::new(path.display(), error)
            .remedy("take a store that you may write to with `--store DIR` or LAMINA_STORE")
    })?;
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| Error::new(path.display(), errno))
}

fn lock_entry(path: &Path) -> io::Result<Option<Flock<File>>> {
    match Flock::lock(File::open(path)?, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(errno.into()),
    }
}

/// Removes a folder and all below it, also folders without permission bits, which builds leave as an ordinary user.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_folders(path)?;
            fs::remove_dir_all(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => fs::remove_file(path),
        result => result,
    }
}

/// Gives the owner all rights on every folder of the tree. Symbolic links are not followed.
fn open_folders(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_folders(&entry.path())?;
        }
    }
    Ok(())
}
