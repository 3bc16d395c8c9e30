//! Which file system lies on a device: read from its superblock, without a mount.
//!
//! Those of the table [`file_systems`] can be mounted, and are read with label and UUID: each row has a reader here. Others are
//! recognised by their magic only, so that a message can say "vda2 is swap" instead of "vda2 is something else". What is a part of
//! something else (a RAID, a volume group, an encrypted volume) goes before all: a file system in it is not for mounting.

mod btrfs;
mod case_folding;
mod ext4;
mod f2fs;
mod iso9660;
mod member;
mod vfat;
mod xfs;

use crate::bytes::ByteSource;

pub use case_folding::folds_case;
pub use member::part_of;

/// What a superblock says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Superblock {
    /// Its name as blkid(8) has it: `ext2`, `ext3`, `ext4`, `xfs`, `btrfs`, `f2fs`, `vfat`, `iso9660`, `swap`, ...
    pub kind: &'static str,
    /// The driver that mounts it as a store or as a state, when there is one.
    pub driver: Option<&'static str>,
    /// The volume label, as it stands there.
    pub label: Option<String>,
    /// The UUID in the form of blkid(8): 36 characters, `1234-ABCD` for vfat, a date for ISO 9660.
    pub uuid: Option<String>,
    /// The bytes that it fills from the beginning of the device on, when it says so.
    pub length: Option<u64>,
}

impl Superblock {
    /// Whether a writable top can be kept on it: overlayfs needs extended attributes, whiteouts and the types of directory
    /// entries, which not all have.
    pub fn can_hold_top(&self) -> bool {
        self.driver.and_then(file_systems::of_driver).is_some_and(|row| row.top.is_some())
    }
}

/// File systems that are recognised but cannot hold a store: name, offset and bytes of the magic.
const OTHERS: [(&str, u64, &[u8]); 6] = [
    ("squashfs", 0, b"hsqs"),
    ("ntfs", 3, b"NTFS    "),
    ("exfat", 3, b"EXFAT   "),
    ("bcachefs", 4096 + 24, b"\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef"),
    ("erofs", 1024, b"\xe2\xe1\xf5\xe0"),
    ("swap", 4086, b"SWAPSPACE2"),
];

/// Reads the superblock, `None` when nothing known lies there or the device cannot be read.
pub fn probe(source: &dyn ByteSource) -> Option<Superblock> {
    let file_system = file_system(source);
    member::probe(source, file_system.as_ref())
        .or(file_system)
        .or_else(|| other(source))
        .or_else(|| member::zfs(source))
}

type Reader = fn(&dyn ByteSource) -> Option<Superblock>;

/// The reader for each driver, in the order in which they are asked. A boot sector says the least of what it is: vfat comes last.
const READERS: [(&str, Reader); 6] = [
    ("ext4", ext4::probe),
    ("xfs", xfs::probe),
    ("btrfs", btrfs::probe),
    ("f2fs", f2fs::probe),
    ("iso9660", iso9660::probe),
    ("vfat", vfat::probe),
];

fn file_system(source: &dyn ByteSource) -> Option<Superblock> {
    READERS.iter().find_map(|(_, probe)| probe(source))
}

/// The driver that mounts what has this kind.
fn driver(kind: &str) -> Option<&'static str> {
    file_systems::of_kind(kind).map(|row| row.driver)
}

/// How much is looked at, at each end of a device, before it is called blank: all that partition tables, RAID, LVM, LUKS and
/// the file systems above have there.
const LOOKED_AT: u64 = 1 << 20;

/// Whether the first and the last MiB hold nothing but zeros: a device that nobody has written to yet. What cannot be read
/// is not blank, and neither is a device without a single byte.
pub fn is_blank(source: &dyn ByteSource) -> bool {
    let Ok(length @ 1..) = source.length() else { return false };
    let part = length.min(LOOKED_AT);
    let zeros = |offset| {
        let bytes = usize::try_from(part).ok().and_then(|length| source.vec(offset, length));
        bytes.is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0))
    };
    zeros(0) && zeros(length - part)
}

/// 36 characters; all zeros mean that there is none.
fn uuid(bytes: &[u8]) -> Option<String> {
    if bytes.iter().all(|byte| *byte == 0) {
        return None;
    }
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Some([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

fn other(source: &dyn ByteSource) -> Option<Superblock> {
    let has = |(_, offset, magic): &&(&str, u64, &[u8])| {
        source.vec(*offset, magic.len()).is_some_and(|bytes| bytes == *magic)
    };
    OTHERS.iter().find(has).map(|(kind, ..)| Superblock { kind, ..Superblock::default() })
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
    fn every_file_system_of_the_table_has_a_reader_and_no_other_has() {
        let sorted = |mut drivers: Vec<&'static str>| {
            drivers.sort_unstable();
            drivers
        };
        let readers = sorted(READERS.iter().map(|(driver, _)| *driver).collect());
        assert_eq!(readers, sorted(file_systems::FILE_SYSTEMS.iter().map(|row| row.driver).collect()));
        assert!(OTHERS.iter().all(|(kind, ..)| driver(kind).is_none()));
    }

    #[test]
    fn an_empty_or_short_device_is_nothing() {
        assert_eq!(probe(&vec![0; 0x2_0000]), None);
        assert_eq!(probe(&Vec::new()), None);
    }

    #[test]
    fn blank_is_what_has_zeros_at_both_ends() {
        let mut bytes = vec![0; 3 << 20];
        assert!(is_blank(&bytes));
        bytes[3 << 19] = 1;
        assert!(is_blank(&bytes), "the middle is not looked at");
        for at in [0, 0x1_0040, (1 << 20) - 1, 2 << 20, (3 << 20) - 1] {
            let mut bytes = vec![0; 3 << 20];
            bytes[at] = 1;
            assert!(!is_blank(&bytes), "byte {at}");
        }
        assert!(is_blank(&vec![0; 10]));
        assert!(!is_blank(&Vec::new()));
    }

    #[test]
    fn garbage_never_panics() {
        let mut random = crate::random::Random(7);
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
            match random.next() & 3 {
                0 => bytes[..4].copy_from_slice(b"XFSB"),
                1 => bytes[1024..1028].copy_from_slice(&0xf2f5_2010_u32.to_le_bytes()),
                _ => {}
            }
            let length = usize::from(random.next()) * 157;
            bytes.truncate(length);
            let _ = probe(&bytes);
        }
    }
}
