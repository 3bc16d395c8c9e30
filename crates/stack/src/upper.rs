//! The folder that takes the changes of an overlay: what its file system must be able to do, and the attributes that it owes to
//! the root.
//!
//! The rules are those of "Upper and lower" in the kernel's `Documentation/filesystems/overlayfs.rst`: an upper "must support
//! the creation of trusted.* extended attributes, and must provide valid d_type in readdir responses". The kernel only warns of
//! both in its log, mounts, and gives a root in which a deleted file comes back.

use std::ffi::CStr;
use std::fmt;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{
    Dir, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, fchmod, fchown, fgetxattr,
    flistxattr, flistxattr_query, fsetxattr, fstat, futimens, ioctl_getflags, openat,
};
use rustix::io::Errno;

use crate::{Error, Result};

/// overlayfs' own marks begin with it.
const OVERLAY: &[u8] = b"trusted.overlay.";
/// FS_CASEFOLD_FL of `include/uapi/linux/fs.h`: names in this folder are compared without regard to case.
const CASEFOLD: u32 = 0x4000_0000;
/// XATTR_LIST_MAX and XATTR_SIZE_MAX of `include/uapi/linux/limits.h`.
const LONGEST: usize = 64 << 10;
/// All values together: ext4 has room for 4 KiB, and an image may come from anybody.
const MOST: usize = 256 << 10;

/// What a file system lacks that overlayfs needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// Directory entries do not say what they are (`d_type` of readdir(3) is DT_UNKNOWN).
    EntryTypes,
    /// There are no `trusted.*` attributes.
    Attributes,
    /// The folder compares names without regard to case.
    CaseFolding,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EntryTypes => {
                "its directory entries have no types (XFS made with ftype=0, or ext4 without the feature filetype), \
                 so that overlayfs could not hide what is deleted"
            }
            Self::Attributes => "it has no extended attributes, in which overlayfs notes what it replaces",
            Self::CaseFolding => {
                "the folder compares names without regard to case (chattr +F), which overlayfs does not do"
            }
        })
    }
}

/// What the file system of the folder `name` in `parent` lacks. Nothing is written.
///
/// # Errors
/// The folder cannot be opened, or its parent cannot be read.
pub fn lack(parent: BorrowedFd<'_>, name: &str) -> std::result::Result<Option<Lack>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(parent, name, flags, Mode::empty())?;
    // Not every file system has flags.
    if ioctl_getflags(&folder).is_ok_and(|flags| flags.bits() & CASEFOLD != 0) {
        return Ok(Some(Lack::CaseFolding));
    }
    if fgetxattr(&folder, c"trusted.overlay.opaque", &mut [0; 8][..]) == Err(Errno::OPNOTSUPP) {
        return Ok(Some(Lack::Attributes));
    }
    for entry in Dir::read_from(parent)? {
        let entry = entry?;
        if entry.file_name().to_bytes() == name.as_bytes() {
            return Ok((entry.file_type() == FileType::Unknown).then_some(Lack::EntryTypes));
        }
    }
    Ok(None)
}

/// Gives `upper` the owner, mode, times and extended attributes of `lower`, the root of the topmost layer: the merged root shows
/// those of the upper folder. What overlayfs itself noted there is left out. Returns the attributes that the file system
/// of `upper` does not take, such as `user.*` on a tmpfs before Linux 6.6.
///
/// # Errors
/// A folder cannot be opened, or owner, mode or times cannot be set.
pub fn give_attributes(lower: &Path, upper: &Path) -> Result<Vec<String>> {
    let (from, to) = (folder(lower)?, folder(upper)?);
    let left = give_extended(from.as_fd(), to.as_fd());
    let error = |errno| Error::new("give the attributes of the root to", upper.display(), errno);
    let found = fstat(&from).map_err(error)?;
    // In this order: a new owner takes away set-user-id bits, and an access control list has the mode of the group in it.
    fchown(&to, Some(Uid::from_raw(found.st_uid)), Some(Gid::from_raw(found.st_gid))).map_err(error)?;
    fchmod(&to, Mode::from_raw_mode(found.st_mode & 0o7777)).map_err(error)?;
    let time = |seconds, nanoseconds| Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps {
        last_access: time(found.st_atime as _, found.st_atime_nsec as _),
        last_modification: time(found.st_mtime as _, found.st_mtime_nsec as _),
    };
    futimens(&to, &times).map_err(error)?;
    Ok(left)
}

fn give_extended(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Vec<String> {
    // A file system without any has nothing to give.
    if flistxattr_query(from).unwrap_or(0) == 0 {
        return Vec::new();
    }
    let mut names = vec![0; LONGEST];
    let length = flistxattr(from, names.as_mut_slice()).unwrap_or(0);
    names.truncate(length);
    let names =
        names.split_inclusive(|byte| *byte == 0).filter_map(|name| CStr::from_bytes_with_nul(name).ok());
    let (mut value, mut left, mut room) = (vec![0; LONGEST], Vec::new(), MOST);
    for name in names.filter(|name| !name.to_bytes().starts_with(OVERLAY)) {
        let length = fgetxattr(from, name, value.as_mut_slice()).ok().filter(|length| *length <= room);
        let value = length.and_then(|length| value.get(..length));
        room -= length.unwrap_or(0);
        if value.is_none_or(|value| fsetxattr(to, name, value, XattrFlags::empty()).is_err()) {
            left.push(name.to_string_lossy().into_owned());
        }
    }
    left
}

fn folder(path: &Path) -> Result<File> {
    let flags = (OFlags::CLOEXEC | OFlags::DIRECTORY).bits();
    let file = File::options().read(true).custom_flags(flags as _).open(path);
    file.map_err(|cause| Error::new("open", path.display(), cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_this_machine_lacks_nothing() {
        let parent = tempfile::tempdir().unwrap();
        std::fs::create_dir(parent.path().join("folder")).unwrap();
        let open = File::open(parent.path()).unwrap();
        assert_eq!(lack(open.as_fd(), "folder"), Ok(None));
        assert_eq!(lack(open.as_fd(), "nothing"), Err(Errno::NOENT));
    }
}
