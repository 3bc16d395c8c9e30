//! Which file system lies on a device: read from its superblock, without a mount.
//!
//! Three kinds can hold a store (ext4, vfat, ISO 9660) and are read with label and UUID. Others are recognised by their
//! magic only, so that a message can say "vda2 is swap" instead of "vda2 is something else".

mod ext4;
mod iso9660;
mod vfat;

use crate::bytes::ByteSource;

/// What a superblock says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// Its name as blkid(8) has it: `ext2`, `ext3`, `ext4`, `vfat`, `iso9660`, `swap`, ...
    pub kind: &'static str,
    /// The driver that mounts it as a store, when there is one.
    pub driver: Option<&'static str>,
    /// The volume label, as it stands there.
    pub label: Option<String>,
    /// The UUID in the form of blkid(8): 36 characters for ext4, `1234-ABCD` for vfat, a date for ISO 9660.
    pub uuid: Option<String>,
}

/// Kinds that are recognised but cannot hold a store: name, offset and bytes of the magic.
const OTHERS: [(&str, u64, &[u8]); 9] = [
    ("squashfs", 0, b"hsqs"),
    ("xfs", 0, b"XFSB"),
    ("crypto_LUKS", 0, b"LUKS\xba\xbe"),
    ("ntfs", 3, b"NTFS    "),
    ("exfat", 3, b"EXFAT   "),
    ("LVM2_member", 536, b"LVM2 001"),
    ("erofs", 1024, b"\xe2\xe1\xf5\xe0"),
    ("swap", 4086, b"SWAPSPACE2"),
    ("btrfs", 0x1_0040, b"_BHRfS_M"),
];

/// Reads the superblock, `None` when nothing known lies there or the device cannot be read.
pub fn probe(source: &dyn ByteSource) -> Option<Superblock> {
    ext4::probe(source)
        .or_else(|| iso9660::probe(source))
        .or_else(|| vfat::probe(source))
        .or_else(|| other(source))
}

fn other(source: &dyn ByteSource) -> Option<Superblock> {
    let has = |(_, offset, magic): &&(&str, u64, &[u8])| {
        source.vec(*offset, magic.len()).is_some_and(|bytes| bytes == *magic)
    };
    OTHERS.iter().find(has).map(|(kind, ..)| Superblock { kind, driver: None, label: None, uuid: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_named_but_have_no_driver() {
        for (kind, offset, magic) in OTHERS {
            let mut bytes = vec![0; 0x2_0000];
            bytes[offset as usize..][..magic.len()].copy_from_slice(magic);
            let found = probe(&bytes).unwrap();
            assert_eq!((found.kind, found.driver), (kind, None));
        }
    }

    #[test]
    fn an_empty_or_short_device_is_nothing() {
        assert_eq!(probe(&vec![0; 0x2_0000]), None);
        assert_eq!(probe(&Vec::new()), None);
    }

    #[test]
    fn garbage_never_panics() {
        let mut random = crate::partition_table::tests::Random(7);
        for _ in 0..200 {
            let mut bytes: Vec<u8> = (0..40_000).map(|_| random.next()).collect();
            // Half of the rounds have magics in place, so that the fields behind them are read.
            bytes[1024 + 0x38..1024 + 0x3a].copy_from_slice(&[0x53, 0xef]);
            bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
            bytes[32769..32774].copy_from_slice(b"CD001");
            bytes[32768] = random.next() & 1;
            bytes[1024 + 0x38] ^= random.next() & 1;
            bytes[11..13].copy_from_slice(&512u16.to_le_bytes());
            bytes[13] = 1 << (random.next() & 7);
            bytes[16] = 1 + (random.next() & 1);
            bytes[21] = 0xf8;
            let length = usize::from(random.next()) * 157;
            bytes.truncate(length);
            let _ = probe(&bytes);
        }
    }
}
