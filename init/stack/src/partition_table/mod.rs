//! Which partitions a disk has, by what names: the PARTUUID and PARTLABEL of the kernel command line.
//!
//! The kernel finds the partitions by itself; its sysfs tells neither UUID nor (before Linux 6.10) label reliably, so
//! the table is read once more and matched by partition number.

mod gpt;
mod mbr;

use crate::bytes::ByteSource;

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

/// A partition table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Table {
    /// Its used entries.
    Gpt(Vec<Partition>),
    /// Its disk signature: the number of the partition makes the UUID.
    Mbr {
        /// The four bytes at offset 440.
        signature: u32,
    },
}

impl Table {
    /// The names of the partition with that number.
    pub fn partition(&self, number: u32) -> Option<Partition> {
        match self {
            Self::Gpt(partitions) => partitions.iter().find(|partition| partition.number == number).cloned(),
            // Logical partitions follow the same rule, so the chain of extended ones need not be walked.
            Self::Mbr { signature } => {
                Some(Partition { number, uuid: format!("{signature:08x}-{number:02x}"), label: None })
            }
        }
    }
}

/// Reads the partition table of a disk of `size` bytes, `None` when there is none that holds together.
pub fn read(source: &dyn ByteSource, size: u64) -> Option<Table> {
    gpt::read(source, size).map(Table::Gpt).or_else(|| mbr::read(source))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The same bytes on every run: a test that failed once fails again.
    pub(crate) struct Random(pub u64);

    impl Random {
        pub(crate) fn next(&mut self) -> u8 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as u8
        }
    }

    #[test]
    fn the_partition_number_makes_the_uuid_of_an_mbr() {
        let table = Table::Mbr { signature: 0xdead_beef };
        assert_eq!(table.partition(5).unwrap().uuid, "deadbeef-05");
    }

    #[test]
    fn garbage_never_panics() {
        let mut random = Random(1);
        for _ in 0..500 {
            let mut bytes: Vec<u8> = (0..4096).map(|_| random.next()).collect();
            bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
            bytes[512..520].copy_from_slice(b"EFI PART");
            bytes.truncate(usize::from(random.next()) * 16);
            let size = u64::from(random.next()) << (random.next() & 63);
            let _ = read(&bytes, size);
        }
    }
}
