//! What a sandbox sees of the machine: copies of mounts, made while the caller's rights still reach them.
//!
//! Read-only things (layers, sources, the recipe's files, device nodes) are mounted so; nothing but device nodes is a device, and no
//! set-user-id bit counts. To the sandbox everything belongs to its user 0. Unpacked layers do so on disk ([`give_to_builds`]); the recipe's
//! files and the sources by an idmapped mount (mount_setattr(2)), or, on a file system that has none, by giving them to that user.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Uid, chownat, fstat, openat};
use stack::detached::DetachedMount;
use stack::mount::Attributes;

use super::facts::{Facts, SandboxUser, choose_user};
use super::spec::{Bind, Spec};
use super::user_namespace::{self, UserNamespace};
use crate::error::{Error, Result};

/// Devices that a build sees. They are bound, because a user namespace may not make them.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// One thing of the machine and its place in the sandbox.
#[derive(Debug)]
pub(super) struct Placed {
    /// The copy of its mount.
    pub mount: DetachedMount,
    /// Where it appears; absolute.
    pub target: PathBuf,
    /// Whether it is a folder.
    pub folder: bool,
}

/// Everything of the machine that a sandbox gets.
#[derive(Debug)]
pub(super) struct Outside {
    /// The layers, bottom first.
    pub layers: Vec<DetachedMount>,
    /// The binds of the specification.
    pub binds: Vec<Placed>,
    /// Device nodes.
    pub devices: Vec<Placed>,
}

impl Outside {
    /// Copies the mounts. Root does this before he becomes the user of the sandbox, others in their mount namespace.
    /// `namespace` is that of the sandbox.
    pub(super) fn gather(spec: &Spec, user: &SandboxUser, namespace: &UserNamespace) -> Result<Self> {
        let mut owners = Owners { user, namespace, maps: Vec::new() };
        let layer = |path: &PathBuf| owners.shown(path, OtherNames::Ours);
        let layers = spec.layers.iter().map(layer).collect::<Result<_>>()?;
        let bind = |bind: &Bind| {
            let folder = fs::metadata(&bind.source).map_err(Error::on(bind.source.display()))?.is_dir();
            let mount = match bind.writable {
                true => owners.given(&bind.source)?,
                false => owners.shown(&bind.source, OtherNames::Elsewhere)?,
            };
            Ok(Placed { mount, target: bind.target.clone(), folder })
        };
        let binds = spec.binds.iter().map(bind).collect::<Result<_>>()?;
        let devices = DEVICES.iter().map(|name| device(name)).collect::<Result<_>>()?;
        Ok(Outside { layers, binds, devices })
    }
}

/// A node of the machine through which nothing of the node changes: a read-only mount refuses to change mode, owner and times, and lets
/// a device be written to.
fn device(name: &str) -> Result<Placed> {
    let source = Path::new("/dev").join(name);
    let mount = DetachedMount::copy(&source)?;
    mount.restrict(
        Attributes::MOUNT_ATTR_RDONLY | Attributes::MOUNT_ATTR_NOSUID | Attributes::MOUNT_ATTR_NOEXEC,
    )?;
    Ok(Placed { mount, target: source, folder: false })
}

/// Where the further names of a file with several may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OtherNames {
    /// In the same folder.
    Ours,
    /// Also outside it: a source is a file of the cache, too.
    Elsewhere,
}

/// Makes things the sandbox user's.
struct Owners<'a> {
    user: &'a SandboxUser,
    /// The sandbox's own, in which user and group 0 are the sandbox user.
    namespace: &'a UserNamespace,
    /// Others, in which this user and group on disk are.
    maps: Vec<((u32, u32), UserNamespace)>,
}

impl Owners<'_> {
    /// What the sandbox may write to: it belongs to its user on disk, too. It is empty at first.
    fn given(&self, source: &Path) -> Result<DetachedMount> {
        if self.user.handed_over {
            std::os::unix::fs::chown(source, Some(self.user.user), Some(self.user.group))
                .map_err(Error::on(source.display()))?;
        }
        let mount = DetachedMount::copy(source)?;
        mount.restrict(Attributes::MOUNT_ATTR_NOSUID | Attributes::MOUNT_ATTR_NODEV)?;
        Ok(mount)
    }

    /// What the sandbox only reads.
    fn shown(&mut self, source: &Path, others: OtherNames) -> Result<DetachedMount> {
        let mount = DetachedMount::copy(source)?;
        mount.restrict(
            Attributes::MOUNT_ATTR_RDONLY | Attributes::MOUNT_ATTR_NOSUID | Attributes::MOUNT_ATTR_NODEV,
        )?;
        let found = fs::metadata(source).map_err(Error::on(source.display()))?;
        let on_disk = (found.uid(), found.gid());
        if !self.user.handed_over || on_disk == (self.user.user, self.user.group) {
            return Ok(mount);
        }
        match mount.map_owners(self.map(on_disk)?.as_fd()) {
            Ok(()) => Ok(mount),
            // The file system has no idmapped mounts, or was mounted by somebody with more rights than we have.
            Err(error) if [Errno::EINVAL, Errno::EPERM].contains(&Errno::from_raw(error.errno())) => {
                give(CWD.as_fd(), source, self.user, others).map_err(Error::on(source.display()))?;
                Ok(mount)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn map(&mut self, on_disk: (u32, u32)) -> Result<&UserNamespace> {
        if on_disk == (0, 0) {
            return Ok(self.namespace);
        }
        if let Some(index) = self.maps.iter().position(|(ids, _)| *ids == on_disk) {
            return Ok(&self.maps[index].1);
        }
        let namespace = user_namespace::make_map(on_disk, (self.user.user, self.user.group))?;
        self.maps.push((on_disk, namespace));
        Ok(&self.maps[self.maps.len() - 1].1)
    }
}

/// Makes a tree that is to become a layer belong to whoever builds run as, on every file system: root's builds run as another user than
/// root. For everybody else it is so already, but for the group where a folder hands its own down.
///
/// # Errors
/// This machine does not let anybody build, or a file does not let its owner be changed.
pub fn give_to_builds(tree: &Path) -> Result<()> {
    let user = choose_user(&Facts::observe())?;
    give(CWD.as_fd(), tree, &user, OtherNames::Ours)
        .map_err(|error| Error::new(tree.display(), format!("cannot give it to the user of builds: {error}")))
}

/// Changes the owner of everything at `name` in the folder `parent`. No link is followed. A file that may have names outside stays as
/// it is.
fn give(parent: BorrowedFd<'_>, name: &Path, user: &SandboxUser, others: OtherNames) -> io::Result<()> {
    let open = openat(parent, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let found = fstat(&open)?;
    let is_folder = FileType::from_raw_mode(found.st_mode).is_dir();
    if is_folder {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = openat(&open, ".", flags, Mode::empty())?;
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            let bytes = entry.file_name().to_bytes();
            if bytes != b"." && bytes != b".." {
                give(folder.as_fd(), Path::new(OsStr::from_bytes(bytes)), user, others)?;
            }
        }
    }
    let is_his = (found.st_uid, found.st_gid) == (user.user, user.group);
    if !is_his && (is_folder || found.st_nlink == 1 || others == OtherNames::Ours) {
        let (uid, gid) = (Uid::from_raw(user.user), Gid::from_raw(user.group));
        chownat(&open, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?;
    }
    Ok(())
}
