//! How something that is finished gets its name: after any power cut the name leads to all of it, or to what had the name before.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;

/// The set-group-id bit, which chmod(2) takes away where the owner is not of the group.
const SET_GROUP: u32 = 0o2000;

/// Moves a finished file or folder, which is open as `finished`, from a path to a name in an open folder: it is synced, renamed in place
/// of a file of that name, and the name is synced. Of a folder the contents are synced by who made it (syncfs(2)).
///
/// # Errors
/// The disk is full or fails; the name is that of a folder with something in it; the two are on different file systems.
pub fn move_into(finished: &File, from: (impl AsFd, &Path), to: (impl AsFd, &OsStr)) -> io::Result<()> {
    finished.sync_all()?;
    rename(finished, from, to)
}

/// The same for what was synced already.
pub(crate) fn rename(finished: &File, from: (impl AsFd, &Path), to: (impl AsFd, &OsStr)) -> io::Result<()> {
    renameat(from.0, from.1, &to.0, to.1)?;
    sync_name(finished, to.0)
}

/// Has the new name of a file on the disk, and with it what the name leads to.
pub(crate) fn sync_name(file: &File, folder: impl AsFd) -> io::Result<()> {
    // On FAT the new name has neither length nor blocks until the file itself is written once more (vfat_rename of the
    // kernel's fs/fat/namei_vfat.c): a power cut would leave an empty file.
    sync_changed(file)?;
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    sync_changed(&openat(folder, ".", flags, Mode::empty())?.into())
}

/// Syncs a file or folder whose inode was changed by link(2), rename(2) or a new entry.
///
/// On ext4 without a journal such a change is in a buffer that fsync(2) does not look at, because the inode does not count as dirty
/// (`ext4_mark_inode_dirty` and `ext4_fsync_nojournal` of the kernel's fs/ext4): the name was on the disk, and the file had no links
/// there. Setting the mode that it has makes the inode dirty. Somebody else's folder cannot be set, and is synced as well as may be.
fn sync_changed(file: &File) -> io::Result<()> {
    let found = file.metadata()?;
    if found.mode() & SET_GROUP == 0 {
        let _ = file.set_permissions(found.permissions());
    }
    file.sync_all()
}
