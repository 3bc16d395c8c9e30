//! The removal of files below a folder: nothing is reached through a link (openat2(2)), so that whatever a medium holds, only files of its own
//! are removed.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};

use crate::error::{Error, Result};

/// Removes files below a folder, in this order, each for good before the next one goes. What is gone already is no error.
pub(crate) fn remove(folder: &Path, files: &[PathBuf]) -> Result<()> {
    for file in files {
        let (inside, name) =
            (file.parent().unwrap_or(Path::new("")), file.file_name().unwrap_or(OsStr::new("")));
        let attempt = || -> io::Result<()> {
            let directory = open(folder, inside)?;
            match rustix::fs::unlinkat(&directory, name, AtFlags::empty()) {
                Err(rustix::io::Errno::NOENT) => Ok(()),
                // A profile that would come back after a power cut, without its images, could not be booted.
                removed => removed.and_then(|()| rustix::fs::fsync(&directory)).map_err(io::Error::from),
            }
        };
        attempt().map_err(Error::on(folder.join(file).display()))?;
    }
    Ok(())
}

/// Opens a folder of the medium, never through a link below it.
fn open(folder: &Path, inside: impl AsRef<Path>) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let medium = rustix::fs::open(folder, flags, Mode::empty())?;
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    Ok(rustix::fs::openat2(&medium, inside.as_ref(), flags, Mode::empty(), within)?)
}
