//! What lies in a store, opened and made as what it must be. The folder may be another user's, who can put a link, a FIFO or a folder
//! under any name while root works there: folders are entered one name at a time ([`new_folder::beneath`]), and neither a link is
//! followed nor a FIFO waited for.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;

use crate::error::{Error, Result};
use crate::new_folder::{self, NoFolder, Rule};

/// Of the folders of a store, whatever the umask: others read what they may stack, boot and copy.
pub(super) const SHARED: u32 = 0o755;
/// What helps where nothing can be made in a store.
pub(super) const ANOTHER_STORE: &str =
    "take a store that you may write to with `--store DIR` or LAMINA_STORE";
/// Of the files that are published in it.
const SHARED_FILE: u32 = 0o644;

/// A folder of the store at `root`, made with this mode where it is missing.
pub(super) fn store_folder(root: &Path, path: &Path, mode: u32) -> Result<OwnedFd> {
    new_folder::beneath(root, path, Rule::OfStore(mode)).map_err(|error| unusable(path, &error))
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
    new_folder::with_parents(above, Rule::Ordinary).map_err(|error| unusable(above, &error.into()))?;
    store_folder(above, root, SHARED).map(drop)
}

/// Refuses a link where a folder of a store belongs.
pub(super) fn refuse_link(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => Err(unusable(path, &NoFolder::Link(path.to_path_buf()))),
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
    new_folder::set_mode(file, SHARED_FILE)
}

fn unusable(path: &Path, error: &NoFolder) -> Error {
    if let NoFolder::Link(_) = error {
        return Error::new(path.display(), error.to_string()).remedy(
            "remove the link; to have a part elsewhere, move the whole store, or mount a folder there",
        );
    }
    Error::new(path.display(), format!("cannot make this folder: {error}"))
        .remedy("give a folder that you may write to with `--store DIR` or LAMINA_STORE")
}
