//! One partition more on a disk that is in use by others: its place, and its entry in both copies of the table.
//!
//! Entries and their header lie in several sectors, and a header with other entries than those that it has the checksum of is no table: Linux
//! then sees no partition at all, for it does not look for the second copy. So the new entries are written to free space first, the header,
//! one sector, leads to them, then they are written to their usual place, and the header leads back. Whatever is interrupted, the first
//! copy is whole, with the new partition or without it. The second copy follows. Where an interruption has left the entries in free space
//! (sfdisk(8) leaves them where they are), they go straight back.

use std::fs::File;
use std::ops::Range;

use uuid::Uuid;

use crate::layout::{Partition, PartitionKind};
use crate::partition_table;
use crate::raw_table::{ENTRY, LINUX_TYPE, RawCopy};
use crate::{MIB, SECTOR};
use fault::{Error, Result};

const TABLE: &str = "partition table";

/// A partition that is not there yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    /// Its number.
    pub number: u32,
    /// Its place.
    pub partition: Partition,
    /// Free space behind it, in bytes, in which new entries can lie for a moment.
    spare: u64,
    /// The sector in which the entries of the first copy belong, in front of all that partitions may have.
    home: u64,
    first: RawCopy,
    second: RawCopy,
}

impl Addition {
    /// Finds a place in the largest gap: all of it, or `size` bytes, which are at least `least`.
    ///
    /// # Errors
    /// The table is damaged, or has no number left; no gap is large enough.
    pub fn find(disk: &File, uuid: Uuid, least: u64, size: Option<u64>) -> Result<Addition> {
        let found = partition_table::read(disk)?;
        if let Some(damage) = found.damage.first() {
            let remedy = damage.known_remedy().unwrap_or("mend it first").to_owned();
            return Err(Error::new(damage.object(), damage.cause().to_owned()).remedy(remedy));
        }
        let read = |address| RawCopy::read(disk, address).map_err(Error::on(TABLE));
        let length = block_probe::ByteSource::length(disk).map_err(Error::on(TABLE))?;
        let (first, second) = (read(1)?, read(length / SECTOR - 1)?);
        let number = first.free_number().ok_or_else(|| {
            Error::new(TABLE, "has an entry for each partition that it can have").remedy("remove one of them")
        })?;
        let home = home(&first)?;
        refuse_partitions_over_the_table(&first, &second, home)?;
        let gap = largest_gap(&first, &second);
        // The last MiB is for entries on their way.
        let room = (gap.end - gap.start).saturating_sub(MIB);
        let length = size.map_or(room, |size| size.div_ceil(MIB) * MIB);
        let wanted = least.div_ceil(MIB) * MIB;
        if length < wanted || length > room {
            let cause = format!(
                "its largest gap has {} MiB, and {} are needed",
                room / MIB,
                wanted.max(length) / MIB
            );
            return Err(Error::new(TABLE, cause)
                .remedy("make another partition smaller or remove one, or give a `--size` that fits"));
        }
        let partition = Partition { kind: PartitionKind::Store, uuid, start: gap.start, length };
        Ok(Addition { number, spare: gap.start + length, home, partition, first, second })
    }

    /// Writes both copies of the table. `before` is asked before each write, and stops it by an error.
    ///
    /// # Errors
    /// The disk cannot be written to, or was changed meanwhile; it was stopped.
    pub fn write(&self, disk: &File, mut before: impl FnMut(&str) -> Result<()>) -> Result<()> {
        for copy in [&self.first, &self.second] {
            if RawCopy::read(disk, copy.address).map_err(Error::on(TABLE))? != *copy {
                return Err(Error::new(TABLE, "was changed meanwhile").remedy("do it again"));
            }
        }
        let entries = self.entries();
        let aside = self.first.with_entries(entries.clone(), self.spare / SECTOR);
        let first = self.first.with_entries(entries.clone(), self.home);
        let second = self.second.with_entries(entries, self.second.entries_at());
        let failed = || Error::on(TABLE);
        let aside = (self.first.entries_at() == self.home).then_some((&aside, "aside"));
        let home = [(&first, "of the first copy"), (&second, "of the second copy")];
        for (copy, what) in aside.into_iter().chain(home) {
            before(&format!("entries {what}"))?;
            copy.write_entries(disk).map_err(failed())?;
            before(&format!("header {what}"))?;
            copy.write_header(disk).map_err(failed())?;
        }
        Ok(())
    }

