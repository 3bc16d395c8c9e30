//! The disk with a profile and its images, as QEMU shows it to a guest: ext4 without a partition table. It stays in the cache of this user,
//! named by what is on it; what a guest writes to it is forgotten.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use atomic_file::UnnamedFile;
use disk_image::{Content, DiskFile, Identity, PartitionKind, ext4};
use profiles::Digest;

use crate::disk::contents;
use crate::disk::contents::DiskGeneration;
use crate::error::{Error, Result};
use crate::report::Report;
use crate::store::Store;

/// So many stay, those that were used last.
const KEPT: usize = 6;

/// A disk that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Medium {
    /// The image.
    pub path: PathBuf,
    /// Of its file system.
    pub uuid: String,
}

/// The disk with this generation and its images; made where it is not in the cache.
///
/// # Errors
/// An image of it is missing; the cache cannot be written to; e2fsprogs are not there.
pub fn of(store: &Store, generation: &DiskGeneration, report: &Report) -> Result<Medium> {
    let files = contents::files(store, &[vec![generation.clone()]])?;
    let identity = identity(&files);
    let uuid = ext4::uuid(PartitionKind::Store, &identity).to_string();
    let folder = cache_folder::of("vm")?;
    let path = folder.join(format!("{uuid}.ext4"));
    if let Ok(found) = File::open(&path) {
        cache_folder::note_use(&found);
        return Ok(Medium { path, uuid });
    }
    cache_folder::make(&folder)?;
    let _meter = report.progress().work("making the disk of the guest");
    let unnamed = UnnamedFile::beside(&path)?;
    let length = ext4::room_for(&files);
    ext4::write_alone(&unnamed.handle()?, PartitionKind::Store, &identity, length, &files)?;
    unnamed.publish()?;
    forget_old(&folder).map_err(Error::on(folder.display()))?;
    Ok(Medium { path, uuid })
}

/// Out of what the files are called and what is in them. An image's digest says that, and the others are small.
fn identity(files: &[DiskFile]) -> Identity {
    let line = |file: &DiskFile| {
        let digest = file.digest.or_else(|| match &file.content {
            Content::Bytes(bytes) => Some(Digest::of_bytes(bytes)),
            Content::File(..) => None,
        });
        format!("{} {digest:?} {}", file.path, file.content.length())
    };
    let lines: Vec<String> = files.iter().map(line).collect();
    Identity::of(lines.iter().map(String::as_str).chain(["lamina vm medium 1"]))
}

fn forget_old(folder: &Path) -> io::Result<()> {
    cache_folder::keep_newest(folder, KEPT, |path| path.extension().is_some_and(|ending| ending == "ext4"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, FileTimes};
    use std::time::{Duration, SystemTime};

    #[test]
    fn media_that_were_not_used_for_longest_go_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        for number in 0..KEPT as u64 + 2 {
            let path = folder.path().join(format!("{number}.ext4"));
            fs::write(&path, "").unwrap();
            let used = now - Duration::from_secs(number);
            File::open(&path).unwrap().set_times(FileTimes::new().set_modified(used)).unwrap();
        }
        fs::write(folder.path().join("kvm"), "").unwrap();
        forget_old(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), KEPT + 1);
        assert!(
            folder.path().join("0.ext4").exists() && !folder.path().join(format!("{KEPT}.ext4")).exists()
        );
    }
}
