//! What makes a device a part of something else: a RAID, a volume group, a mirror, an encrypted volume. Some of these keep their
//! superblock at the end, with a file system at the beginning that looks like any other and must never be mounted by itself.

use super::Superblock;
use crate::bytes::{ByteSource, be32, le32, le64};

/// MD_SB_MAGIC of the kernel's `include/uapi/linux/raid/md_p.h`.
const MD_MAGIC: u32 = 0xa92b_4efc;
/// MD_RESERVED_BYTES of the same file.
const MD_RESERVED: u64 = 64 * 1024;
/// `include/linux/drbd.h` and `drbd_main.c` of the kernel: the versions 8 and 9, with an activity log or without.
const DRBD_MAGICS: [u32; 3] = [0x8374_0267, 0x8374_026b, 0x8374_026d];

/// Where a magic stands at the beginning: kind as blkid(8) has it, offset, bytes.
const AT_THE_BEGINNING: [(&str, u64, &[u8]); 14] = [
    ("crypto_LUKS", 0, b"LUKS\xba\xbe"),
    ("BitLocker", 3, b"-FVE-FS-"),
    ("LVM2_member", 24, b"LVM2 001"),
    ("LVM2_member", 512 + 24, b"LVM2 001"),
    ("LVM2_member", 1024 + 24, b"LVM2 001"),
    ("LVM2_member", 1536 + 24, b"LVM2 001"),
    ("bcache", 4096 + 24, b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"),
    ("DM_integrity", 0, b"integrt\0"),
    ("DM_verity_hash", 0, b"verity\0\0"),
    ("DM_snapshot_cow", 0, b"SnAp"),
    ("stratis", 512 + 4, b"!Stra0tis\x86\xff\x02^\x41rh"),
    ("vdo", 0, b"dmvdo001"),
    ("ceph_bluestore", 0, b"bluestore block device"),
    ("linux_raid_member", 0, b"\xfc\x4e\x2b\xa9\x01\0\0\0"),
];

/// What a device of this kind is, for a person; `None` of a file system.
pub fn part_of(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "linux_raid_member" => "a part of a RAID (md)",
        "isw_raid_member" | "ddf_raid_member" => "a part of a RAID of the firmware",
        "LVM2_member" => "a part of a volume group (LVM)",
        "zfs_member" => "a part of a ZFS pool",
        "bcache" => "a part of a bcache",
        "drbd" => "a part of a mirror (DRBD)",
        "crypto_LUKS" => "an encrypted volume (LUKS)",
        "BitLocker" => "an encrypted volume (BitLocker)",
        "DM_integrity" => "a part of a dm-integrity device",
        "DM_verity_hash" => "a hash tree of dm-verity",
        "DM_snapshot_cow" => "a part of a snapshot (device-mapper)",
        "stratis" => "a part of a Stratis pool",
        "vdo" => "a part of a VDO volume",
        "ceph_bluestore" => "a part of a Ceph cluster",
        "jbd" => "the journal of another ext4",
        _ => return None,
    })
}

/// Reads what is said at the beginning and at the end. Where the data begin with the device, label and UUID of the file system in
/// it are told too, so that whoever asks for it by name hears why it is not used.
pub(super) fn probe(source: &dyn ByteSource, inner: Option<&Superblock>) -> Option<Superblock> {
    let length = source.length().ok()?;
    let inner = inner.cloned().unwrap_or_default();
    // The last blocks of many a CD cannot be read, and trying takes seconds.
    if inner.kind != "iso9660"
        && let Some(kind) = at_the_end(source, length)
    {
        return Some(Superblock {
            kind,
            label: inner.label,
            uuid: inner.uuid,
            driver: None,
            length: Some(length),
        });
    }
    let has = |(_, offset, magic): &&(&str, u64, &[u8])| {
        source.vec(*offset, magic.len()).is_some_and(|bytes| bytes == *magic)
    };
    let at_the_beginning = || AT_THE_BEGINNING.iter().find(has).map(|(kind, ..)| *kind);
    let kind = at_the_beginning().or_else(|| md_1(source, 4096).then_some("linux_raid_member"))?;
    Some(Superblock { kind, ..Superblock::default() })
}

