//! Gives a finished file its name, at once and for good.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::linkat;

use crate::error::{Error, Result};

/// Names a file that has none (open(2), O_TMPFILE). The bytes are on the disk before the name is.
pub(super) fn nameless(file: &File, path: &Path) -> Result<()> {
    let attempt = || -> io::Result<()> {
        // Temporary files are their owner's alone; builds read sources as other users.
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
        file.sync_all()?;
        let nameless = format!("/proc/self/fd/{}", file.as_raw_fd());
        match linkat(AT_FDCWD, nameless.as_str(), AT_FDCWD, path, AtFlags::AT_SYMLINK_FOLLOW) {
            // Another process was faster: names are hashes, so it has the same bytes.
            Ok(()) | Err(Errno::EEXIST) => sync_folder(path),
            // Not every file system can name a nameless file.
            Err(Errno::ENOENT | Errno::EPERM | Errno::EOPNOTSUPP | Errno::EXDEV) => {
                by_rename(Path::new(&nameless), path)
            }
            Err(errno) => Err(errno.into()),
        }
    };
    attempt().map_err(Error::on(path.display()))
}

/// Puts the bytes of `from` at `to` too: the same file under a second name where that is possible, else a copy.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    let attempt = || match fs::hard_link(from, to) {
        Ok(()) => sync_folder(to),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(_) => by_rename(from, to),
    };
    attempt().map_err(Error::on(to.display()))
}

fn by_rename(from: &Path, to: &Path) -> io::Result<()> {
    let folder = to.parent().unwrap_or(Path::new("."));
    let mut copy = tempfile::NamedTempFile::with_prefix_in(".incomplete-", folder)?;
    io::copy(&mut File::open(from)?, copy.as_file_mut())?;
    copy.as_file().sync_all()?;
    copy.persist(to).map_err(|error| error.error)?;
    sync_folder(to)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}