    fn entries(&self) -> Vec<u8> {
        let mut entries = self.first.entries.clone();
        let Partition { kind, uuid, start, length } = &self.partition;
        let at = (self.number as usize - 1) * ENTRY;
        let entry = &mut entries[at..at + ENTRY];
        entry.fill(0);
        entry[..16].copy_from_slice(&LINUX_TYPE);
        entry[16..32].copy_from_slice(&uuid.to_bytes_le());
        entry[32..40].copy_from_slice(&(start / SECTOR).to_le_bytes());
        entry[40..48].copy_from_slice(&((start + length) / SECTOR - 1).to_le_bytes());
        for (unit, place) in kind.name().encode_utf16().zip(entry[56..].chunks_exact_mut(2)) {
            place.copy_from_slice(&unit.to_le_bytes());
        }
        entries
    }
}

/// Where the entries are, unless that is among the partitions; else behind the header.
fn home(first: &RawCopy) -> Result<u64> {
    let (place, usable) = (first.entries_place(), first.usable().0);
    let behind_header = first.address + 1;
    if place.end <= usable {
        return Ok(place.start);
    }
    if behind_header + (place.end - place.start) <= usable {
        return Ok(behind_header);
    }
    Err(Error::new(TABLE, "has its entries among the partitions, and no room for them in front of these")
        .remedy("`sfdisk --dump DISK >table`, and `sfdisk DISK <table` write it anew"))
}

/// What is written, sector by sector, is the table itself: nobody may have his data there.
fn refuse_partitions_over_the_table(first: &RawCopy, second: &RawCopy, home: u64) -> Result<()> {
    let length = first.entries_place().end - first.entries_place().start;
    let header = |copy: &RawCopy| copy.address..copy.address + 1;
    let written = [header(first), home..home + length, second.entries_place(), header(second)];
    let over = |(begin, end): &(u64, u64)| written.iter().any(|it| *begin < it.end && it.start <= *end);
    let Some((begin, end)) = first.used().into_iter().find(over) else { return Ok(()) };
    let cause = format!("has a partition of the sectors {begin} to {end}, where the table itself lies");
    Err(Error::new(TABLE, cause)
        .remedy("`sfdisk --verify DISK` says more; remove that partition, or take another disk"))
}

