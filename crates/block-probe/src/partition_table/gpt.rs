//! The GUID partition table: UEFI specification 2.10, section 5.3, as far as `block/partitions/efi.c` of the kernel follows it.

use std::fmt;

use super::{Disk, Entry, MOST_PARTITIONS, Partition, mbr};
use crate::bytes::{ByteSource, le16, le32, le64};

/// The least that the kernel takes for a header; at most it is one logical block.
const HEADER: u32 = 92;
/// The only size that the kernel takes.
const ENTRY: usize = 128;
/// 128 entries is what everyone writes. The kernel takes 32,768, which would be 4 MiB to read for each partition of the disk.
pub const MOST_ENTRIES: u32 = 8192;

/// One of the two copies of a table, whose checksums are right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GptCopy {
    /// The entries that the kernel would make partitions of.
    pub entries: Vec<Entry>,
    /// The type of each of them, a GUID as it is stored.
    pub kinds: Vec<[u8; 16]>,
    /// The logical block in which the other copy has its header, as this one says.
    pub other: u64,
    /// What both copies must have alike: the disk's GUID, the usable blocks, number and checksum of the entries.
    alike: Vec<u8>,
}

impl GptCopy {
    /// Whether both say the same of the disk.
    pub fn says_the_same(&self, other: &GptCopy) -> bool {
        self.alike == other.alike
    }
}

/// Why a copy does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GptFault {
    /// It cannot be read, or lies outside of the disk.
    Unreadable,
    /// There is no header.
    NoHeader,
    /// The header was changed: its CRC-32 is another, or it says what no disk of this kind has.
    Header,
    /// The header is that of another block.
    Misplaced,
    /// The entries were changed: their CRC-32 is another.
    Entries,
}

impl fmt::Display for GptFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            GptFault::Unreadable => "it cannot be read",
            GptFault::NoHeader => "there is no header",
            GptFault::Header => "its header does not match its checksum, or this disk",
            GptFault::Misplaced => "its header is that of another block",
            GptFault::Entries => "its entries do not match their checksum",
        })
    }
}

/// Both copies of a table, each judged by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GptCopies {
    /// That behind the boot record, which counts where it can be read.
    pub first: Result<GptCopy, GptFault>,
    /// That at the end of the disk, or where the first one says that it is.
    pub second: Result<GptCopy, GptFault>,
    /// Whether the second one lies in the last block, where it is looked for when there is no first one.
    pub second_is_last: bool,
    /// Whether the boot record says that there is a GPT: else the kernel and others see none.
    pub protected: bool,
}

/// Reads both copies, for whoever wants to know what is wrong with them; which partitions the kernel makes, [`super::read`] says. `None` of a
/// disk without blocks.
pub fn copies(source: &dyn ByteSource, disk: &Disk) -> Option<GptCopies> {
    let last = disk.last_block()?;
    let first = copy_at(source, 1, disk);
    let place = first.as_ref().map_or(last, |copy| copy.other);
    Some(GptCopies {
        second: copy_at(source, place, disk),
        second_is_last: place == last,
        protected: mbr::protects_gpt(source),
        first,
    })
}

/// The entries that the kernel makes partitions of. The table counts only where the boot record says that there is one, and
/// the backup only where the kernel was told `gpt`: otherwise it is what is left of a table that is dead.
pub(super) fn read(source: &dyn ByteSource, disk: &Disk) -> Option<Vec<Entry>> {
    if !disk.force_gpt && !mbr::protects_gpt(source) {
        return None;
    }
    let backup = disk.force_gpt.then(|| disk.last_block()).flatten();
    let found =
        [Some(1), backup].into_iter().flatten().find_map(|address| copy_at(source, address, disk).ok());
    found.map(|copy| copy.entries)
}

