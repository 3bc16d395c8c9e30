//! FAT12, FAT16 and FAT32: Microsoft's "FAT32 File System Specification", version 1.03, sections on the boot sector and
//! on directory entries.

use super::{Superblock, driver};
use crate::bytes::{ByteSource, field_text, le16, le32};

/// More entries of a root directory are not searched for a label, so that a chain that bites its tail ends.
const MOST_ENTRIES: u64 = 4096;
/// The upper four bits of an entry of a FAT32 table are reserved; what is left from here on ends the chain.
const FAT32_ENTRY: u32 = 0x0fff_ffff;
const FAT32_END: u32 = 0x0fff_fff7;
const ENTRY: usize = 32;
const ATTRIBUTE_VOLUME_ID: u8 = 0x08;
/// All four low attributes set: a piece of a long name, not a label.
const ATTRIBUTE_LONG_NAME: u8 = 0x0f;

/// Where the root directory lies. Offsets and lengths in bytes.
enum Root {
    /// FAT12 and FAT16: in one piece.
    Piece { offset: u64, entries: u64 },
    /// FAT32: a chain of clusters, of which the table has one entry of four bytes each.
    Chain { table: u64, data: u64, cluster: u64, first: u32 },
}

/// What the boot sector says, as far as label and UUID need it.
struct BootSector {
    root: Root,
    /// Where the extended boot record (signature, serial number, label) begins.
    extended: usize,
    /// Of the volume, in bytes.
    length: u64,
}

/// Reads a FAT boot sector. The label in the root directory wins over that in the boot sector, as in blkid(8).
pub(super) fn probe(source: &dyn ByteSource) -> Option<Superblock> {
    let sector = source.vec(0, 512)?;
    let boot = boot_sector(&sector)?;
    let signature = sector[boot.extended];
    let serial = matches!(signature, 0x28 | 0x29).then(|| le32(&sector, boot.extended + 1));
    let in_boot_sector = || {
        (signature == 0x29)
            .then(|| &sector[boot.extended + 5..boot.extended + 16])
            .and_then(field_text)
            .filter(
                // What formatters write when no label was given.
                |label| label != "NO NAME",
            )
    };
    let label = label_in_root(source, &boot.root).or_else(in_boot_sector);
    let uuid = serial.map(|serial| format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff));
    Some(Superblock { kind: "vfat", driver: driver("vfat"), label, uuid, length: Some(boot.length) })
}

fn boot_sector(sector: &[u8]) -> Option<BootSector> {
    let bytes_per_sector = u64::from(le16(sector, 11));
    let sectors_per_cluster = u64::from(sector[13]);
    let reserved = u64::from(le16(sector, 14));
    let fats = u64::from(sector[16]);
    let root_entries = u64::from(le16(sector, 17));
    let media = sector[21];
    let plausible = sector[510..512] == [0x55, 0xaa]
        && matches!(bytes_per_sector, 512 | 1024 | 2048 | 4096)
        && sectors_per_cluster.is_power_of_two()
        && reserved > 0
        && (1..=2).contains(&fats)
        && (media == 0xf0 || media >= 0xf8);
    if !plausible {
        return None;
    }
    let sectors = match le16(sector, 19) {
        0 => u64::from(le32(sector, 32)),
        few => u64::from(few),
    };
    let length = sectors * bytes_per_sector;
    let small_fat = u64::from(le16(sector, 22));
    if small_fat > 0 {
        let offset = (reserved + fats * small_fat) * bytes_per_sector;
        return Some(BootSector {
            root: Root::Piece { offset, entries: root_entries },
            extended: 38,
            length,
        });
    }
    let (fat, first) = (u64::from(le32(sector, 36)), le32(sector, 44));
    let root = Root::Chain {
        table: reserved * bytes_per_sector,
        data: (reserved + fats * fat) * bytes_per_sector,
        cluster: sectors_per_cluster * bytes_per_sector,
        first,
    };
    (fat > 0 && root_entries == 0).then_some(BootSector { root, extended: 66, length })
}

fn label_in_root(source: &dyn ByteSource, root: &Root) -> Option<String> {
    match *root {
        Root::Piece { offset, entries } => {
            label_among(source, offset, entries.min(MOST_ENTRIES))?.ok().flatten()
        }
        Root::Chain { table, data, cluster, first } => {
            let mut number = first;
            let entries = cluster / ENTRY as u64;
            for _ in 0..MOST_ENTRIES.div_ceil(entries) {
                let offset = data + u64::from(number.checked_sub(2)?) * cluster;
                if let Ok(label) = label_among(source, offset, entries)? {
                    return label;
                }
                let next = source.vec(table + u64::from(number) * 4, 4)?;
                number = le32(&next, 0) & FAT32_ENTRY;
                if number >= FAT32_END {
                    return None;
                }
            }
            None
        }
    }
}