/// In bytes, aligned; empty where there is none.
fn largest_gap(table: &RawCopy, second: &RawCopy) -> Range<u64> {
    let (first, last) = table.usable();
    let mut used = table.used();
    used.push((second.address, second.address));
    for entries in [table.entries_place(), second.entries_place()] {
        used.push((entries.start, entries.end.saturating_sub(1)));
    }
    used.sort_unstable();
    let mut gaps = Vec::new();
    let mut free = first;
    for (begin, end) in used.into_iter().chain([(last.saturating_add(1), last)]) {
        // An entry can begin anywhere, also behind the disk: then it is no partition.
        gaps.push(free..begin.min(last.saturating_add(1)));
        free = free.max(end.saturating_add(1));
    }
    let aligned = gaps.into_iter().filter_map(|gap| {
        let start = gap.start.checked_mul(SECTOR)?.checked_next_multiple_of(MIB)?;
        let end = gap.end.checked_mul(SECTOR)? / MIB * MIB;
        (start < end).then_some(start..end)
    });
    aligned.max_by_key(|gap| gap.end - gap.start).unwrap_or(0..0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Identity;
    use crate::layout::{Layout, Room};

    fn disk(size: u64) -> File {
        let disk = tempfile::tempfile().unwrap();
        disk.set_len(size * MIB).unwrap();
        let room = Room { bios: true, esp: 64 * MIB, store: 10 * MIB, state: None };
        let mut layout = Layout::make(&room, Some(size * MIB), &Identity::of(["x"])).unwrap();
        layout.partitions.truncate(2);
        partition_table::write(&layout, &disk).unwrap();
        disk
    }

    #[test]
    fn every_step_leaves_a_table_that_linux_reads() {
        let mut stopped = 0;
        loop {
            let disk = disk(200);
            let before = partition_table::read(&disk).unwrap().partitions;
            let addition = Addition::find(&disk, Uuid::from_bytes([7; 16]), 20 * MIB, None).unwrap();
            assert_eq!((addition.number, addition.partition.start), (3, 66 * MIB));
            assert_eq!(addition.partition.length, (199 - 66 - 1) * MIB);
            let mut steps = 0;
            let done = addition.write(&disk, |_| {
                steps += 1;
                if steps > stopped { Err(Error::new("test", "stopped")) } else { Ok(()) }
            });
            let copies = block_probe::partition_table::gpt_copies(
                &disk,
                &block_probe::partition_table::Disk { size: 200 * MIB, sector: SECTOR, force_gpt: false },
            )
            .unwrap();
            assert!(copies.first.is_ok(), "after {stopped} steps");
            let now = partition_table::read(&disk).unwrap();
            assert_eq!(now.partitions[..2], before[..], "after {stopped} steps");
            if done.is_ok() {
                assert_eq!(now.damage, []);
                let added = &now.partitions[2];
                assert_eq!((added.name.as_str(), added.start), ("lamina-store", 66 * MIB));
                assert_eq!((added.uuid, added.is_esp), (Uuid::from_bytes([7; 16]), false));
                assert!(now.partitions[1].is_esp);
                break;
            }
            stopped += 1;
        }
        assert_eq!(stopped, 6);
    }

    /// What a broken-off addition leaves when its partition is deleted by a program that leaves the entries where they are.
    #[test]
    fn entries_that_lie_in_free_space_go_back_and_nothing_is_put_over_them() {
        let disk = disk(200);
        let find = |size| Addition::find(&disk, Uuid::from_bytes([7; 16]), 20 * MIB, size).unwrap();
        let before = RawCopy::read(&disk, 1).unwrap();
        let mut steps = 0;
        let stopped = find(Some(60 * MIB)).write(&disk, |_| {
            steps += 1;
            if steps > 2 { Err(Error::new("test", "stopped")) } else { Ok(()) }
        });
        assert!(stopped.is_err());
        let aside = RawCopy::read(&disk, 1).unwrap();
        assert_eq!(aside.entries_at(), (66 + 60) * MIB / SECTOR);
        let deleted = aside.with_entries(before.entries.clone(), aside.entries_at());
        deleted.write_entries(&disk).unwrap();
        deleted.write_header(&disk).unwrap();
        let addition = find(None);
        let place = addition.partition.start..addition.partition.start + addition.partition.length;
        assert!(!place.contains(&((66 + 60) * MIB)), "{place:?}");
        let names = std::cell::RefCell::new(Vec::new());
        let note = |step: &str| {
            names.borrow_mut().push(step.to_owned());
            Ok(())
        };
        addition.write(&disk, note).unwrap();
        assert_eq!(names.borrow()[0], "entries of the first copy");
        assert_eq!(RawCopy::read(&disk, 1).unwrap().entries_at(), before.entries_at());
        let now = partition_table::read(&disk).unwrap();
        assert_eq!((now.damage.len(), now.partitions.len()), (0, 3));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let disk = disk(100);
        let refused = |least, size| Addition::find(&disk, Uuid::nil(), least, size).unwrap_err().to_string();
        assert!(refused(50 * MIB, None).contains("its largest gap has 32 MiB, and 50 are needed"));
        assert!(refused(MIB, Some(40 * MIB)).contains("32 MiB, and 40 are needed"));
        assert!(refused(30 * MIB, Some(20 * MIB)).contains("and 30 are needed"));
        // Entries by hand, in both copies: of a partition over another one, and over the table.
        let with = |number: usize, first: u64, last: u64| {
            for address in [1, 100 * MIB / SECTOR - 1] {
                let copy = RawCopy::read(&disk, address).unwrap();
                let mut entries = copy.entries.clone();
                let entry = &mut entries[(number - 1) * ENTRY..number * ENTRY];
                entry[..16].copy_from_slice(&LINUX_TYPE);
                entry[32..40].copy_from_slice(&first.to_le_bytes());
                entry[40..48].copy_from_slice(&last.to_le_bytes());
                let at = copy.entries_at();
                let copy = copy.with_entries(entries, at);
                copy.write_entries(&disk).unwrap();
                copy.write_header(&disk).unwrap();
            }
        };
        with(7, 5000, 150_000);
        let said = refused(MIB, None);
        assert!(said.contains("its partitions 2 (lamina-esp) and 7 overlap\nhelp: "), "{said}");
        with(7, 20, 40);
        let said = refused(MIB, None);
        assert!(
            said.contains("has a partition of the sectors 20 to 40, where the table itself lies\nhelp: "),
            "{said}"
        );
        // An entry that begins behind the disk is no partition, and no end of a gap.
        with(7, 1 << 40, 10);
        assert!(refused(50 * MIB, None).contains("its largest gap has 32 MiB, and 50 are needed"));
        disk.set_len(120 * MIB).unwrap();
        assert!(refused(MIB, None).contains("does not lie at the end of the disk"));
    }
}
