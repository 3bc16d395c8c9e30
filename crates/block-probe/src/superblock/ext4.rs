//! ext2, ext3 and ext4: `Documentation/filesystems/ext4/super.rst` of the kernel.

use super::{Superblock, driver, uuid};
use crate::bytes::{ByteSource, field_text, le16, le32};

/// Where the superblock begins, whatever the block size.
const OFFSET: u64 = 1024;
const MAGIC: u16 = 0xef53;

const COMPAT_HAS_JOURNAL: u32 = 0x4;
const INCOMPAT_JOURNAL_DEVICE: u32 = 0x8;
const INCOMPAT_64BIT: u32 = 0x80;
/// Extents, 64-bit, flexible groups: what ext3 does not have.
const INCOMPAT_EXT4: u32 = 0x40 | 0x80 | 0x200;

/// Reads an ext2, ext3 or ext4 superblock. One driver mounts all three.
pub(super) fn probe(source: &dyn ByteSource) -> Option<Superblock> {
    let block = source.vec(OFFSET, 0x154)?;
    let (inodes, block_size_log, magic) = (le32(&block, 0), le32(&block, 0x18), le16(&block, 0x38));
    if magic != MAGIC || inodes == 0 || block_size_log > 6 {
        return None;
    }
    let (compat, incompat) = (le32(&block, 0x5c), le32(&block, 0x60));
    let kind = match () {
        // No driver mounts it.
        () if incompat & INCOMPAT_JOURNAL_DEVICE != 0 => "jbd",
        () if incompat & INCOMPAT_EXT4 != 0 => "ext4",
        () if compat & COMPAT_HAS_JOURNAL != 0 => "ext3",
        () => "ext2",
    };
    let high = if incompat & INCOMPAT_64BIT != 0 { le32(&block, 0x150) } else { 0 };
    let blocks = u64::from(high) << 32 | u64::from(le32(&block, 4));
    let length = blocks.checked_mul(1024 << block_size_log);
    let (label, uuid) = (field_text(&block[0x78..0x88]), uuid(&block[0x68..0x78]));
    Some(Superblock { kind, driver: driver(kind), label, uuid, length })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(compat: u32, incompat: u32) -> Vec<u8> {
        let mut bytes = vec![0; 4096];
        let block = &mut bytes[1024..];
        block[0] = 16;
        block[0x38..0x3a].copy_from_slice(&MAGIC.to_le_bytes());
        block[0x5c..0x60].copy_from_slice(&compat.to_le_bytes());
        block[0x60..0x64].copy_from_slice(&incompat.to_le_bytes());
        for (index, byte) in block[0x68..0x78].iter_mut().enumerate() {
            *byte = index as u8 + 1;
        }
        block[0x78..0x7e].copy_from_slice(b"lamina");
        bytes
    }

    #[test]
    fn label_and_uuid_are_read() {
        let found = probe(&image(4, 0x42)).unwrap();
        assert_eq!(found.label.as_deref(), Some("lamina"));
        assert_eq!(found.uuid.as_deref(), Some("01020304-0506-0708-090a-0b0c0d0e0f10"));
        assert_eq!((found.kind, found.driver), ("ext4", Some("ext4")));
    }

    #[test]
    fn the_features_tell_the_generations_apart() {
        assert_eq!(probe(&image(4, 2)).unwrap().kind, "ext3");
        assert_eq!(probe(&image(0, 2)).unwrap().kind, "ext2");
        assert_eq!(probe(&image(0, 8)).unwrap().driver, None);
    }

    #[test]
    fn a_wrong_magic_or_block_size_is_not_ours() {
        let mut bytes = image(0, 0);
        bytes[1024 + 0x18] = 7;
        assert_eq!(probe(&bytes), None);
    }
}