/// No label yet, and the directory has not ended either.
struct GoesOn;

/// The label among these entries; `None` when they cannot be read.
fn label_among(source: &dyn ByteSource, offset: u64, entries: u64) -> Option<Result<Option<String>, GoesOn>> {
    let bytes = source.vec(offset, usize::try_from(entries).ok()? * ENTRY)?;
    for entry in bytes.chunks_exact(ENTRY) {
        let attributes = entry[11];
        match entry[0] {
            0 => return Some(Ok(None)),
            // Deleted.
            0xe5 => {}
            _ if attributes & 0x3f == ATTRIBUTE_LONG_NAME => {}
            _ if attributes & ATTRIBUTE_VOLUME_ID != 0 => return Some(Ok(field_text(&entry[..11]))),
            _ => {}
        }
    }
    Some(Err(GoesOn))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fat16() -> Vec<u8> {
        let mut bytes = vec![0; 64 * 512];
        bytes[11..13].copy_from_slice(&512u16.to_le_bytes());
        bytes[13] = 4;
        bytes[14] = 1;
        bytes[16] = 2;
        bytes[17..19].copy_from_slice(&512u16.to_le_bytes());
        bytes[21] = 0xf8;
        bytes[22] = 8;
        bytes[38] = 0x29;
        bytes[39..43].copy_from_slice(&[0xd4, 0xc3, 0x12, 0xab]);
        bytes[43..54].copy_from_slice(b"BOOTSECTOR ");
        bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
        bytes
    }

    #[test]
    fn serial_and_label_of_the_boot_sector() {
        let found = probe(&fat16()).unwrap();
        assert_eq!(found.uuid.as_deref(), Some("AB12-C3D4"));
        assert_eq!(found.label.as_deref(), Some("BOOTSECTOR"));
    }

    #[test]
    fn the_label_of_the_root_directory_wins() {
        let mut bytes = fat16();
        let root = (1 + 2 * 8) * 512;
        bytes[root..root + 12].copy_from_slice(b"LONGNAME   \x0f");
        bytes[root + 32..root + 44].copy_from_slice(b"LAMINA     \x08");
        assert_eq!(probe(&bytes).unwrap().label.as_deref(), Some("LAMINA"));
    }

    /// Clusters of one sector, the root directory in clusters 2, 5 and 3; `table` starts in sector 1, data in sector 3.
    fn fat32(last: u32) -> Vec<u8> {
        let mut bytes = fat16();
        (bytes[13], bytes[16], bytes[17], bytes[18], bytes[22]) = (1, 2, 0, 0, 0);
        bytes[36..40].copy_from_slice(&1u32.to_le_bytes());
        bytes[44..48].copy_from_slice(&2u32.to_le_bytes());
        bytes[66] = 0x29;
        bytes[71..82].copy_from_slice(b"BOOTSECTOR ");
        for (cluster, next) in [(2, 5), (5, 3), (3, last)] {
            bytes[512 + cluster * 4..][..4].copy_from_slice(&next.to_le_bytes());
            let first = (3 + cluster - 2) * 512;
            bytes[first..first + 512].fill(b'x');
            (0..16).for_each(|entry| bytes[first + entry * 32 + 11] = 0x20);
        }
        bytes
    }

    #[test]
    fn the_label_is_found_in_a_later_cluster_of_the_root_directory() {
        let mut bytes = fat32(0x0fff_ffff);
        assert_eq!(probe(&bytes).unwrap().label.as_deref(), Some("BOOTSECTOR"));
        let last_entry = (3 + 3 - 2) * 512 + 15 * 32;
        bytes[last_entry..last_entry + 12].copy_from_slice(b"LAMINA     \x08");
        assert_eq!(probe(&bytes).unwrap().label.as_deref(), Some("LAMINA"));
    }

    #[test]
    fn a_chain_in_a_circle_or_out_of_the_disk_ends() {
        for last in [2, 3, 0, 1, 0x0fff_fff0, u32::MAX] {
            assert_eq!(probe(&fat32(last)).unwrap().label.as_deref(), Some("BOOTSECTOR"), "{last:#x}");
        }
    }

    #[test]
    fn no_name_is_no_label() {
        let mut bytes = fat16();
        bytes[43..54].copy_from_slice(b"NO NAME    ");
        assert_eq!(probe(&bytes).unwrap().label, None);
    }

    #[test]
    fn a_boot_sector_without_a_table_is_not_ours() {
        let mut bytes = fat16();
        bytes[22] = 0;
        assert_eq!(probe(&bytes), None);
        let mut bytes = fat16();
        bytes[16] = 9;
        assert_eq!(probe(&bytes), None);
    }
}
