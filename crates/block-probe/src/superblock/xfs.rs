//! XFS: `struct xfs_dsb` of the kernel's `fs/xfs/libxfs/xfs_format.h`. All numbers are big-endian.

use super::{Superblock, driver, uuid};
use crate::bytes::{ByteSource, be32, field_text};

/// Reads an XFS superblock, at the start of the device.
pub(super) fn probe(source: &dyn ByteSource) -> Option<Superblock> {
    let block = source.vec(0, 120)?;
    let block_size = be32(&block, 4);
    if block[..4] != *b"XFSB" || !block_size.is_power_of_two() || !(512..=65536).contains(&block_size) {
        return None;
    }
    let blocks = u64::from(be32(&block, 8)) << 32 | u64::from(be32(&block, 12));
    let length = blocks.checked_mul(u64::from(block_size));
    let label = field_text(&block[108..120]);
    Some(Superblock { kind: "xfs", driver: driver("xfs"), label, uuid: uuid(&block[32..48]), length })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_block_size_is_not_ours() {
        let mut bytes = vec![0; 512];
        bytes[..4].copy_from_slice(b"XFSB");
        assert_eq!(probe(&bytes), None);
        bytes[6] = 0x10;
        bytes[108..119].copy_from_slice(b"twelve long");
        assert_eq!(probe(&bytes).unwrap().label.as_deref(), Some("twelve long"));
    }
}
