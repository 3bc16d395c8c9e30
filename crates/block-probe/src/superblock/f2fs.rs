//! F2FS: `struct f2fs_super_block` of the kernel's `include/linux/f2fs_fs.h`.

use super::{Superblock, driver, uuid};
use crate::bytes::{ByteSource, le16, le32, le64};

/// Where the first of the two superblocks begins.
const OFFSET: u64 = 1024;
const MAGIC: u32 = 0xf2f5_2010;
const BLOCK_COUNT: usize = 36;
const UUID: usize = 108;
/// MAX_VOLUME_NAME units of UTF-16.
const VOLUME_NAME: usize = 124;
const MAX_VOLUME_NAME: usize = 512;

/// Reads the first F2FS superblock.
pub(super) fn probe(source: &dyn ByteSource) -> Option<Superblock> {
    let block = source.vec(OFFSET, VOLUME_NAME + 2 * MAX_VOLUME_NAME)?;
    let (magic, log_block_size) = (le32(&block, 0), le32(&block, 16));
    // 4 KiB, and since Linux 6.6 whatever a page is.
    if magic != MAGIC || !(12..=16).contains(&log_block_size) {
        return None;
    }
    let length = le64(&block, BLOCK_COUNT).checked_mul(1 << log_block_size);
    let units = (0..MAX_VOLUME_NAME).map(|index| le16(&block, VOLUME_NAME + 2 * index));
    let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
    let label = Some(String::from_utf16_lossy(&units)).filter(|label| !label.is_empty());
    Some(Superblock {
        kind: "f2fs",
        driver: driver("f2fs"),
        label,
        uuid: uuid(&block[UUID..UUID + 16]),
        length,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_utf_16() {
        let mut bytes = vec![0; 8192];
        bytes[1024..1028].copy_from_slice(&MAGIC.to_le_bytes());
        assert_eq!(probe(&bytes), None, "no block size");
        bytes[1024 + 16] = 12;
        for (index, unit) in "Zustände".encode_utf16().enumerate() {
            bytes[1024 + VOLUME_NAME + 2 * index..][..2].copy_from_slice(&unit.to_le_bytes());
        }
        assert_eq!(probe(&bytes).unwrap().label.as_deref(), Some("Zustände"));
        bytes[1024 + VOLUME_NAME..][..2 * MAX_VOLUME_NAME].fill(0xd8);
        assert!(probe(&bytes).unwrap().label.is_some(), "units that are no text");
    }
}
