//! The medium of the running system, which is mounted read-only: made writable for who changes it, and then read-only again.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use boot_entry::EntryFileName;
use boot_report::{BootReport, paths};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::sys::statvfs::{FsFlags, statvfs};
use stack::mount_table;

use crate::error::{failure, refusal};
use crate::esp::{self, Fault};
use crate::{Result, System, report};

/// The folder of the store. `so` says what follows where it has none.
pub(crate) fn store_folder(system: &System, report: &BootReport, so: &str) -> Result<PathBuf> {
    if report.store_folder.is_empty() {
        let medium = if report.medium.is_empty() { "the medium" } else { &report.medium };
        return Err(refusal(medium, format!("{so}: the store is not on a medium"))
            .remedy("a store on a disk has a place for that"));
    }
    let store = system.path(&report.store_folder);
    match store.is_dir() {
        true => Ok(store),
        false => Err(refusal(&report.store_folder, "is not there: the medium is not mounted any more")
            .remedy("mount it there again, or reboot")),
    }
}

/// One at a time opens the medium or mounts the partition with the menu: the first to end would make the medium read-only under the other, and
/// who removes the folder on which the partition is mounted takes it away from all (rmdir(2) of a mount point of another mount namespace). The
/// lock is a file for root alone: whoever can open a folder can lock it, and so keep a boot from ever being blessed.
pub(crate) fn lock(system: &System) -> Result<Flock<File>> {
    let path = system.path(paths::BLESS_LOCK);
    let failed = |error: io::Error| {
        let remedy = match error.kind() {
            io::ErrorKind::PermissionDenied => "run this as root",
            _ => "look at what lies there",
        };
        refusal(path.display(), format!("cannot be locked: {error}")).remedy(remedy).because_of(error)
    };
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let mut options = File::options();
    options.write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
    let file = options.open(&path).map_err(failed)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .or_else(|(file, errno)| match errno {
            Errno::EWOULDBLOCK => {
                eprintln!("lamina: waiting for another command that has the medium open");
                Flock::lock(file, FlockArg::LockExclusive)
            }
            _ => Err((file, errno)),
        })
        .map_err(|(_, errno)| failed(errno.into()))
}

/// A medium that is read-only, and stays so for all that have not got it from here: also where its file system is writable, because somebody
/// was killed who had made it so. (Per-mount flags of mount(2): MS_REMOUNT with MS_BIND.)
#[derive(Debug)]
pub(crate) struct ProtectedMount {
    place: PathBuf,
    /// Somebody else has the file system writable at another place: that is theirs to end.
    elsewhere: bool,
}

impl ProtectedMount {
    /// `folder` is that of the store as the report has it, `store` where it is. `None` when it is writable for everybody: nothing has to be done.
    pub(crate) fn of(system: &System, folder: &Path, store: &Path) -> io::Result<Option<Self>> {
        if !statvfs(store)?.flags().contains(FsFlags::ST_RDONLY) {
            return Ok(None);
        }
        let mounts = mount_table::read(&system.path(mount_table::PATH));
        let mount = mount_table::under(&mounts, folder)
            .ok_or_else(|| io::Error::other("lies on no mount that /proc knows"))?;
        let place = system.path(&mount.target);
        stack::mount::protect(&place).map_err(|error| error.cause)?;
        // A file system that is writable, and through no mount, is nobody's.
        let is_other = |it: &&mount_table::Mounted| it.device == mount.device && it.id != mount.id;
        let elsewhere = mount.file_system_writable && mounts.iter().filter(is_other).any(|it| it.writable);
        Ok(Some(Self { place, elsewhere }))
    }

    /// Makes it writable in the [mounts of this process](stack::mount::own_namespace).
    pub(crate) fn make_writable(self) -> io::Result<WritableMount> {
        stack::mount::remount(&self.place, false).map_err(|error| error.cause)?;
        Ok(WritableMount(self))
    }
}

/// It is writable for this process, until its [`end`](WritableMount::end).
#[derive(Debug)]
pub(crate) struct WritableMount(ProtectedMount);