fn at_the_end(source: &dyn ByteSource, length: u64) -> Option<&'static str> {
    let before = |distance: u64| length.checked_sub(distance);
    let begins = |offset: Option<u64>, magic: &[u8]| {
        offset.and_then(|offset| source.vec(offset, magic.len())).is_some_and(|bytes| bytes == magic)
    };
    // `super_1_load` of the kernel's `drivers/md/md.c`: at least 8 KiB and at most 12 KiB from the end.
    let md_1_0 = before(16 * 512).map(|offset| offset & !4095);
    let md_0_90 = (length & !(MD_RESERVED - 1)).checked_sub(MD_RESERVED);
    let number = |offset: Option<u64>| offset.and_then(|offset| source.vec(offset, 8));
    if md_1_0.is_some_and(|offset| md_1(source, offset))
        || number(md_0_90).is_some_and(|bytes| is_md_0_90(&bytes))
    {
        return Some("linux_raid_member");
    }
    let drbd = number(before(4096).map(|offset| (offset & !4095) + 56));
    if drbd.is_some_and(|bytes| DRBD_MAGICS.contains(&be32(&bytes, 4))) {
        return Some("drbd");
    }
    if begins(before(1024), b"Intel Raid ISM Cfg Sig. ") {
        return Some("isw_raid_member");
    }
    // "Common RAID Disk Data Format Specification" of SNIA: the anchor header is the last block.
    begins(before(512), &[0xde, 0x11, 0xde, 0x11]).then_some("ddf_raid_member")
}

/// Version 0.90 is written in the byte order of the machine.
fn is_md_0_90(bytes: &[u8]) -> bool {
    (le32(bytes, 0) == MD_MAGIC && le32(bytes, 4) == 0) || (be32(bytes, 0) == MD_MAGIC && be32(bytes, 4) == 0)
}

/// Version 1.x at `offset`. It says where it stands, so that the superblock of the last partition is not taken for that of the disk.
fn md_1(source: &dyn ByteSource, offset: u64) -> bool {
    source.vec(offset, 136).is_some_and(|block| {
        le32(&block, 0) == MD_MAGIC && le32(&block, 4) == 1 && le64(&block, 128) == offset / 512
    })
}

/// Where ZFS keeps its ring of uberblocks: the second half of each label. Asked last: the 8 KiB before a label are zeros, so that
/// any file system that begins there is younger.
pub(super) fn zfs(source: &dyn ByteSource) -> Option<Superblock> {
    const MAGIC: u64 = 0x00ba_b10c;
    const LABEL: u64 = 256 * 1024;
    let length = source.length().ok()? & !(LABEL - 1);
    let labels = [Some(0), Some(LABEL), length.checked_sub(2 * LABEL), length.checked_sub(LABEL)];
    let has = |label: u64| {
        source.vec(label + LABEL / 2, 128 * 1024).is_some_and(|ring| {
            let mut blocks = ring.chunks_exact(1024).map(|block| le64(block, 0));
            blocks.any(|magic| magic == MAGIC || magic.swap_bytes() == MAGIC)
        })
    };
    let found = labels.into_iter().flatten().any(has);
    found.then(|| Superblock { kind: "zfs_member", ..Superblock::default() })
}

#[cfg(test)]
mod tests {
    use super::super::{is_blank, probe};
    use super::*;

    const LENGTH: usize = 1 << 20;

    /// An ext4 with a name.
    fn image() -> Vec<u8> {
        let mut bytes = vec![0; LENGTH];
        bytes[1024] = 16;
        bytes[1024 + 0x38..1024 + 0x3a].copy_from_slice(&[0x53, 0xef]);
        bytes[1024 + 0x78..1024 + 0x7e].copy_from_slice(b"lamina");
        bytes
    }

