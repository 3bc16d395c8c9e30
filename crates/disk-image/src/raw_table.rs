//! A copy of a GPT as bytes: UEFI specification 2.10, section 5.3. What is in it was judged by `block-probe` before.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use block_probe::partition_table::{MOST_ENTRIES, crc32};

use crate::SECTOR;

/// Bytes of an entry; the kernel takes no others.
pub(crate) const ENTRY: usize = 128;
/// DISK_MAX_PARTS of `include/linux/blkdev.h`: from 256 on there are none.
const LAST_NUMBER: u32 = 255;
/// C12A7328-F81F-11D2-BA4B-00A0C93EC93B, the type of an EFI system partition, as it is stored (UEFI specification 2.10, table 5-7 and
/// appendix A).
pub(crate) const ESP_TYPE: [u8; 16] =
    [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b];
/// BC13C2FF-59E6-4262-A352-B275FD6F7172, that of an extended boot partition (Boot Loader Specification).
pub(crate) const EXTENDED_BOOT_TYPE: [u8; 16] =
    [0xff, 0xc2, 0x13, 0xbc, 0xe6, 0x59, 0x62, 0x42, 0xa3, 0x52, 0xb2, 0x75, 0xfd, 0x6f, 0x71, 0x72];
/// 0FC63DAF-8483-4772-8E79-3D69D8477DE4, that of a file system of Linux.
pub(crate) const LINUX_TYPE: [u8; 16] =
    [0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4];

/// Places in a header.
const CHECKSUM: usize = 16;
const LENGTH: usize = 12;
const FIRST_USABLE: usize = 40;
const LAST_USABLE: usize = 48;
const ENTRIES_AT: usize = 72;
const ENTRIES_COUNT: usize = 80;
const ENTRIES_CHECKSUM: usize = 88;

/// One of the two copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawCopy {
    /// The sector of its header.
    pub(crate) address: u64,
    header: Vec<u8>,
    /// All its entries.
    pub(crate) entries: Vec<u8>,
}

impl RawCopy {
    /// Reads the copy with its header in this sector.
    pub(crate) fn read(disk: &File, address: u64) -> io::Result<RawCopy> {
        let strange = || io::Error::new(io::ErrorKind::InvalidData, "a header of no table");
        let mut header = vec![0; SECTOR as usize];
        disk.read_exact_at(&mut header, address.checked_mul(SECTOR).ok_or_else(strange)?)?;
        let count = u32_at(&header, ENTRIES_COUNT);
        if !header.starts_with(b"EFI PART") || count > MOST_ENTRIES || u32_at(&header, LENGTH) as u64 > SECTOR
        {
            return Err(strange());
        }
        let mut entries = vec![0; count as usize * ENTRY];
        let at = u64_at(&header, ENTRIES_AT).checked_mul(SECTOR).ok_or_else(strange)?;
        disk.read_exact_at(&mut entries, at)?;
        Ok(RawCopy { address, header, entries })
    }

    /// The first number that nothing has, of those that the kernel makes partitions of.
    pub(crate) fn free_number(&self) -> Option<u32> {
        let mut entries = (1..=LAST_NUMBER).zip(self.entries.chunks_exact(ENTRY));
        entries.find(|(_, entry)| entry[..16] == [0; 16]).map(|it| it.0)
    }

    /// The first sector that a partition may have, and the last one.
    pub(crate) fn usable(&self) -> (u64, u64) {
        (u64_at(&self.header, FIRST_USABLE), u64_at(&self.header, LAST_USABLE))
    }

    /// The first and the last sector of each partition.
    pub(crate) fn used(&self) -> Vec<(u64, u64)> {
        let used = self.entries.chunks_exact(ENTRY).filter(|entry| entry[..16] != [0; 16]);
        used.map(|entry| (u64_at(entry, 32), u64_at(entry, 40))).collect()
    }

    /// The sector in which its entries begin.
    pub(crate) fn entries_at(&self) -> u64 {
        u64_at(&self.header, ENTRIES_AT)
    }

    /// The sectors of its entries.
    pub(crate) fn entries_place(&self) -> Range<u64> {
        let begin = self.entries_at();
        begin..begin.saturating_add((self.entries.len() as u64).div_ceil(SECTOR))
    }

    /// The same copy with other entries, which begin in this sector.
    pub(crate) fn with_entries(&self, entries: Vec<u8>, at: u64) -> RawCopy {
        let mut header = self.header.clone();
        header[ENTRIES_AT..ENTRIES_AT + 8].copy_from_slice(&at.to_le_bytes());
        header[ENTRIES_CHECKSUM..ENTRIES_CHECKSUM + 4].copy_from_slice(&crc32(&entries).to_le_bytes());
        header[CHECKSUM..CHECKSUM + 4].fill(0);
        let length = (u32_at(&header, LENGTH) as usize).min(header.len());
        let checksum = crc32(&header[..length]);
        header[CHECKSUM..CHECKSUM + 4].copy_from_slice(&checksum.to_le_bytes());
        RawCopy { address: self.address, header, entries }
    }

    /// Writes the entries; nothing says yet that they are there.
    pub(crate) fn write_entries(&self, disk: &File) -> io::Result<()> {
        disk.write_all_at(&self.entries, self.entries_at() * SECTOR)?;
        disk.sync_all()
    }

    /// Writes the header, one sector, which says where the entries are.
    pub(crate) fn write_header(&self, disk: &File) -> io::Result<()> {
        disk.write_all_at(&self.header, self.address * SECTOR)?;
        disk.sync_all()
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |it| u32::from_le_bytes(*it))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |it| u64::from_le_bytes(*it))
}
