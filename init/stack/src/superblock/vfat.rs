//! FAT12, FAT16 and FAT32: Microsoft's "FAT32 File System Specification", version 1.03, sections on the boot sector and
//! on directory entries.

use super::Superblock;
use crate::bytes::{ByteSource, field_text, le16, le32};

/// Root directories of FAT12 and FAT16 have at most this many entries in practice; more are not searched for a label.
const MOST_ENTRIES: u64 = 512;
const ENTRY: usize = 32;
const ATTRIBUTE_VOLUME_ID: u8 = 0x08;
/// All four low attributes set: a piece of a long name, not a label.
const ATTRIBUTE_LONG_NAME: u8 = 0x0f;

/// What the boot sector says, as far as label and UUID need it. Offsets and lengths in bytes.
struct BootSector {
    root_offset: u64,
    root_entries: u64,
    /// Where the extended boot record (signature, serial number, label) begins.
    extended: usize,
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
    let label = label_in_root(source, &boot).or_else(in_boot_sector);
    let uuid = serial.map(|serial| format!("{:04X}-{:04X}", serial >> 16, serial & 0xffff));
    Some(Superblock { kind: "vfat", driver: Some("vfat"), label, uuid })
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
    let small_fat = u64::from(le16(sector, 22));
    if small_fat > 0 {
        let root_offset = (reserved + fats * small_fat) * bytes_per_sector;
        return Some(BootSector { root_offset, root_entries: root_entries.min(MOST_ENTRIES), extended: 38 });
    }
    // FAT32: the root directory is a chain of clusters, of which the first holds the label in practice.
    let (fat, root_cluster) = (u64::from(le32(sector, 36)), u64::from(le32(sector, 44)));
    let first_data = reserved + fats * fat;
    let root_sector = first_data + root_cluster.checked_sub(2)? * sectors_per_cluster;
    let in_cluster = sectors_per_cluster * bytes_per_sector / ENTRY as u64;
    let root_offset = root_sector * bytes_per_sector;
    (fat > 0 && root_entries == 0).then_some(BootSector {
        root_offset,
        root_entries: in_cluster.min(MOST_ENTRIES),
        extended: 66,
    })
}

fn label_in_root(source: &dyn ByteSource, boot: &BootSector) -> Option<String> {
    let length = usize::try_from(boot.root_entries).ok()? * ENTRY;
    let root = source.vec(boot.root_offset, length)?;
    root.chunks_exact(ENTRY)
        .take_while(|entry| entry[0] != 0)
        .find(|entry| {
            let attributes = entry[11];
            let deleted = entry[0] == 0xe5;
            !deleted && attributes & ATTRIBUTE_VOLUME_ID != 0 && attributes & 0x3f != ATTRIBUTE_LONG_NAME
        })
        .and_then(|entry| field_text(&entry[..11]))
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