fn copy_at(source: &dyn ByteSource, address: u64, disk: &Disk) -> Result<GptCopy, GptFault> {
    let last = disk.last_block().ok_or(GptFault::Unreadable)?;
    let sector = disk.sector;
    let read = |block: u64, length: usize| {
        let at = (block <= last).then(|| block.checked_mul(sector)).flatten()?;
        source.vec(at, length)
    };
    let block = usize::try_from(sector).ok();
    let mut header = block.and_then(|block| read(address, block)).ok_or(GptFault::Unreadable)?;
    if header[..8] != *b"EFI PART" {
        return Err(GptFault::NoHeader);
    }
    let (length, count, entry_size) = (le32(&header, 12), le32(&header, 80), le32(&header, 84));
    let (first_usable, last_usable) = (le64(&header, 40), le64(&header, 48));
    let plausible = length >= HEADER
        && u64::from(length) <= sector
        && first_usable <= last_usable
        && last_usable <= last
        && (1..=MOST_ENTRIES).contains(&count)
        && entry_size as usize == ENTRY;
    let checksum = le32(&header, 16);
    header[16..20].fill(0);
    if !plausible || header.get(..length as usize).map(crc32) != Some(checksum) {
        return Err(GptFault::Header);
    }
    if le64(&header, 24) != address {
        return Err(GptFault::Misplaced);
    }
    let entries = read(le64(&header, 72), count as usize * ENTRY).ok_or(GptFault::Unreadable)?;
    if crc32(&entries) != le32(&header, 88) {
        return Err(GptFault::Entries);
    }
    let used = (1..MOST_PARTITIONS).zip(entries.chunks_exact(ENTRY));
    let made = used
        .filter_map(|(number, entry)| Some((partition(number, entry, disk, last)?, *entry.first_chunk()?)));
    let (entries, kinds) = made.unzip();
    let alike = [&header[40..72], &header[80..92]].concat();
    Ok(GptCopy { entries, kinds, other: le64(&header, 32), alike })
}

