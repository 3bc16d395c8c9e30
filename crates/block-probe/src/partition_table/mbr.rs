//! The master boot record: the table of four partitions that ends the first sector, with the disk signature before it, and the
//! chain of logical partitions behind an extended one. The rules are those of `block/partitions/msdos.c` of the kernel.

use super::{Disk, Entry, MOST_PARTITIONS, Partition};
use crate::bytes::{ByteSource, le32};

/// Boot records with no partition of their own that are followed in one chain, as in the kernel.
const MOST_LINKS: u32 = 100;
/// "GPT protective": another table counts.
const PROTECTIVE: u8 = 0xee;
/// Extended: DOS, Windows 98, Linux.
const EXTENDED: [u8; 3] = [0x05, 0x0f, 0x85];

/// One of the four entries of a boot record; start and size in bytes.
#[derive(Debug, Clone, Copy)]
struct Slot {
    indicator: u8,
    kind: u8,
    start: u64,
    size: u64,
}

impl Slot {
    fn is_extended(self) -> bool {
        EXTENDED.contains(&self.kind)
    }
}

/// The four slots of the boot record at `offset`, `None` without its end mark.
fn slots(source: &dyn ByteSource, offset: u64, sector: u64) -> Option<[Slot; 4]> {
    let record: Vec<u8> = source.vec(offset, 512)?;
    (record[510..512] == [0x55, 0xaa]).then(|| {
        std::array::from_fn(|index| {
            let entry = &record[446 + 16 * index..462 + 16 * index];
            let bytes = |at| u64::from(le32(entry, at)) * sector;
            Slot { indicator: entry[0], kind: entry[4], start: bytes(8), size: bytes(12) }
        })
    })
}

/// Whether the boot record says that there is a GPT: one entry of that type that begins in block 1, others beside it or not
/// (`is_pmbr_valid` of `block/partitions/efi.c`).
pub(super) fn protects_gpt(source: &dyn ByteSource) -> bool {
    let slots = slots(source, 0, 1);
    slots.is_some_and(|slots| slots.iter().any(|slot| slot.kind == PROTECTIVE && slot.start == 1))
}

/// The entries that the kernel makes partitions with a name of. Every boot indicator is 0x00 or 0x80: the boot sector of a FAT
/// volume has the same end mark and must not pass.
pub(super) fn read(source: &dyn ByteSource, disk: &Disk) -> Option<Vec<Entry>> {
    let slots = slots(source, 0, disk.sector)?;
    let plausible = slots.iter().all(|slot| slot.indicator & 0x7f == 0 && slot.kind != PROTECTIVE);
    if !plausible {
        return None;
    }
    let signature = le32(&source.vec(440, 4)?, 0);
    let mut chain = Chain { source, disk, signature, found: Vec::new(), next: 5 };
    for (number, slot) in (1..).zip(slots) {
        // The extended one has no name of its own.
        match slot.is_extended() {
            _ if slot.size == 0 => {}
            true => chain.follow(slot),
            false => chain.add(number, slot.start, slot.size),
        }
    }
    Some(chain.found).filter(|found| !found.is_empty())
}

struct Chain<'a> {
    source: &'a dyn ByteSource,
    disk: &'a Disk,
    signature: u32,
    found: Vec<Entry>,
    /// The number of the next logical partition.
    next: u32,
}

