//! `--state FILE`: a file that keeps what a guest changes.

use std::fs;
use std::path::{Path, PathBuf};

use atomic_file::UnnamedFile;
use disk_image::{Identity, PartitionKind, ext4};

use crate::error::{Error, Result};
use crate::presence;
use crate::vm::foreign_disk;

/// How long it is when nobody says: holes until a guest writes.
pub const USUAL_SIZE: u64 = 4 << 30;

/// A file system for the writable top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateFile {
    /// The image.
    pub path: PathBuf,
    /// Of the file system, as blkid(8) has it.
    pub uuid: String,
}

impl StateFile {
    /// The one that is there; where there is none, a new one of `size` bytes.
    ///
    /// # Errors
    /// What is there is no file, or holds no file system that can be a state; the new one cannot be written.
    pub fn open_or_make(path: &Path, size: u64) -> Result<StateFile> {
        match presence::of(path)? {
            Some(_) => Self::found(path),
            None if path.is_symlink() => {
                Err(Error::new(path.display(), "is a link to a file that is not there").remedy(
                    "give the name of the file itself, and a state is made there; or remove the link",
                ))
            }
            None => Self::make(path, size),
        }
    }

    fn found(path: &Path) -> Result<StateFile> {
        let file = stack::beneath::regular_file(path).map_err(Error::on(path.display()))?;
        foreign_disk::is_free(&file, path, true)?;
        let remedy = "give another file, or a name that is not there yet: a state is made then";
        let found = block_probe::superblock::probe(&file)
            .ok_or_else(|| Error::new(path.display(), "holds no file system that is known").remedy(remedy))?;
        match found.uuid.clone().filter(|_| found.can_hold_top()) {
            Some(uuid) => Ok(StateFile { path: path.to_owned(), uuid }),
            None => {
                let cause = format!("holds {}, which cannot be a state", found.kind);
                Err(Error::new(path.display(), cause).remedy(remedy))
            }
        }
    }

    fn make(path: &Path, size: u64) -> Result<StateFile> {
        if size < ext4::LEAST {
            return Err(Error::new(path.display(), "a state of less than 16 MiB has no room for changes")
                .remedy("give a larger `--state-size`, as 1G"));
        }
        // Two states of one machine must not have one UUID: something of the kernel's that is never the same (random(4)).
        let random = "/proc/sys/kernel/random/uuid";
        let identity = Identity::of([fs::read_to_string(random).map_err(Error::on(random))?.as_str()]);
        let unnamed = UnnamedFile::beside(path)?;
        ext4::write_alone(&unnamed.handle()?, PartitionKind::State, &identity, size, &[])?;
        unnamed.publish_new()?;
        Ok(StateFile { path: path.to_owned(), uuid: ext4::uuid(PartitionKind::State, &identity).to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::fs::MetadataExt;
    use std::process::{Command, Stdio};

    #[test]
    fn a_state_is_made_once_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a state");
        let made = StateFile::open_or_make(&path, 64 << 20).unwrap();
        assert_eq!(StateFile::open_or_make(&path, 1).unwrap(), made);
        let metadata = fs::metadata(&path).unwrap();
        assert!(metadata.len() == 64 << 20 && metadata.blocks() * 512 < 16 << 20, "{}", metadata.blocks());
        let other = StateFile::open_or_make(&folder.path().join("b"), 64 << 20).unwrap();
        assert_ne!(other.uuid, made.uuid);
    }

    #[test]
    fn a_state_of_another_guest_is_left_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        StateFile::open_or_make(&path, 64 << 20).unwrap();
        // QEMU's own program for its disks, which has one open when it says its first word.
        let mut other = Command::new("qemu-io");
        other.args(["-f", "raw"]).arg(&path).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut other = other.spawn().unwrap();
        other.stdin.as_mut().unwrap().write_all(b"length\n").unwrap();
        BufReader::new(other.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
        let error = StateFile::open_or_make(&path, USUAL_SIZE).unwrap_err();
        assert_eq!(error.cause(), "is in use by another guest");
        assert!(error.has_own_remedy(), "{error}");
        other.kill().unwrap();
        other.wait().unwrap();
        StateFile::open_or_make(&path, USUAL_SIZE).unwrap();
    }

    #[test]
    fn a_link_that_leads_nowhere_is_said_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("link");
        std::os::unix::fs::symlink("nothing", &path).unwrap();
        let error = StateFile::open_or_make(&path, USUAL_SIZE).unwrap_err();
        assert_eq!(error.cause(), "is a link to a file that is not there");
        assert!(error.has_own_remedy() && !folder.path().join("nothing").exists(), "{error}");
    }

    #[test]
    fn nothing_of_somebody_elses_becomes_a_state() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letter");
        fs::write(&path, "dear").unwrap();
        let error = StateFile::open_or_make(&path, USUAL_SIZE).unwrap_err();
        assert_eq!(error.cause(), "holds no file system that is known");
        assert_eq!(fs::read(&path).unwrap(), b"dear");
        assert!(StateFile::open_or_make(folder.path(), USUAL_SIZE).is_err());
        let error = StateFile::open_or_make(&folder.path().join("small"), 1 << 20).unwrap_err();
        assert!(error.to_string().contains("--state-size"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
