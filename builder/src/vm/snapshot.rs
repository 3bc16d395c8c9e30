//! `--snapshot`: a guest as it was when its system was up, kept in the cache of this user, so that the next one need not boot.

use std::fs::{File, Permissions};
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
        let name = name(&qemu::identity()?, &machine.arguments(acceleration), scratch, files);
        Ok(Snapshot { path: cache_folder::of("vm-snapshots")?.join(format!("{name}.{ENDING}")) })
    }

    /// Where the guest is kept, if it is, and by this user: QEMU believes what is in it.
    pub fn found(&self) -> Option<File> {
        let file = stack::beneath::regular_file(&self.path).ok()?;
        if !cache_folder::is_own(&file) || others_may_write(&file) {
            return None;
        }
        cache_folder::note_use(&file);
        Some(file)
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
        guest
            .keep_as(&handle)
            .map_err(|error| error.remedy(format!("is there room in {}?", folder.display())))?;
        unnamed.publish()?;
        let is_one = |path: &Path| path.extension().is_some_and(|ending| ending == ENDING);
        cache_folder::keep_newest(folder, KEPT, is_one).map_err(Error::on(folder.display()))
    }
}

/// Tells one guest from another.
fn name(qemu: &str, arguments: &[String], scratch: &Path, files: &[Digest]) -> String {
    // As a path, and as it stands in an option of QEMU's.
    let scratch = scratch.display().to_string();
    let arguments =
        arguments.join("\n").replace(&scratch.replace(',', ",,"), "SCRATCH").replace(&scratch, "SCRATCH");
    let mut key = vec!["lamina vm snapshot 1".to_owned(), qemu.to_owned(), arguments];
    key.extend(files.iter().map(ToString::to_string));
    Digest::of_bytes(key.join("\n")).hex()
}

/// [`Snapshot::keep`] leaves none that they may.
fn others_may_write(file: &File) -> bool {
    file.metadata().is_ok_and(|found| found.mode() & 0o022 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_others_could_have_written_is_not_gone_on_from() {
        let folder = tempfile::tempdir().unwrap();
        let snapshot = Snapshot { path: folder.path().join("guest.snapshot") };
        assert!(snapshot.found().is_none());
        fs::write(&snapshot.path, "memory").unwrap();
        for (mode, is_found) in [(0o600, true), (0o644, true), (0o620, false), (0o602, false)] {
            fs::set_permissions(&snapshot.path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(snapshot.found().is_some(), is_found, "{mode:o}");
        }
        let link = Snapshot { path: folder.path().join("link.snapshot") };
        std::os::unix::fs::symlink("/dev/zero", &link.path).unwrap();
        assert!(link.found().is_none());
    }

    #[test]
    fn another_kernel_or_memory_is_another_guest_and_another_scratch_is_not() {
        let machine = |scratch: &str| {
            let monitor = format!("{scratch}/monitor");
            Machine::new("m", Path::new("/k"), Path::new(&format!("{scratch}/i")))
                .can_be_kept(Path::new(&monitor))
        };
        let of = |machine: &Machine, scratch: &str, files: &[Digest]| {
            name("qemu", &machine.arguments(Acceleration::Emulated), Path::new(scratch), files)
        };
        let first = of(&machine("/a"), "/a", &[]);
        assert_eq!(of(&machine("/b"), "/b", &[]), first);
        assert_eq!(of(&machine("/c,d"), "/c,d", &[]), first);
        assert_ne!(of(&machine("/a"), "/a", &[Digest::of_bytes("another kernel")]), first);
        assert_ne!(of(&machine("/a").memory_mib(256), "/a", &[]), first);
    }
}
