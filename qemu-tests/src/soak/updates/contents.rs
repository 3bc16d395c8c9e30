//! What lies on a disk, apart from where it lies there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::ext4::Ext4;
use super::made_disk::{MadeDisk, mtools};
use crate::failure::Failure;
use crate::programs::{run, said};
use crate::store::sha256;

/// The files of both partitions, by their paths, with their SHA-256.
pub fn contents(disk: &Path, made: &MadeDisk) -> Result<BTreeMap<PathBuf, String>, Failure> {
    let folder = tempfile::tempdir().map_err(Failure::about("a temporary folder"))?;
    run(mtools("mcopy", disk, made.esp).args(["-s", "-n", "-Q", "::/"]).arg(folder.path().join("esp")))?;
    let store = folder.path().join("store");
    fs::create_dir(&store).map_err(Failure::at(&store))?;
    let ext4 = Ext4::take_out(disk, made.store)?;
    ext4.asked(&["-R", &format!("rdump /lamina {}", store.display())])?;
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.path().to_owned()];
    while let Some(here) = folders.pop() {
        for entry in fs::read_dir(&here).map_err(Failure::at(&here))?.flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let inside = path.strip_prefix(folder.path()).unwrap_or(&path).to_owned();
                    found.insert(inside, sha256(&path)?);
                }
            }
        }
    }
    match found.len() {
        0..10 => Err(Failure::new(format!("{}: only {} files are on it", disk.display(), found.len()))),
        _ => Ok(found),
    }
}

/// Leaves so many bytes free on the EFI system partition: somebody else's file has the rest.
pub fn fill(disk: &Path, made: &MadeDisk, free: u64) -> Result<(), Failure> {
    let listed = said(mtools("mdir", disk, made.esp).arg("::/"))?;
    let last = listed.lines().rfind(|line| line.contains("bytes free")).unwrap_or_default();
    let digits: String = last.chars().filter(char::is_ascii_digit).collect();
    let now: u64 = digits.parse().map_err(Failure::about("mdir"))?;
    let filler = made.path("filler");
    let length = now.saturating_sub(free);
    File::create(&filler).and_then(|file| file.set_len(length)).map_err(Failure::at(&filler))?;
    run(mtools("mcopy", disk, made.esp).arg(&filler).arg("::/filler")).map(drop)
}

/// Leaves out what is zero: the disks are mostly empty. Two disks with different contents have different numbers.
pub fn write_sparse(path: &Path, bytes: &[u8]) -> Result<u64, Failure> {
    const BLOCK: usize = 64 << 10;
    static ZERO: [u8; BLOCK] = [0; BLOCK];
    let write = || {
        let file = File::create(path)?;
        file.set_len(bytes.len() as u64)?;
        let mut hasher = DefaultHasher::new();
        for (number, block) in bytes.chunks(BLOCK).enumerate() {
            if *block != ZERO[..block.len()] {
                file.write_all_at(block, (number * BLOCK) as u64)?;
                (number, block).hash(&mut hasher);
            }
        }
        Ok(hasher.finish())
    };
    write().map_err(Failure::at::<std::io::Error>(path))
}
