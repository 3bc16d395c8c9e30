//! The store of a disk, mounted for one command: in a mount namespace of its own, through a loop device that goes with the mount
//! (AUTOCLEAR of loop(4)). A process that is killed takes its mounts along, and they their loop devices. The EFI system partition needs no
//! mount ([`FatVolume`]): what of it is read are copies.

use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use disk_image::{FatVolume, PartitionKind};
use nix::mount::{MsFlags, mount, umount};
use stack::loop_device::{LoopDevice, attach_part};

use super::copies::DiskCopies;
use super::opening::OpenDisk;
use crate::error::{Error, Result};

/// Where it is mounted, in the mounts of this process. For all others it stays an empty folder, which nobody removes: who removes the
/// folder of a mount point takes the mount away from all.
const PLACE: &str = "/run/lamina-disk";
const FLAGS: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);

/// A disk with its store mounted, and its EFI system partition open.
#[derive(Debug)]
pub struct MountedDisk {
    /// The root of the store's file system.
    pub medium: PathBuf,
    /// What is on the EFI system partition, as copies.
    pub copies: DiskCopies,
    /// Changes it.
    pub volume: Arc<FatVolume>,
    _device: LoopDevice,
    _disk: OpenDisk,
}

/// Whether this program may mount at all.
///
/// # Errors
/// It is not root's.
pub fn refuse_without_root(path: &Path) -> Result<()> {
    match rustix::process::geteuid().is_root() {
        true => Ok(()),
        false => {
            let cause = "takes root to be changed: the file system of its store is mounted for that";
            Err(Error::new(path.display(), cause)
                .remedy("run this as root; `--dry-run`, `system list` and `system diff` need none"))
        }
    }
}

impl MountedDisk {
    /// Mounts the store, writable. The calling thread, and what it starts from now on, gets mounts of its own.
    ///
    /// # Errors
    /// A partition is missing, or its file system cannot be mounted; there are no loop devices.
    pub fn mount(disk: OpenDisk) -> Result<MountedDisk> {
        let named = |error: Error| error.about(disk.path.display());
        let reader = disk.system()?;
        let place = |kind| reader.partition(kind).map(|it| (it.start, it.length)).map_err(named);
        let (store, esp) = (place(PartitionKind::Store)?, place(PartitionKind::EfiSystem)?);
        let copies = DiskCopies::of_esp(&reader).map_err(named)?;
        let file = disk.file().try_clone().map_err(Error::on(disk.path.display()))?;
        let volume = Arc::new(FatVolume::open(file, esp.0, esp.1)?);
        own_mounts(&disk.path)?;
        let device = attach_part(disk.file(), &disk.path, store.0..store.0 + store.1)
            .map_err(Error::on(disk.path.display()))?;
        let medium = PathBuf::from(PLACE);
        match DirBuilder::new().mode(0o700).create(&medium) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => made.map_err(Error::on(medium.display()))?,
        }
        let mounted = mount(Some(device.path()), &medium, Some("ext4"), FLAGS, None::<&str>);
        mounted.map_err(|errno| {
            Error::new(disk.path.display(), format!("the ext4 of its store cannot be mounted: {errno}"))
                .remedy("`lamina disk inspect` says what is damaged; the kernel's log says why it refuses")
        })?;
        Ok(MountedDisk { medium, copies, volume, _device: device, _disk: disk })
    }
}

impl Drop for MountedDisk {
    /// What fails here ends with the mounts of this process.
    fn drop(&mut self) {
        let _ = umount(&self.medium);
    }
}

fn own_mounts(path: &Path) -> Result<()> {
    stack::mount::own_namespace().map_err(|errno| {
        Error::new(path.display(), format!("nothing can be mounted here: {errno}"))
            .remedy("run this as root of the machine: a container or a user namespace mounts no disk")
    })
}