impl WritableMount {
    pub(crate) fn end(&self) -> stack::Result<()> {
        match self.0.elsewhere {
            true => stack::mount::protect(&self.0.place),
            false => stack::mount::remount(&self.0.place, true),
        }
    }
}

/// What is to be done with a medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It is looked at.
    Read,
    /// It is changed.
    Write,
}

/// The medium that this system was booted from, and the partition with its menu, as folders that this process alone sees. With its end,
/// however it ends, the partition is mounted nowhere any more, and nobody else could write to the medium meanwhile. The medium's file system is
/// made read-only again by `drop`; where this was killed, by whoever opens it for writing next, or blesses a boot.
#[derive(Debug)]
pub struct OpenMedium {
    /// The folder with `profiles/` and `images/`.
    pub store: PathBuf,
    /// The root of the partition with the menu.
    pub esp: PathBuf,
    /// What to call it.
    medium: String,
    writable: Option<WritableMount>,
    _alone: Flock<File>,
}

impl OpenMedium {
    /// Opens both. The calling thread, and what it starts from now on, gets mounts of its own. Waits until no other command has them.
    ///
    /// # Errors
    /// Lamina did not boot this system, or not from a medium with a menu beside it; this is not root; it cannot be written.
    pub fn open(system: &System, access: Access) -> Result<Self> {
        let report = report::read(system)?;
        let store = store_folder(system, &report, "there are no generations to change")?;
        let alone = lock(system)?;
        let unwritable = |error: io::Error| {
            refusal(&report.medium, format!("cannot be made writable: {error}"))
                .remedy("look for a switch that protects the medium, and at the kernel's log")
                .because_of(error)
        };
        let protected = match access {
            Access::Read => None,
            Access::Write => {
                ProtectedMount::of(system, Path::new(&report.store_folder), &store).map_err(unwritable)?
            }
        };
        stack::mount::own_namespace().map_err(|errno| {
            failure("the running system's medium", errno).remedy(
                "run this as root, or mount the medium and its EFI system partition elsewhere and name them",
            )
        })?;
        let esp = menu_beside(system, &report)?;
        let mut open = Self { store, esp, medium: report.medium.clone(), writable: None, _alone: alone };
        if access == Access::Write {
            esp::make_writable(&open.esp)
                .map_err(|error| failure(format!("the boot menu on the disk of {}", report.medium), error))?;
            open.writable = protected.map(ProtectedMount::make_writable).transpose().map_err(unwritable)?;
        }
        Ok(open)
    }
}

impl Drop for OpenMedium {
    /// What fails leaves the partition in the mounts of this process, which ends, and the medium to whoever opens it for writing next.
    fn drop(&mut self) {
        let _ = nix::mount::umount(&self.esp);
        let _ = std::fs::remove_dir(&self.esp);
        if let Some(Err(error)) = self.writable.as_ref().map(WritableMount::end) {
            eprintln!(
                "lamina: warning: {}: its file system stays writable, though through no mount of the system: {}\nhelp: the next command \
                 that changes the medium, and `lamina bless`, make it read-only again",
                self.medium,
                error.why(),
            );
        }
    }
}

/// Whether the partition has an entry of ours: others on the disk may have menus of their own.
fn has_own_entries(esp: &Path) -> io::Result<bool> {
    let names = esp::entry_names(esp)?;
    Ok(names.iter().filter_map(|name| EntryFileName::parse(name)).any(|name| name.is_ours()))
}

/// Mounts the first partition beside the medium's that has entries of ours.
fn menu_beside(system: &System, report: &BootReport) -> Result<PathBuf> {
    let found = esp::first_beside(system, report, |node| {
        let place = esp::mount_at_its_place(system, node)?;
        let found = has_own_entries(&place);
        if let Ok(true) = found {
            return Ok(Some(place));
        }
        nix::mount::umount(&place).map_err(|errno| Fault::Failed(errno.into()))?;
        found.map(|_| None).map_err(Fault::Failed)
    })?;
    found.ok_or_else(|| {
        refusal(&report.medium, "has no partition with a boot menu beside it")
            .remedy("`lamina disk create` makes disks that have one; where it lies elsewhere, mount both and name them")
    })
}