impl Chain<'_> {
    fn add(&mut self, number: u32, start: u64, size: u64) {
        // What reaches over the end of the disk is cut there; what begins behind it is not made.
        let left = self.disk.size.saturating_sub(start);
        if left > 0 {
            let names =
                Partition { number, uuid: format!("{:08x}-{number:02x}", self.signature), label: None };
            self.found.push(Entry { start, size: size.min(left), names });
        }
    }

    /// Adds the logical partitions. Starts of data count from the record that has them, those of further records from the
    /// beginning of the extended partition.
    fn follow(&mut self, extended: Slot) {
        let (mut record, mut room, mut links) = (extended.start, extended.size, 0);
        while links < MOST_LINKS && self.next < MOST_PARTITIONS {
            links += 1;
            let Some(slots) = slots(self.source, record, self.disk.sector) else { return };
            for (index, slot) in
                slots.iter().enumerate().filter(|(_, slot)| slot.size > 0 && !slot.is_extended())
            {
                let start = record.saturating_add(slot.start);
                // The third and the fourth hold garbage now and then.
                let fits = slot.start + slot.size <= room
                    && start >= extended.start
                    && start.saturating_add(slot.size) <= extended.start + extended.size;
                if index >= 2 && !fits {
                    continue;
                }
                if self.next >= MOST_PARTITIONS {
                    return;
                }
                self.add(self.next, start, slot.size);
                self.next += 1;
                links = 0;
            }
            match slots.iter().find(|slot| slot.size > 0 && slot.is_extended()) {
                Some(further) => {
                    (record, room) = (extended.start.saturating_add(further.start), further.size)
                }
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISK: Disk = Disk { size: 100 * 512, sector: 512, force_gpt: false };

    fn put(bytes: &mut [u8], record: usize, slot: usize, (kind, start, size): (u8, u32, u32)) {
        let entry = &mut bytes[record * 512 + 446 + 16 * slot..][..16];
        entry[4] = kind;
        entry[8..12].copy_from_slice(&start.to_le_bytes());
        entry[12..16].copy_from_slice(&size.to_le_bytes());
        bytes[record * 512 + 510..][..2].copy_from_slice(&[0x55, 0xaa]);
    }

    fn image() -> Vec<u8> {
        let mut bytes = vec![0; 100 * 512];
        bytes[440..444].copy_from_slice(&[0xef, 0xbe, 0xad, 0xde]);
        put(&mut bytes, 0, 0, (0x83, 1, 9));
        bytes
    }

    fn names(bytes: &Vec<u8>) -> Vec<(String, u64, u64)> {
        let found = read(bytes, &DISK).unwrap_or_default();
        found.into_iter().map(|entry| (entry.names.uuid, entry.start / 512, entry.size / 512)).collect()
    }

    #[test]
    fn the_signature_and_the_number_make_the_name() {
        let mut bytes = image();
        put(&mut bytes, 0, 2, (0, 90, 20));
        put(&mut bytes, 0, 3, (0x83, 100, 20));
        // The kernel looks at the size, not at the type; cuts at the end of the disk; and makes nothing behind it.
        assert_eq!(names(&bytes), [("deadbeef-01".into(), 1, 9), ("deadbeef-03".into(), 90, 10)]);
    }

    #[test]
    fn logical_partitions_count_from_five() {
        let mut bytes = image();
        put(&mut bytes, 0, 1, (5, 20, 60));
        put(&mut bytes, 20, 0, (0x83, 1, 5));
        put(&mut bytes, 20, 1, (5, 10, 20));
        put(&mut bytes, 20, 2, (0x83, 50, 20));
        put(&mut bytes, 30, 0, (0x83, 2, 3));
        let logical = [("deadbeef-05".into(), 21, 5), ("deadbeef-06".into(), 32, 3)];
        assert_eq!(names(&bytes)[1..], logical);
        // A chain that bites its tail ends, where the kernel ends it.
        put(&mut bytes, 30, 1, (5, 0, 10));
        assert_eq!(names(&bytes).len(), 1 + 251);
        put(&mut bytes, 20, 0, (0x83, 1, 0));
        put(&mut bytes, 30, 0, (0x83, 2, 0));
        put(&mut bytes, 20, 2, (0x83, 50, 0));
        assert_eq!(names(&bytes).len(), 1);
    }

    #[test]
    fn a_table_without_partitions_or_with_odd_indicators_or_for_gpt_is_none() {
        for (at, value) in [(446 + 12, 0), (446 + 16, 7), (462 + 4, PROTECTIVE), (510, 0)] {
            let mut bytes = image();
            bytes[at] = value;
            assert_eq!(read(&bytes, &DISK), None, "{at}");
        }
    }
}
