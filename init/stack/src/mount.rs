//! Mounting with the new mount API: fsopen(2), fsconfig(2), fsmount(2), move_mount(2), all of Linux 5.2.
//!
//! Its gain over mount(2): options are not clipped at 4095 bytes, and when the kernel refuses, the context that
//! fsopen(2) returned holds the reason as text, which goes into our [`Error`].

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountFlags, MoveMountFlags, UnmountFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, move_mount,
};

pub use rustix::mount::MountAttrFlags as Attributes;

use crate::loop_device::LoopDevice;
use crate::{Error, Result};

/// An open file-system context, not yet mounted anywhere.
pub(crate) struct Context {
    fd: OwnedFd,
    object: String,
}

impl Context {
    /// fsopen(2). `object` is what messages name: the image, the device or the target.
    pub(crate) fn open(filesystem: &str, object: impl fmt::Display) -> Result<Self> {
        let object = object.to_string();
        match fsopen(filesystem, FsOpenFlags::FSOPEN_CLOEXEC) {
            Ok(fd) => Ok(Self { fd, object }),
            Err(rustix::io::Errno::NODEV) => {
                let error = Error::new("mount", object, rustix::io::Errno::NODEV);
                Err(error.with_remedy(format!(
                    "this kernel does not know the file system {filesystem}: load its module or build it in"
                )))
            }
            Err(errno) => Err(Error::new("mount", object, errno)),
        }
    }

    /// FSCONFIG_SET_STRING.
    pub(crate) fn set(&self, key: &str, value: impl rustix::path::Arg) -> Result<()> {
        fsconfig_set_string(&self.fd, key, value).map_err(|errno| self.error(errno))
    }

    /// FSCONFIG_SET_FLAG.
    pub(crate) fn flag(&self, key: &str) -> Result<()> {
        fsconfig_set_flag(&self.fd, key).map_err(|errno| self.error(errno))
    }

    /// FSCONFIG_CMD_CREATE, fsmount(2) and move_mount(2): the file system appears at `target`.
    pub(crate) fn mount(self, attributes: Attributes, target: &Path) -> Result<()> {
        fsconfig_create(&self.fd).map_err(|errno| self.error(errno))?;
        let tree = fsmount(&self.fd, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
            .map_err(|errno| self.error(errno))?;
        let here = rustix::fs::CWD;
        move_mount(&tree, "", here, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
            .map_err(|errno| Error::new("mount", format!("{} at {}", self.object, target.display()), errno))
    }

    /// The error with all that the kernel left in the context. Each read(2) gives one message, `e TEXT`, `w TEXT` or
    /// `i TEXT`, and ENODATA ends them (fsopen(2)).
    fn error(&self, errno: rustix::io::Errno) -> Error {
        let mut error = Error::new("mount", &self.object, io::Error::from(errno));
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = rustix::io::read(&self.fd, &mut buffer) {
            let line = String::from_utf8_lossy(&buffer[..count]);
            let line = line.trim_end();
            let text = line.strip_prefix(['e', 'w', 'i']).map_or(line, str::trim_start);
            error.kernel.push(text.to_owned());
        }
        error
    }
}

/// One file system to mount.
#[derive(Debug, Clone, Copy)]
pub struct Filesystem<'a> {
    /// Its name in `/proc/filesystems`.
    pub kind: &'a str,
    /// A device node, a tag, or any word for file systems without a device.
    pub source: &'a str,
    /// Options with a value, in order.
    pub options: &'a [(&'a str, &'a str)],
    /// Options without a value, such as `ro`.
    pub flags: &'a [&'a str],
    /// What holds for this mount: `nosuid`, `nodev`, read-only.
    pub attributes: Attributes,
}

impl Filesystem<'_> {
    /// Mounts it at `target`, which must exist.
    pub fn mount(&self, target: &Path) -> Result<()> {
        let context = Context::open(self.kind, format_args!("{} ({})", self.source, self.kind))?;
        context.set("source", self.source)?;
        for (key, value) in self.options {
            context.set(key, *value)?;
        }
        for flag in self.flags {
            context.flag(flag)?;
        }
        context.mount(self.attributes, target)
    }
}

/// Mounts the squashfs of an attached image read-only at `target`, which must exist.
pub fn squashfs(device: &LoopDevice, target: &Path) -> Result<()> {
    let context = Context::open("squashfs", device.image().display())?;
    context.set("source", device.path())?;
    context.flag("ro")?;
    context.mount(Attributes::MOUNT_ATTR_RDONLY, target)
}

/// Makes the tree at `source` visible at `target` too, without the mounts below it.
pub fn bind(source: &Path, target: &Path) -> Result<()> {
    let object = || format!("{} at {}", source.display(), target.display());
    rustix::mount::mount_bind(source, target).map_err(|errno| Error::new("bind", object(), errno))
}

/// Makes the mount at `target` read-only, not its file system: `mount -o remount,rw` undoes it (MS_REMOUNT with MS_BIND of
/// mount(2)).
pub fn protect(target: &Path) -> Result<()> {
    rustix::mount::mount_remount(target, MountFlags::BIND | MountFlags::RDONLY, "")
        .map_err(|errno| Error::new("make read-only", target.display(), errno))
}

/// Moves the mount at `source` to `target` (MS_MOVE of mount(2)).
pub fn relocate(source: &Path, target: &Path) -> Result<()> {
    let object = || format!("{} to {}", source.display(), target.display());
    rustix::mount::mount_move(source, target).map_err(|errno| Error::new("move", object(), errno))
}

/// Takes the mount away from its place at once; it ends when its last user does (MNT_DETACH of umount(2)).
pub fn detach(target: &Path) -> Result<()> {
    rustix::mount::unmount(target, UnmountFlags::DETACH)
        .map_err(|errno| Error::new("unmount", target.display(), errno))
}
