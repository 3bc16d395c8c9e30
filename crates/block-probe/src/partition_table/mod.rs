//! Which partitions a disk has, by what names: the PARTUUID and PARTLABEL of the kernel command line.
//!
//! The kernel finds the partitions by itself; its sysfs tells neither UUID nor (before Linux 6.10) label reliably, so
//! the table is read once more, by the kernel's rules. A disk may hold more than one table, of which all but one are dead: a
//! name counts only for a partition that lies where its entry says.

mod gpt;
mod mbr;

pub use gpt::{GptCopies, GptCopy, GptFault, MOST_ENTRIES, copies as gpt_copies, crc32};

use crate::bytes::ByteSource;

/// The kernel makes none from this number on: DISK_MAX_PARTS of `include/linux/blkdev.h`.
const MOST_PARTITIONS: u32 = 256;

/// What the kernel knows of a disk before it reads the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// Bytes.
    pub size: u64,
    /// Bytes in a logical block, in which tables count: `queue/logical_block_size` of sysfs.
    pub sector: u64,
    /// The kernel was told `gpt`: a GPT counts without a protective boot record, and so does its backup
    /// (`Documentation/admin-guide/kernel-parameters.txt`).
    pub force_gpt: bool,
}

impl Disk {
    /// The address of the last logical block; `None` of a disk without any, or with blocks that no disk has.
    fn last_block(&self) -> Option<u64> {
        let known = matches!(self.sector, 512 | 1024 | 2048 | 4096 | 8192 | 16384 | 32768 | 65536);
        known.then(|| (self.size / self.sector).checked_sub(1)).flatten()
    }
}

/// The names of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The number that the kernel gives it, from 1.
    pub number: u32,
    /// PARTUUID: a GUID in lower case (GPT), or `SIGNATURE-NN` (MBR), as blkid(8) prints it.
    pub uuid: String,
    /// PARTLABEL; only GPT has it.
    pub label: Option<String>,
}

/// An entry of a table, with its place in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The first byte.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// What it is called.
    pub names: Partition,
}

/// The partition table of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table(Vec<Entry>);

impl Table {
    /// All partitions that the kernel makes of it, in the order of the table.
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// The names of the partition that the kernel made with that number, `size` bytes from `start` on; `None` when the table does
    /// not say the same: then the kernel made it from another one.
    pub fn partition(&self, number: u32, start: u64, size: u64) -> Option<Partition> {
        let same = |entry: &&Entry| (entry.names.number, entry.start, entry.size) == (number, start, size);
        self.0.iter().find(same).map(|entry| entry.names.clone())
    }
}

/// Reads the table of which the kernel makes the partitions; `None` when there is none of those that give them names.
pub fn read(source: &dyn ByteSource, disk: &Disk) -> Option<Table> {
    disk.last_block()?;
    gpt::read(source, disk).or_else(|| mbr::read(source, disk)).map(Table)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn a_name_counts_only_where_the_partition_lies_where_its_entry_says() {
        let disk = Disk { size: 64 * 512, sector: 512, force_gpt: false };
        let table = read(&gpt::tests::disk(1, 512), &disk).unwrap();
        let (start, size) = (40 * 512, 10 * 512);
        assert_eq!(table.partition(2, start, size).unwrap().label.as_deref(), Some("lamina"));
        for (number, start, size) in [(1, start, size), (2, start + 512, size), (2, start, size - 512)] {
            assert_eq!(table.partition(number, start, size), None);
        }
    }

    /// An image with a boot record, written over the beginning of a stick that had a GPT.
    #[test]
    fn a_dos_table_over_a_gpt_is_the_one_that_counts() {
        let mut bytes = gpt::tests::disk(1, 512);
        bytes[440..444].copy_from_slice(&0xdead_beef_u32.to_le_bytes());
        bytes[446 + 4] = 0x83;
        bytes[446 + 12] = 9;
        let disk = Disk { size: bytes.len() as u64, sector: 512, force_gpt: false };
        let table = read(&bytes, &disk).unwrap();
        assert_eq!(table.partition(1, 512, 9 * 512).unwrap().uuid, "deadbeef-01");
        assert_eq!(table.partition(2, 40 * 512, 10 * 512), None, "a name of the dead table");
    }

    #[test]
    fn garbage_never_panics() {
        let mut random = Random(1);
        for _ in 0..500 {
            let mut bytes: Vec<u8> = (0..4096).map(|_| random.next()).collect();
            bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
            bytes[512..520].copy_from_slice(b"EFI PART");
            let size = u64::from(random.next()) << (random.next() & 63);
            bytes.truncate(usize::from(random.next()) * 16);
            for sector in [0, 1, 512, 4096, u64::MAX] {
                let _ = gpt_copies(&bytes, &Disk { size, sector, force_gpt: false });
                let _ = read(&bytes, &Disk { size, sector, force_gpt: random.next() & 1 == 0 });
            }
        }
    }
}
