//! `--snapshot`: a guest as it was when its system was up, kept in the cache of this user, so that the next one need not boot.

use std::fs::{self, Metadata, Permissions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use atomic_file::UnnamedFile;
use profiles::Digest;
use vm::acceleration::Acceleration;
use vm::machine::Machine;
use vm::qemu;

use super::attended::AttendedGuest;
use crate::error::{Error, Result};

/// So many stay, those that were used last: a file has what the guest used of its memory.
const KEPT: usize = 4;
const ENDING: &str = "snapshot";

/// The place of one guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    path: PathBuf,
}

impl Snapshot {
    /// That of this machine: what QEMU is told, but for paths in the folder `scratch`, which differ from call to call; what is in the files
    /// that it boots from; and QEMU itself.
    ///
    /// # Errors
    /// There is no place for a cache; QEMU is not installed.
    pub fn of(
        machine: &Machine,
        acceleration: Acceleration,
        scratch: &Path,
        files: &[Digest],
    ) -> Result<Self> {
        let scratch = scratch.display().to_string();
        let arguments = machine.arguments(acceleration).join("\n").replace(&scratch, "SCRATCH");
        let mut key = vec!["lamina vm snapshot 1".to_owned(), qemu::identity()?, arguments];
        key.extend(files.iter().map(ToString::to_string));
        let name = Digest::of_bytes(key.join("\n")).hex();
        Ok(Snapshot { path: cache_folder::of("vm-snapshots")?.join(format!("{name}.{ENDING}")) })
    }

    /// Where the guest is kept, if it is, and by this user: QEMU believes what is in it.
    pub fn found(&self) -> Option<&Path> {
        let file = stack::beneath::regular_file(&self.path).ok()?;
        if !is_own(&file.metadata().ok()?, nix::unistd::geteuid().as_raw()) {
            return None;
        }
        cache_folder::note_use(&file);
        Some(&self.path)
    }

    /// Keeps a guest, which goes on. Only this user may read the file: it has all of the guest's memory.
    ///
    /// # Errors
    /// The guest cannot be kept; the cache cannot be written to.
    pub fn keep(&self, guest: &mut AttendedGuest) -> Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        cache_folder::make(folder)?;
        let unnamed = UnnamedFile::beside(&self.path)?;
        let handle = unnamed.handle()?;
        handle.set_permissions(Permissions::from_mode(0o600)).map_err(Error::on(folder.display()))?;
        guest.keep_as(Path::new(&format!("/proc/{}/fd/{}", std::process::id(), handle.as_raw_fd())))?;
        unnamed.publish()?;
        let is_one = |path: &Path| path.extension().is_some_and(|ending| ending == ENDING);
        cache_folder::keep_newest(folder, KEPT, is_one).map_err(Error::on(folder.display()))
    }

    /// Removes it: nothing goes on from it.
    pub fn forget(&self) {
        // Where that fails the next call finds it, and tries it again.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether nobody but `user` and root could have written it.
fn is_own(found: &Metadata, user: u32) -> bool {
    found.uid() == user && found.mode() & 0o022 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_could_have_written_is_not_gone_on_from() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let own = nix::unistd::geteuid().as_raw();
        let seen = |mode: u32, user: u32| {
            file.as_file().set_permissions(Permissions::from_mode(mode)).unwrap();
            is_own(&file.as_file().metadata().unwrap(), user)
        };
        assert!(seen(0o600, own) && seen(0o644, own));
        assert!(!seen(0o600, own + 1) && !seen(0o620, own) && !seen(0o602, own));
    }

    #[test]
    fn another_kernel_or_memory_is_another_guest_and_another_scratch_is_not() {
        let machine = |scratch: &str| {
            let monitor = format!("{scratch}/monitor");
            Machine::new("m", Path::new("/k"), Path::new(&format!("{scratch}/i")))
                .can_be_kept(Path::new(&monitor))
        };
        let of = |machine: &Machine, scratch: &str, files: &[Digest]| {
            let place = Snapshot::of(machine, Acceleration::Emulated, Path::new(scratch), files);
            // QEMU may not be installed where only these tests run.
            place.map(|it| it.path.file_name().unwrap().to_owned())
        };
        let Ok(first) = of(&machine("/a"), "/a", &[]) else {
            assert!(qemu::identity().is_err());
            return;
        };
        assert_eq!(of(&machine("/b"), "/b", &[]).unwrap(), first);
        assert_ne!(of(&machine("/a"), "/a", &[Digest::of_bytes("another kernel")]).unwrap(), first);
        assert_ne!(of(&machine("/a").memory_mib(256), "/a", &[]).unwrap(), first);
    }
}
