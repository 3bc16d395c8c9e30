//! The GUID partition table: UEFI specification 2.10, section 5.3.

use super::Partition;
use crate::bytes::{ByteSource, le16, le32, le64};

/// Logical sectors of 512 bytes on most disks, of 4096 on some.
const SECTOR_SIZES: [u64; 2] = [512, 4096];
const HEADER: usize = 92;
/// 128 entries is what everyone writes; 1024 of 512 bytes is more than anyone does.
const MOST_ENTRIES: u32 = 1024;
const ENTRY_SIZES: std::ops::RangeInclusive<u32> = 128..=512;

/// Reads the used entries from the primary header or, when that does not hold together, from the backup at the end.
pub(super) fn read(source: &dyn ByteSource, size: u64) -> Option<Vec<Partition>> {
    SECTOR_SIZES.iter().find_map(|sector| {
        let backup = (size / sector).checked_sub(1);
        [Some(1), backup].into_iter().flatten().find_map(|address| table_at(source, address, *sector))
    })
}

fn table_at(source: &dyn ByteSource, address: u64, sector: u64) -> Option<Vec<Partition>> {
    let mut header = source.vec(address.checked_mul(sector)?, HEADER)?;
    let (length, count, entry_size) = (le32(&header, 12), le32(&header, 80), le32(&header, 84));
    let plausible = header[..8] == *b"EFI PART"
        && length as usize == HEADER
        && le64(&header, 24) == address
        && (1..=MOST_ENTRIES).contains(&count)
        && ENTRY_SIZES.contains(&entry_size);
    if !plausible {
        return None;
    }
    let checksum = le32(&header, 16);
    header[16..20].fill(0);
    if crc32(&header) != checksum {
        return None;
    }
    let entries = source.vec(le64(&header, 72).checked_mul(sector)?, count as usize * entry_size as usize)?;
    if crc32(&entries) != le32(&header, 88) {
        return None;
    }
    Some(
        (1..)
            .zip(entries.chunks_exact(entry_size as usize))
            .filter_map(|(number, entry)| partition(number, entry))
            .collect(),
    )
}

/// An entry of at least 128 bytes; an unused one has a type of zeros.
fn partition(number: u32, entry: &[u8]) -> Option<Partition> {
    let used = entry[..16].iter().any(|byte| *byte != 0);
    used.then(|| Partition { number, uuid: guid(&entry[16..32]), label: name(&entry[56..128]) })
}

/// The first three fields of a GUID are little-endian, the rest are bytes in order (UEFI specification, appendix A).
fn guid(bytes: &[u8]) -> String {
    let tail: String = bytes[10..16].iter().map(|byte| format!("{byte:02x}")).collect();
    let (first, second, third) = (le32(bytes, 0), le16(bytes, 4), le16(bytes, 6));
    format!("{first:08x}-{second:04x}-{third:04x}-{:02x}{:02x}-{tail}", bytes[8], bytes[9])
}

fn name(bytes: &[u8]) -> Option<String> {
    let units: Vec<u16> =
        bytes.chunks_exact(2).map(|pair| le16(pair, 0)).take_while(|unit| *unit != 0).collect();
    (!units.is_empty()).then(|| String::from_utf16_lossy(&units))
}

/// The CRC-32 of IEEE 802.3, which UEFI asks for. Bit by bit: a table is 16 KiB and read once a disk.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk of 64 sectors with one partition, number 2, and a header at `address`.
    fn disk(address: u64, sector: usize) -> Vec<u8> {
        let mut entries = vec![0; 4 * 128];
        let entry = &mut entries[128..256];
        entry[0] = 1;
        for (index, byte) in entry[16..32].iter_mut().enumerate() {
            *byte = index as u8;
        }
        for (index, unit) in "lamina".encode_utf16().enumerate() {
            entry[56 + 2 * index..58 + 2 * index].copy_from_slice(&unit.to_le_bytes());
        }
        let mut header = vec![0; HEADER];
        header[..8].copy_from_slice(b"EFI PART");
        header[12..16].copy_from_slice(&92u32.to_le_bytes());
        header[24..32].copy_from_slice(&address.to_le_bytes());
        header[72..80].copy_from_slice(&2u64.to_le_bytes());
        header[80..84].copy_from_slice(&4u32.to_le_bytes());
        header[84..88].copy_from_slice(&128u32.to_le_bytes());
        header[88..92].copy_from_slice(&crc32(&entries).to_le_bytes());
        let checksum = crc32(&header);
        header[16..20].copy_from_slice(&checksum.to_le_bytes());
        let mut bytes = vec![0; 64 * sector];
        bytes[address as usize * sector..][..HEADER].copy_from_slice(&header);
        bytes[2 * sector..][..entries.len()].copy_from_slice(&entries);
        bytes
    }

    #[test]
    fn the_check_value_of_crc32() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn number_guid_and_name_are_read() {
        for sector in [512, 4096] {
            let bytes = disk(1, sector);
            let found = read(&bytes, bytes.len() as u64).unwrap();
            let uuid = "03020100-0504-0706-0809-0a0b0c0d0e0f".to_owned();
            assert_eq!(found, [Partition { number: 2, uuid, label: Some("lamina".into()) }]);
        }
    }

    #[test]
    fn the_backup_serves_when_the_primary_is_gone() {
        let bytes = disk(63, 512);
        assert_eq!(read(&bytes, bytes.len() as u64).unwrap().len(), 1);
        assert_eq!(read(&bytes, 0), None);
    }

    #[test]
    fn one_wrong_bit_is_no_table() {
        for offset in [512 + 80, 512 + 40, 1024 + 130] {
            let mut bytes = disk(1, 512);
            bytes[offset] ^= 1;
            assert_eq!(read(&bytes, 0), None, "{offset}");
        }
    }
}