    fn md(version: u32, sector: u64) -> Vec<u8> {
        let mut block = vec![0; 136];
        block[..4].copy_from_slice(&MD_MAGIC.to_le_bytes());
        block[4..8].copy_from_slice(&version.to_le_bytes());
        block[128..136].copy_from_slice(&sector.to_le_bytes());
        block
    }

    #[test]
    fn what_stands_at_the_end_goes_before_the_file_system_at_the_beginning() {
        let drbd: &[&[u8]] =
            &[&[0x83, 0x74, 0x02, 0x6b], &[0x83, 0x74, 0x02, 0x67], &[0x83, 0x74, 0x02, 0x6d]];
        let at = (LENGTH - 8192) as u64;
        let mut cases: Vec<(&str, usize, Vec<u8>)> = vec![
            ("linux_raid_member", at as usize, md(1, at / 512)),
            ("linux_raid_member", LENGTH - 65536, md(0, 0)),
            ("linux_raid_member", LENGTH - 65536, MD_MAGIC.to_be_bytes().to_vec()),
            ("isw_raid_member", LENGTH - 1024, b"Intel Raid ISM Cfg Sig. 1.0".to_vec()),
            ("ddf_raid_member", LENGTH - 512, vec![0xde, 0x11, 0xde, 0x11]),
        ];
        cases.extend(drbd.iter().map(|magic| ("drbd", LENGTH - 4096 + 60, magic.to_vec())));
        for (kind, offset, magic) in cases {
            let mut bytes = image();
            assert_eq!(probe(&bytes).unwrap().kind, "ext2");
            bytes[offset..offset + magic.len()].copy_from_slice(&magic);
            let found = probe(&bytes).unwrap();
            assert_eq!((found.kind, found.driver, found.can_hold_top()), (kind, None, false));
            assert_eq!((found.label.as_deref(), found.length), (Some("lamina"), Some(LENGTH as u64)));
            assert!(part_of(kind).is_some() && !is_blank(&bytes));
        }
    }

    #[test]
    fn the_superblock_of_the_last_partition_is_not_that_of_the_disk() {
        let mut bytes = image();
        let at = LENGTH - 8192;
        bytes[at..at + 136].copy_from_slice(&md(1, at as u64 / 512 - 64));
        assert_eq!(probe(&bytes).unwrap().kind, "ext2");
    }

    #[test]
    fn what_stands_at_the_beginning_is_named() {
        for (kind, offset, magic) in AT_THE_BEGINNING {
            let mut bytes = vec![0; LENGTH];
            bytes[offset as usize..][..magic.len()].copy_from_slice(magic);
            assert_eq!((probe(&bytes).unwrap().kind, part_of(kind).is_some()), (kind, true));
        }
        let mut bytes = image();
        bytes[4096..4096 + 136].copy_from_slice(&md(1, 8));
        let found = probe(&bytes).unwrap();
        assert_eq!((found.kind, found.label, found.length), ("linux_raid_member", None, None));
    }

    #[test]
    fn zfs_is_known_by_any_of_its_labels_unless_a_file_system_came_later() {
        for offset in [128 << 10, (512 << 10) - 1024, (640 << 10) + 2048, LENGTH - 1024] {
            for magic in [0x00ba_b10c_u64.to_le_bytes(), 0x00ba_b10c_u64.to_be_bytes()] {
                let mut bytes = vec![0; LENGTH];
                bytes[offset..offset + 8].copy_from_slice(&magic);
                assert_eq!(probe(&bytes).unwrap().kind, "zfs_member", "{offset}");
                let mut bytes = image();
                bytes[offset..offset + 8].copy_from_slice(&magic);
                assert_eq!(probe(&bytes).unwrap().kind, "ext2", "{offset}");
            }
        }
    }
}
