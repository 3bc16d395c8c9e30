//! Mounts that are nowhere yet: copies of what is at a path, restricted, with other owners, and then put somewhere.
//!
//! open_tree(2) and move_mount(2) of Linux 5.2, mount_setattr(2) of 5.12.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};

use crate::mount::Attributes;
use crate::{Error, Result};

/// A copy of a mount that is nowhere; it ends with this value unless it was put somewhere.
#[derive(Debug)]
pub struct DetachedMount {
    mount: OwnedFd,
    source: PathBuf,
}

impl DetachedMount {
    /// What fsmount(2) gave; messages name `source`.
    pub(crate) fn of(mount: OwnedFd, source: &Path) -> Self {
        Self { mount, source: source.to_path_buf() }
    }

    /// A copy of what is at `source`, without the mounts below it (open_tree(2) with OPEN_TREE_CLONE). Needs CAP_SYS_ADMIN in the user
    /// namespace that owns the mount namespace.
    pub fn copy(source: &Path) -> Result<Self> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let mount = open_tree(rustix::fs::CWD, source, flags)
            .map_err(|errno| Error::new("copy the mount of", source.display(), errno))?;
        Ok(Self { mount, source: source.to_path_buf() })
    }

    /// Adds attributes, such as read-only and `nosuid`; those that it has stay. It gets no mounts any more that the original gets.
    pub fn restrict(&self, attributes: Attributes) -> Result<()> {
        set_attributes(&self.mount, u64::from(attributes.bits()), None).map_err(|errno| {
            Error::new("restrict the mount of", self.source.display(), io::Error::from(errno))
        })
    }

    /// Shows the files with other owners: user N on the file system as the user that N is in `namespace`, a user namespace
    /// (MOUNT_ATTR_IDMAP of mount_setattr(2)). Needs CAP_SYS_ADMIN where the file system was mounted.
    ///
    /// # Errors
    /// EINVAL: a file system that cannot do this.
    pub fn map_owners(&self, namespace: BorrowedFd<'_>) -> Result<()> {
        set_attributes(&self.mount, libc::MOUNT_ATTR_IDMAP, Some(namespace)).map_err(|errno| {
            Error::new("map the owners of the mount of", self.source.display(), io::Error::from(errno))
        })
    }

    /// Puts it at `target`, which must exist: a folder over a folder, a file over a file.
    pub fn attach(&self, target: &Path) -> Result<()> {
        move_mount(&self.mount, "", rustix::fs::CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).map_err(
            |errno| Error::new("mount", format!("{} at {}", self.source.display(), target.display()), errno),
        )
    }
}

impl AsFd for DetachedMount {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.mount.as_fd()
    }
}

/// Adds attributes to the mount at `target`.
pub fn restrict(target: &Path, attributes: Attributes) -> Result<()> {
    let error = |errno: Errno| Error::new("restrict the mount at", target.display(), io::Error::from(errno));
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
    let open = rustix::fs::open(target, flags, rustix::fs::Mode::empty())
        .map_err(|errno| Error::new("restrict the mount at", target.display(), errno))?;
    set_attributes(&open, u64::from(attributes.bits()), None).map_err(error)
}

fn set_attributes(mount: &OwnedFd, set: u64, namespace: Option<BorrowedFd<'_>>) -> nix::Result<()> {
    let userns_fd = namespace.map_or(0, |fd| u64::from(fd.as_raw_fd().unsigned_abs()));
    let attributes =
        libc::mount_attr { attr_set: set, attr_clr: 0, propagation: libc::MS_PRIVATE, userns_fd };
    // SAFETY: the path is an empty string with its NUL, and the structure lives until the call returns and is as long as is said.
    #[expect(unsafe_code, reason = "mount_setattr(2): see SAFETY")]
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    Errno::result(result).map(drop)
}
