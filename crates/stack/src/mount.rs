//! Mounting with the new mount API: fsopen(2), fsconfig(2), fsmount(2), move_mount(2), all of Linux 5.2.
//!
//! Its gain over mount(2): options are not clipped at 4095 bytes, and when the kernel refuses, the context that
//! fsopen(2) returned holds the reason as text, which goes into our [`Error`].

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use block_probe::image_kind::ImageKind;
use rustix::fs::{AtFlags, StatVfsMountFlags, statvfs};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountFlags, MoveMountFlags, UnmountFlags, fsconfig_create, fsconfig_set_fd,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount,
};

pub use rustix::mount::MountAttrFlags as Attributes;

use crate::detached::DetachedMount;
use crate::image::OpenImage;
use crate::loop_device::LoopDevice;
use crate::verity::VerityDevice;
use crate::{Error, Result};

/// An open file-system context, not yet mounted anywhere.
pub(crate) struct Context<'a> {
    fd: OwnedFd,
    object: &'a dyn fmt::Display,
}

impl<'a> Context<'a> {
    /// fsopen(2). `object` is what messages name: the image, the device or the target.
    pub(crate) fn open(filesystem: &str, object: &'a dyn fmt::Display) -> Result<Self> {
        match fsopen(filesystem, FsOpenFlags::FSOPEN_CLOEXEC) {
            Ok(fd) => Ok(Self { fd, object }),
            Err(rustix::io::Errno::NODEV) => {
                let error = Error::new("mount", object, rustix::io::Errno::NODEV);
                Err(error.with_remedy(format!(
                    "this kernel does not know the file system {filesystem}: pack its module into the initramfs (mkinitramfs --module {filesystem}), or build it in"
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

    /// FSCONFIG_SET_FD: the kernel takes a reference of its own.
    pub(crate) fn set_descriptor(&self, key: &str, descriptor: impl AsFd) -> Result<()> {
        fsconfig_set_fd(&self.fd, key, descriptor).map_err(|errno| self.error(errno))
    }

    /// FSCONFIG_CMD_CREATE and fsmount(2): a mount that is nowhere yet.
    pub(crate) fn create(&self, attributes: Attributes) -> Result<OwnedFd> {
        fsconfig_create(&self.fd).map_err(|errno| self.error(errno))?;
        fsmount(&self.fd, FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(|errno| self.error(errno))
    }

    /// [`Context::create`] and move_mount(2): the file system appears at `target`.
    pub(crate) fn mount(self, attributes: Attributes, target: &Path) -> Result<()> {
        show(&self.create(attributes)?, target, self.object)
    }

    /// The error with all that the kernel left in the context. Each read(2) gives one message, `e TEXT`, `w TEXT` or
    /// `i TEXT`, and ENODATA ends them (fsopen(2)).
    fn error(&self, errno: rustix::io::Errno) -> Error {
        let mut error = Error::new("mount", self.object, io::Error::from(errno));
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

/// move_mount(2) of a mount that is nowhere yet. A link is followed, as by mount(2): targets are also `/proc/self/fd/N`, which is EINVAL
/// otherwise.
fn show(mount: &OwnedFd, target: &Path, object: &dyn fmt::Display) -> Result<()> {
    let here = rustix::fs::CWD;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_SYMLINKS;
    move_mount(mount, "", here, target, flags)
        .map_err(|errno| Error::new("mount", format!("{object} at {}", target.display()), errno))
}

/// What the blocks of an image are read through.
#[derive(Debug, Clone, Copy)]
pub enum Backing<'a> {
    /// A loop device: nothing is checked.
    Loop(&'a LoopDevice),
    /// dm-verity: every block is checked when it is read.
    Verity(&'a VerityDevice),
    /// The file itself, without a device: EROFS of Linux 6.12 with CONFIG_EROFS_FS_BACKED_BY_FILE, on most file systems but not
    /// on a tmpfs. Where the kernel cannot, the error is [`Error::is_unsupported`], and a loop device does it.
    File(&'a OpenImage),
}

/// A layer that is mounted read-only. Until [`MountedLayer::show_at`] it is nowhere, and ends with this value.
#[derive(Debug)]
pub struct MountedLayer {
    mount: OwnedFd,
}

impl MountedLayer {
    /// Makes the layer visible at `target`, which must exist. It stays there when this value is dropped.
    pub fn show_at(&self, target: &Path) -> Result<()> {
        show(&self.mount, target, &"a layer")
    }

    /// Looks up a name at the top of the layer, so that the kernel has read its first directory. Whoever looks up a name in joined layers
    /// waits for a disk, and for the threads of its loop device, once for each of them; layers that are mounted side by side are read so
    /// too. What is wrong with the layer shows when it is used.
    pub fn look_up(&self, name: &str) {
        let _ = rustix::fs::statat(&self.mount, name, AtFlags::SYMLINK_NOFOLLOW);
    }
}

impl AsFd for MountedLayer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.mount.as_fd()
    }
}

/// Mounts the file system of an image read-only. `object` is what messages name: the image.
///
/// Nothing can be run there, and set-user-id bits and device nodes mean nothing: a layer also has what the layers above it
/// replace or take away, such as the old version of a program with a hole. Through overlayfs, whose own mount decides, all
/// that is left of it works.
pub fn layer(kind: ImageKind, backing: &Backing, object: &Path) -> Result<MountedLayer> {
    layer_with(kind, backing, object, None)
}

/// As [`layer`]: a squashfs with at most so many decompressors, where the kernel lets us say that. Otherwise it makes as many as it was
/// built to make, up to one for each processor that could ever be there.
pub fn layer_with(
    kind: ImageKind,
    backing: &Backing,
    object: &Path,
    decompressors: Option<usize>,
) -> Result<MountedLayer> {
    let object = object.display();
    let context = match decompressors {
        Some(count) if kind == ImageKind::Squashfs => squashfs_context(&object, count)?,
        _ => Context::open(kind.driver(), &object)?,
    };
    match backing {
        Backing::Loop(device) => context.set("source", device.path())?,
        Backing::Verity(device) => context.set("source", device.path())?,
        // The descriptor, not the name, which may be another file's by now.
        Backing::File(image) => {
            context.set("source", format!("/proc/self/fd/{}", image.file.as_raw_fd()))?;
        }
    }
    context.flag("ro")?;
    let attributes = Attributes::MOUNT_ATTR_RDONLY
        | Attributes::MOUNT_ATTR_NOSUID
        | Attributes::MOUNT_ATTR_NODEV
        | Attributes::MOUNT_ATTR_NOEXEC;
    Ok(MountedLayer { mount: context.create(attributes)? })
}

/// Whether `threads=` of squashfs was refused: asked once, a kernel answers the same for every image.
static NO_THREADS: AtomicBool = AtomicBool::new(false);

/// `threads=` is there since Linux 6.2, with CONFIG_SQUASHFS_CHOICE_DECOMP_BY_MOUNT or CONFIG_SQUASHFS_MOUNT_DECOMP_THREADS
/// (`squashfs_parse_param_threads` in `fs/squashfs/super.c`).
fn squashfs_context(object: &dyn fmt::Display, decompressors: usize) -> Result<Context<'_>> {
    if !NO_THREADS.load(Ordering::Relaxed) {
        let context = Context::open(ImageKind::Squashfs.driver(), object)?;
        if context.set("threads", decompressors.to_string()).is_ok() {
            return Ok(context);
        }
        NO_THREADS.store(true, Ordering::Relaxed);
    }
    // Anew: what the kernel said of the parameter would stand in the error of the mount.
    Context::open(ImageKind::Squashfs.driver(), object)
}

/// Whether a squashfs can be mounted with one decompressor and no more. The driver must be there.
pub fn squashfs_takes_threads() -> bool {
    squashfs_context(&"squashfs", 1).is_ok() && !NO_THREADS.load(Ordering::Relaxed)
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
        self.context()?.mount(self.attributes, target)
    }

    /// Mounts it nowhere yet.
    pub fn detached(&self) -> Result<DetachedMount> {
        Ok(DetachedMount::of(self.context()?.create(self.attributes)?, Path::new(self.source)))
    }

    fn context(&self) -> Result<Context<'_>> {
        let context = Context::open(self.kind, self)?;
        context.set("source", self.source)?;
        for (key, value) in self.options {
            context.set(key, *value)?;
        }
        for flag in self.flags {
            context.flag(flag)?;
        }
        Ok(context)
    }
}

impl fmt::Display for Filesystem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.source, self.kind)
    }
}

/// Makes the tree at `source` visible at `target` too, without the mounts below it.
pub fn bind(source: &Path, target: &Path) -> Result<()> {
    let object = || format!("{} at {}", source.display(), target.display());
    rustix::mount::mount_bind(source, target).map_err(|errno| Error::new("bind", object(), errno))
}

/// Gives the calling thread, and what it starts from now on, a mount namespace (mount_namespaces(7)) that sees what others mount, and shows
/// nothing of its own.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN.
pub fn own_namespace() -> nix::Result<()> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS)?;
    let slaves = nix::mount::MsFlags::MS_REC | nix::mount::MsFlags::MS_SLAVE;
    nix::mount::mount(None::<&str>, "/", None::<&str>, slaves, None::<&str>)
}

/// Makes the mount at `target` read-only, not its file system, and keeps its other flags: `mount -o remount,rw` undoes it
/// (MS_REMOUNT with MS_BIND of mount(2)).
pub fn protect(target: &Path) -> Result<()> {
    let error = |errno| Error::new("make read-only", target.display(), errno);
    let kept = kept_flags(statvfs(target).map_err(error)?.f_flag);
    rustix::mount::mount_remount(target, kept | MountFlags::BIND | MountFlags::RDONLY, "").map_err(error)
}

/// Makes the mount at `target` read-only and nothing else: `nosuid`, `nodev` and `noexec` end.
pub(crate) fn read_only_alone(target: &Path) -> Result<()> {
    rustix::mount::mount_remount(target, MountFlags::BIND | MountFlags::RDONLY, "")
        .map_err(|errno| Error::new("make read-only", target.display(), errno))
}

/// Mounts what is at `target` again with its other flags as they are: its file system and its mount are read-only, or writable
/// (MS_REMOUNT of mount(2)).
///
/// # Errors
/// EBUSY when it shall be read-only while files on it are open for writing.
pub fn remount(target: &Path, read_only: bool) -> Result<()> {
    let action = if read_only { "make read-only" } else { "make writable" };
    let error = |errno| Error::new(action, target.display(), errno);
    // Flags that are not named again are cleared.
    let mut flags = kept_flags(statvfs(target).map_err(error)?.f_flag);
    flags.set(MountFlags::RDONLY, read_only);
    rustix::mount::mount_remount(target, flags, "").map_err(|errno| match errno {
        rustix::io::Errno::BUSY => {
            error(errno).with_remedy("close the files on it that are open for writing")
        }
        rustix::io::Errno::ROFS | rustix::io::Errno::ACCESS => {
            error(errno).with_remedy("the device is write-protected: look for a switch on the medium")
        }
        _ => error(errno),
    })
}

/// What a mount says about itself, as the flags of mount(2).
fn kept_flags(found: StatVfsMountFlags) -> MountFlags {
    let pairs = [
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::SYNCHRONOUS, MountFlags::SYNCHRONOUS),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ];
    pairs.into_iter().filter(|(found_flag, _)| found.contains(*found_flag)).map(|(_, flag)| flag).collect()
}

/// Takes the mount away from its place, when nothing uses it (umount(2)).
///
/// # Errors
/// EBUSY when something does.
pub fn unmount(target: &Path) -> Result<()> {
    rustix::mount::unmount(target, UnmountFlags::empty())
        .map_err(|errno| Error::new("unmount", target.display(), errno))
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
