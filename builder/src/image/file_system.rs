//! Which file system an image file holds, and how many bytes of the file are its own: what lies behind them is a hash tree,
//! padding, or nothing.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use block_probe::image_kind::ImageKind;

use crate::error::{Error, Result};

/// The file systems that a layer can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// squashfs 4.0 (the kernel's `fs/squashfs/squashfs_fs.h`).
    Squashfs,
    /// EROFS (the kernel's `fs/erofs/erofs_fs.h`).
    Erofs,
}

impl fmt::Display for FileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileSystem::Squashfs => "squashfs",
            FileSystem::Erofs => "erofs",
        })
    }
}

/// Where the superblock of EROFS begins, in bytes.
const EROFS_AT: usize = 1024;
/// What is read of a file: both superblocks.
const HEAD: usize = EROFS_AT + 128;
/// A larger block than this no kernel mounts.
const EROFS_LARGEST_BLOCK: u8 = 16;
/// EROFS_FEATURE_INCOMPAT_48BIT: the number of blocks has another 16 bits.
const EROFS_48_BIT: u32 = 0x80;

/// The file system in `file`, and its length in bytes, at least 1 and at most that of the file. `path` is for messages.
///
/// # Errors
/// Another file system, one that is cut short, or one with parts in other files.
pub fn find(path: &Path, file: &File) -> Result<(FileSystem, u64)> {
    let on = || Error::on::<io::Error>(path.display());
    let length = file.metadata().map_err(on())?.len();
    let mut head = [0; HEAD];
    let read = HEAD.min(usize::try_from(length).unwrap_or(HEAD));
    file.read_exact_at(&mut head[..read], 0).map_err(on())?;
    let found = squashfs(&head).or_else(|| erofs(&head)).ok_or_else(|| {
        Error::new(path.display(), "is no image: neither a squashfs nor an EROFS begins here")
            .remedy("make one with `lamina image create`, mksquashfs or mkfs.erofs")
    })?;
    if found.is_ok_and(|(kind, _)| kind == FileSystem::Erofs) && !ImageKind::Erofs.is_whole(file) {
        let cause = "its data is in other files as well, and a layer is one file";
        return Err(Error::new(path.display(), cause));
    }
    let (kind, own) = found.map_err(|cause| Error::new(path.display(), cause))?;
    if own == 0 || own > length {
        let cause = format!("its {kind} has {own} bytes, the file has {length}: it was cut short");
        return Err(Error::new(path.display(), cause).remedy("get or make it again"));
    }
    Ok((kind, own))
}

type Found = std::result::Result<(FileSystem, u64), &'static str>;

fn squashfs(head: &[u8; HEAD]) -> Option<Found> {
    head.starts_with(b"hsqs").then(|| Ok((FileSystem::Squashfs, number(head, 40, 8))))
}

fn erofs(head: &[u8; HEAD]) -> Option<Found> {
    let head = &head[EROFS_AT..];
    if number(head, 0, 4) != 0xe0f5_e1e2 {
        return None;
    }
    let (bits, features) = (head[12], number(head, 80, 4) as u32);
    let high = if features & EROFS_48_BIT != 0 { number(head, 14, 2) << 32 } else { 0 };
    let blocks = high | number(head, 36, 4);
    let bytes = (bits <= EROFS_LARGEST_BLOCK).then(|| blocks.checked_mul(1 << bits)).flatten();
    Some(bytes.map(|bytes| (FileSystem::Erofs, bytes)).ok_or("its EROFS superblock makes no sense"))
}

/// A little-endian number of `length` bytes, at most 8.
fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    bytes[at..at + length].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(bytes: &[u8]) -> Result<(FileSystem, u64)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        std::fs::write(&path, bytes).unwrap();
        find(Path::new("image"), &File::open(&path).unwrap())
    }

    fn erofs(bits: u8, blocks: u32, features: u32) -> Vec<u8> {
        let mut bytes = vec![0; 8192];
        bytes[1024..1028].copy_from_slice(&0xe0f5_e1e2_u32.to_le_bytes());
        bytes[1024 + 12] = bits;
        bytes[1024 + 36..][..4].copy_from_slice(&blocks.to_le_bytes());
        bytes[1024 + 80..][..4].copy_from_slice(&features.to_le_bytes());
        bytes
    }

    #[test]
    fn kind_and_length_come_from_the_superblock() {
        let mut squashfs = vec![0; 5000];
        squashfs[..4].copy_from_slice(b"hsqs");
        squashfs[40..48].copy_from_slice(&4097_u64.to_le_bytes());
        assert_eq!(found(&squashfs), Ok((FileSystem::Squashfs, 4097)));
        assert_eq!(found(&erofs(12, 2, 0)), Ok((FileSystem::Erofs, 8192)));
        assert_eq!(found(&erofs(9, 3, 0x1)), Ok((FileSystem::Erofs, 1536)));
    }

    #[test]
    fn everything_else_is_refused_in_words() {
        let mut high = erofs(12, 1, EROFS_48_BIT);
        high[1024 + 14] = 1;
        for (bytes, part) in [
            (Vec::new(), "is no image"),
            (b"hsqs".to_vec(), "has 0 bytes, the file has 4"),
            (vec![0; 4096], "is no image"),
            (erofs(12, 3, 0), "its erofs has 12288 bytes, the file has 8192: it was cut short"),
            (erofs(12, 2, 8), "in other files"),
            (erofs(64, 2, 0), "makes no sense"),
            (high, "has 17592186048512 bytes"),
        ] {
            let message = found(&bytes).unwrap_err().to_string();
            assert!(message.starts_with("image: ") && message.contains(part), "{part} in {message}");
        }
    }
}