/// An unused entry has a type of zeros; one that reaches over the end of the disk makes no partition.
fn partition(number: u32, entry: &[u8], disk: &Disk, last_block: u64) -> Option<Entry> {
    let used = entry[..16].iter().any(|byte| *byte != 0);
    let (first, last) = (le64(entry, 32), le64(entry, 40));
    if !used || first > last_block || last > last_block {
        return None;
    }
    let size = (last + 1).checked_sub(first)?.checked_mul(disk.sector)?;
    let names = Partition { number, uuid: guid(&entry[16..32]), label: name(&entry[56..128]) };
    Some(Entry { start: first.checked_mul(disk.sector)?, size, names })
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

/// The CRC-32 of IEEE 802.3, which UEFI asks for. Bit by bit: a table is 16 KiB as a rule.
pub fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1)))
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A disk of 64 sectors with one partition, number 2, on the sectors 40 to 49, a protective boot record, and a header at
    /// `address`.
    pub(in crate::partition_table) fn disk(address: u64, sector: usize) -> Vec<u8> {
        let mut entries = vec![0; 4 * ENTRY];
        let entry = &mut entries[ENTRY..2 * ENTRY];
        entry[0] = 1;
        for (index, byte) in entry[16..32].iter_mut().enumerate() {
            *byte = index as u8;
        }
        entry[32..40].copy_from_slice(&40u64.to_le_bytes());
        entry[40..48].copy_from_slice(&49u64.to_le_bytes());
        for (index, unit) in "lamina".encode_utf16().enumerate() {
            entry[56 + 2 * index..58 + 2 * index].copy_from_slice(&unit.to_le_bytes());
        }
        let mut header = vec![0; HEADER as usize];
        header[..8].copy_from_slice(b"EFI PART");
        header[12..16].copy_from_slice(&HEADER.to_le_bytes());
        header[24..32].copy_from_slice(&address.to_le_bytes());
        header[40..48].copy_from_slice(&3u64.to_le_bytes());
        header[48..56].copy_from_slice(&62u64.to_le_bytes());
        header[72..80].copy_from_slice(&2u64.to_le_bytes());
        header[80..84].copy_from_slice(&4u32.to_le_bytes());
        header[84..88].copy_from_slice(&(ENTRY as u32).to_le_bytes());
        header[88..92].copy_from_slice(&crc32(&entries).to_le_bytes());
        let checksum = crc32(&header);
        header[16..20].copy_from_slice(&checksum.to_le_bytes());
        let mut bytes = vec![0; 64 * sector];
        bytes[446 + 4] = 0xee;
        bytes[446 + 8] = 1;
        bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
        bytes[address as usize * sector..][..header.len()].copy_from_slice(&header);
        bytes[2 * sector..][..entries.len()].copy_from_slice(&entries);
        bytes
    }

    fn found(bytes: &Vec<u8>, sector: u64, force_gpt: bool) -> Option<Vec<Entry>> {
        read(bytes, &Disk { size: bytes.len() as u64, sector, force_gpt })
    }

    #[test]
    fn the_check_value_of_crc32() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn number_extent_guid_and_name_are_read() {
        for sector in [512, 4096] {
            let uuid = "03020100-0504-0706-0809-0a0b0c0d0e0f".to_owned();
            let names = Partition { number: 2, uuid, label: Some("lamina".into()) };
            let entry = Entry { start: 40 * sector, size: 10 * sector, names };
            let bytes = disk(1, sector as usize);
            assert_eq!(found(&bytes, sector, false), Some(vec![entry]));
            assert_eq!(
                found(&bytes, if sector == 512 { 4096 } else { 512 }, false),
                None,
                "another block size"
            );
        }
    }

    #[test]
    fn the_backup_serves_only_where_the_kernel_was_told_to_use_it() {
        let bytes = disk(63, 512);
        assert_eq!(found(&bytes, 512, false), None);
        assert_eq!(found(&bytes, 512, true).unwrap().len(), 1);
        assert_eq!(read(&bytes, &Disk { size: 0, sector: 512, force_gpt: true }), None);
    }

    #[test]
    fn a_table_without_a_protective_boot_record_is_dead() {
        for (at, value) in [(446 + 4, 0x83), (446 + 8, 2), (511, 0)] {
            let mut bytes = disk(1, 512);
            bytes[at] = value;
            assert_eq!(found(&bytes, 512, false), None, "{at}");
            assert!(found(&bytes, 512, true).is_some(), "{at}");
        }
        // A hybrid one protects it too.
        let mut bytes = disk(1, 512);
        bytes.copy_within(446..462, 462);
        bytes[446 + 4] = 0x83;
        assert!(found(&bytes, 512, false).is_some());
    }

    fn both(bytes: &Vec<u8>) -> GptCopies {
        copies(bytes, &Disk { size: bytes.len() as u64, sector: 512, force_gpt: false }).unwrap()
    }

    /// A disk with both copies: the entries of the second lie in front of its header.
    fn with_both() -> Vec<u8> {
        let (mut bytes, second) = (disk(1, 512), disk(63, 512));
        bytes.copy_within(1024..1536, 62 * 512);
        let mut header = second[63 * 512..].to_vec();
        header[72..80].copy_from_slice(&62u64.to_le_bytes());
        reseal(&mut header);
        bytes[63 * 512..].copy_from_slice(&header);
        bytes[512 + 32..512 + 40].copy_from_slice(&63u64.to_le_bytes());
        reseal(&mut bytes[512..1024]);
        bytes
    }

    fn reseal(header: &mut [u8]) {
        header[16..20].fill(0);
        let checksum = crc32(&header[..HEADER as usize]);
        header[16..20].copy_from_slice(&checksum.to_le_bytes());
    }

    #[test]
    fn each_copy_is_judged_by_itself() {
        let sound = both(&with_both());
        let (first, second) = (sound.first.unwrap(), sound.second.unwrap());
        assert!(first.says_the_same(&second) && sound.second_is_last && sound.protected);
        assert_eq!((&first.entries, &first.kinds), (&second.entries, &second.kinds));
        assert_eq!(first.kinds, [[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]);
        for (at, fault) in [
            (512, GptFault::NoHeader),
            (512 + 41, GptFault::Header),
            (512 + 84, GptFault::Header),
            (1024 + 300, GptFault::Entries),
        ] {
            let mut bytes = with_both();
            bytes[at] ^= 1;
            let found = both(&bytes);
            assert_eq!((found.first, found.second.as_ref()), (Err(fault), Ok(&second)), "{at}");
            let behind = if at < 1024 { 62 * 512 + at } else { 60 * 512 + at };
            let mut bytes = with_both();
            bytes[behind] ^= 1;
            let found = both(&bytes);
            assert_eq!((found.first.as_ref(), found.second), (Ok(&first), Err(fault)), "{behind}");
        }
        // The first one, copied over the second.
        let mut bytes = with_both();
        bytes.copy_within(512..1024, 63 * 512);
        assert_eq!(both(&bytes).second, Err(GptFault::Misplaced));
    }

    #[test]
    fn copies_that_differ_and_a_disk_that_grew_are_seen() {
        let mut bytes = with_both();
        bytes[63 * 512 + 56] ^= 1;
        reseal(&mut bytes[63 * 512..]);
        let found = both(&bytes);
        assert!(!found.first.unwrap().says_the_same(&found.second.unwrap()), "another GUID of the disk");
        let mut bytes = with_both();
        bytes.extend([0; 10 * 512]);
        let found = both(&bytes);
        assert!(found.second.is_ok() && !found.second_is_last);
        bytes[512] = 0;
        assert_eq!(both(&bytes).second, Err(GptFault::NoHeader));
    }

    #[test]
    fn one_wrong_bit_is_no_table() {
        for offset in [512 + 80, 512 + 40, 1024 + 130] {
            let mut bytes = disk(1, 512);
            bytes[offset] ^= 1;
            assert_eq!(found(&bytes, 512, false), None, "{offset}");
        }
    }
}
