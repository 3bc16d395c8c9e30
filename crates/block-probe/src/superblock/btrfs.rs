//! Btrfs: `struct btrfs_super_block` of the kernel's `include/uapi/linux/btrfs_tree.h`.

use super::{Superblock, driver, uuid};
use crate::bytes::{ByteSource, field_text, le64};

/// Where the first superblock begins: BTRFS_SUPER_INFO_OFFSET.
const OFFSET: u64 = 0x1_0000;
const FSID: usize = 32;
const MAGIC: usize = 64;
const TOTAL_BYTES: usize = 112;
const NUM_DEVICES: usize = 136;
const LABEL: usize = 299;

/// Reads the first Btrfs superblock. One of several devices has no driver here: mounting it takes a search for the others.
pub(super) fn probe(source: &dyn ByteSource) -> Option<Superblock> {
    let block = source.vec(OFFSET, LABEL + 256)?;
    if block[MAGIC..MAGIC + 8] != *b"_BHRfS_M" || le64(&block, 48) != OFFSET {
        return None;
    }
    let driver = driver("btrfs").filter(|_| le64(&block, NUM_DEVICES) == 1);
    let length = (driver.is_some()).then(|| le64(&block, TOTAL_BYTES));
    let label = field_text(&block[LABEL..LABEL + 256]);
    Some(Superblock { kind: "btrfs", driver, label, uuid: uuid(&block[FSID..FSID + 16]), length })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_several_devices_is_named_and_left_alone() {
        let mut bytes = vec![0; 0x1_1000];
        let block = &mut bytes[OFFSET as usize..];
        block[MAGIC..MAGIC + 8].copy_from_slice(b"_BHRfS_M");
        block[48..56].copy_from_slice(&OFFSET.to_le_bytes());
        block[NUM_DEVICES] = 2;
        let found = probe(&bytes).unwrap();
        assert_eq!((found.kind, found.driver, found.can_hold_top()), ("btrfs", None, false));
        bytes[OFFSET as usize + NUM_DEVICES] = 1;
        assert!(probe(&bytes).unwrap().can_hold_top());
        bytes[OFFSET as usize + 50] = 0;
        assert_eq!(probe(&bytes), None, "a copy of a superblock that stands elsewhere");
    }
}
