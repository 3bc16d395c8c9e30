//! Where the partitions of a disk lie.

use uuid::Uuid;

use crate::identity::Identity;
use crate::{MIB, SECTOR};
use fault::{Error, Result};

/// What a partition is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionKind {
    /// Where GRUB's core lies on a disk that a BIOS starts.
    BiosBoot,
    /// The loader, its entries, kernels and initramfs files, on FAT32. A disk for BIOS alone has it too.
    EfiSystem,
    /// Profiles and images.
    Store,
    /// What running systems change.
    State,
}

impl PartitionKind {
    /// The name in the partition table, which `PARTLABEL=` finds.
    pub fn name(self) -> &'static str {
        match self {
            PartitionKind::BiosBoot => "lamina-bios",
            PartitionKind::EfiSystem => "lamina-esp",
            PartitionKind::Store => "lamina-store",
            PartitionKind::State => "lamina-state",
        }
    }

    /// The label of its file system, which `LABEL=` finds.
    pub fn label(self) -> &'static str {
        match self {
            PartitionKind::BiosBoot => "",
            PartitionKind::EfiSystem => "LAMINA-ESP",
            PartitionKind::Store => "LAMINA",
            PartitionKind::State => "LAMINA-STATE",
        }
    }
}

/// A partition with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// What it is for.
    pub kind: PartitionKind,
    /// Its UUID in the partition table, which `PARTUUID=` finds.
    pub uuid: Uuid,
    /// The first byte, from the begin of the disk.
    pub start: u64,
    /// Its length in bytes.
    pub length: u64,
}

/// The places of all partitions, in the order of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The UUID of the table.
    pub uuid: Uuid,
    /// The length of the disk in bytes.
    pub length: u64,
    /// One behind the other.
    pub partitions: Vec<Partition>,
}

/// How much room each partition needs, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Whether GRUB's core needs a place.
    pub bios: bool,
    /// Of the EFI system partition.
    pub esp: u64,
    /// Of the store, at least; it has what the others leave.
    pub store: u64,
    /// Of the state, if there is one.
    pub state: Option<u64>,
}

/// The table in front, and its copy behind.
const ENDS: u64 = 2 * MIB;

impl Layout {
    /// Places the partitions on a disk of `size` bytes, or on one that is just large enough.
    ///
    /// # Errors
    /// It is too small.
    pub fn make(room: &Room, size: Option<u64>, identity: &Identity) -> Result<Layout> {
        let whole = |bytes: u64| bytes.div_ceil(MIB) * MIB;
        let bios = if room.bios { MIB } else { 0 };
        let others = ENDS + bios + whole(room.esp) + room.state.map_or(0, whole);
        let least = others + whole(room.store);
        let length = size.map_or(least, |size| size / SECTOR * SECTOR);
        if length < least {
            let cause = format!("{length} bytes are too few: {least} are needed ({})", room.describe());
            let remedy = format!("give at least `--size {}M`, or a device that is so large", least / MIB);
            return Err(Error::new("disk", cause).remedy(remedy));
        }
        let store = (length - others) / MIB * MIB;
        let wanted = [
            (PartitionKind::BiosBoot, bios),
            (PartitionKind::EfiSystem, whole(room.esp)),
            (PartitionKind::Store, store),
            (PartitionKind::State, room.state.map_or(0, whole)),
        ];
        let mut start = MIB;
        let mut partitions = Vec::new();
        for (kind, length) in wanted.into_iter().filter(|(_, length)| *length > 0) {
            partitions.push(Partition { kind, uuid: identity.uuid(kind.name()), start, length });
            start += length;
        }
        Ok(Layout { uuid: identity.uuid("disk"), length, partitions })
    }

    /// The partition for this purpose.
    pub fn partition(&self, kind: PartitionKind) -> Option<&Partition> {
        self.partitions.iter().find(|partition| partition.kind == kind)
    }
}

impl Room {
    fn describe(&self) -> String {
        let mib = |bytes: u64| format!("{} MiB", bytes.div_ceil(MIB));
        let state = self.state.map_or_else(String::new, |state| format!(", state {}", mib(state)));
        format!("loader and kernel {}, store {}{state}", mib(self.esp), mib(self.store))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room { bios: true, esp: 64 * MIB, store: 10 * MIB + 1, state: Some(32 * MIB) };

    #[test]
    fn partitions_lie_one_behind_the_other_and_the_store_has_the_rest() {
        let identity = Identity::of(["x"]);
        let least = Layout::make(&ROOM, None, &identity).unwrap();
        let places = |layout: &Layout| -> Vec<(u64, u64)> {
            layout.partitions.iter().map(|it| (it.start / MIB, it.length / MIB)).collect()
        };
        assert_eq!(places(&least), [(1, 1), (2, 64), (66, 11), (77, 32)]);
        assert_eq!(least.length, 110 * MIB);
        let larger = Layout::make(&ROOM, Some(200 * MIB + 700), &identity).unwrap();
        assert_eq!(places(&larger), [(1, 1), (2, 64), (66, 101), (167, 32)]);
        assert_eq!(larger.length, 200 * MIB + 512);
        let plain = Room { bios: false, state: None, ..ROOM };
        assert_eq!(places(&Layout::make(&plain, None, &identity).unwrap()), [(1, 64), (65, 11)]);
    }

    #[test]
    fn a_disk_that_is_too_small_says_how_large_it_must_be() {
        let error = Layout::make(&ROOM, Some(109 * MIB), &Identity::of(["x"])).unwrap_err().to_string();
        assert!(error.contains("help: give at least `--size 110M`"), "{error}");
        assert!(error.contains("loader and kernel 64 MiB, store 11 MiB, state 32 MiB"), "{error}");
    }
}
