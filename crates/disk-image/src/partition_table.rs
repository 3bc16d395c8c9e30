//! The GPT of a disk.

use std::collections::BTreeMap;
use std::fs::File;

use block_probe::ByteSource;
use block_probe::partition_table::{self, Disk, Entry, GptCopy, GptFault};
use gpt::disk::LogicalBlockSize;
use gpt::mbr::ProtectiveMBR;
use gpt::partition_types::{self, Type};
use gpt::{GptConfig, partition};

use crate::SECTOR;
use crate::layout::{Layout, PartitionKind};
use crate::raw_table::{ESP_TYPE, EXTENDED_BOOT_TYPE};
use fault::{Error, Result};

const TABLE: &str = "partition table";

fn kind_of(kind: PartitionKind) -> Type {
    match kind {
        PartitionKind::BiosBoot => partition_types::BIOS,
        PartitionKind::EfiSystem => partition_types::EFI,
        // Not a type of the Discoverable Partitions Specification: nothing should be mounted because of it.
        PartitionKind::Store | PartitionKind::State => partition_types::LINUX_FS,
    }
}

/// Writes the protective MBR, the table and its copy at the end. The file has its length already.
///
/// # Errors
/// The file cannot be written to.
pub fn write(layout: &Layout, disk: &File) -> Result<()> {
    let mut device = disk.try_clone().map_err(Error::on(TABLE))?;
    let sectors = u32::try_from(layout.length / SECTOR - 1).unwrap_or(u32::MAX);
    ProtectiveMBR::with_lb_size(sectors).overwrite_lba0(&mut device).map_err(Error::on(TABLE))?;
    let config = GptConfig::new().writable(true).logical_block_size(LogicalBlockSize::Lb512);
    let mut table = config.create_from_device(device, Some(layout.uuid)).map_err(Error::on(TABLE))?;
    let entries: BTreeMap<u32, partition::Partition> = (1..)
        .zip(&layout.partitions)
        .map(|(number, placed)| {
            let entry = partition::Partition {
                part_type_guid: kind_of(placed.kind),
                part_guid: placed.uuid,
                first_lba: placed.start / SECTOR,
                last_lba: (placed.start + placed.length) / SECTOR - 1,
                flags: 0,
                name: placed.kind.name().to_owned(),
            };
            (number, entry)
        })
        .collect();
    table.update_partitions(entries).map_err(Error::on(TABLE))?;
    table.write().map(drop).map_err(Error::on(TABLE))
}

/// What a disk says of one of its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPartition {
    /// Its number, from 1.
    pub number: u32,
    /// Its name in the table.
    pub name: String,
    /// Its UUID in the table.
    pub uuid: uuid::Uuid,
    /// The first byte, from the begin of the disk.
    pub start: u64,
    /// Its length in bytes.
    pub length: u64,
    /// Whether its type is that of an EFI system partition, whatever its name.
    pub is_esp: bool,
    /// Whether its type is that of an extended boot partition (Boot Loader Specification, XBOOTLDR).
    pub is_extended_boot: bool,
}

/// A table as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTable {
    /// The partitions, by number.
    pub partitions: Vec<FoundPartition>,
    /// What is wrong with the boot record, the table or its copy.
    pub damage: Vec<Error>,
}

/// Writes both copies anew from the one that is whole: libfdisk reads that one too, and calls the table changed.
const FROM_THE_OTHER: &str = "`echo w | fdisk DISK` (Debian's fdisk) writes it anew from the other copy";

/// Reads a table by its first or, where that is damaged, its second copy (UEFI specification 2.10, section 5.3.2).
///
/// # Errors
/// There is none.
pub fn read(disk: &File) -> Result<FoundTable> {
    let size = disk.length().map_err(Error::on(TABLE))?;
    let copies = partition_table::gpt_copies(disk, &Disk { size, sector: SECTOR, force_gpt: false });
    let none = |why: String| {
        Error::new(TABLE, format!("is no GPT that can be read: {why}"))
            .remedy("give a disk or an image that `lamina disk create` wrote")
    };
    let copies = copies.ok_or_else(|| none("there is nothing".to_owned()))?;
    let (counts, mut damage) = match (&copies.first, &copies.second) {
        (Err(_), Err(_)) if has_large_sectors(disk, size) => {
            return Err(Error::new(TABLE, "counts in sectors of 4096 bytes, and here those of 512 bytes alone are read")
                .remedy("take a disk with sectors of 512 bytes; mounted, such a medium is given with `--medium DIR --esp DIR`"));
        }
        (Err(first), Err(second)) => {
            return Err(none(format!("of the first copy {first}, and of the second one {second}")));
        }
        (Ok(first), second) => (first, damage_of_second(first, second, copies.second_is_last)),
        (Err(fault), Ok(second)) => {
            let cause = format!(
                "its first copy is damaged: {fault}. Partitions are those of the second one, which Linux does not ask by itself"
            );
            (second, vec![Error::new(TABLE, cause).remedy(FROM_THE_OTHER)])
        }
    };
    if !copies.protected {
        let cause = "does not protect the partition table: Linux sees no partitions";
        damage.push(Error::new("the boot record", cause).remedy("make the disk anew"));
    }
    let partitions: Vec<FoundPartition> =
        counts.entries.iter().zip(&counts.kinds).map(|it| found(it.0, *it.1)).collect();
    damage.extend(overlap(&partitions));
    Ok(FoundTable { partitions, damage })
}

fn has_large_sectors(disk: &File, size: u64) -> bool {
    partition_table::gpt_copies(disk, &Disk { size, sector: 4096, force_gpt: false })
        .is_some_and(|copies| copies.first.is_ok() || copies.second.is_ok())
}

/// Linux takes such partitions for two, and what is written to the one is written over the other.
fn overlap(partitions: &[FoundPartition]) -> Option<Error> {
    let mut sorted: Vec<&FoundPartition> = partitions.iter().collect();
    sorted.sort_by_key(|it| it.start);
    let end = |it: &FoundPartition| it.start.saturating_add(it.length);
    let mut reaching: Option<&FoundPartition> = None;
    for next in sorted {
        match reaching {
            Some(before) if next.start < end(before) => {
                let cause = format!("its partitions {} and {} overlap", named(before), named(next));
                return Some(Error::new(TABLE, cause).remedy(
                    "find out which of both is in use (`blkid`, `lsblk -f`), and let `sfdisk --delete DISK NUMBER` remove the other",
                ));
            }
            _ => reaching = Some(next),
        }
    }
    None
}

fn named(partition: &FoundPartition) -> String {
    match partition.name.as_str() {
        "" => partition.number.to_string(),
        name => format!("{} ({name})", partition.number),
    }
}

fn damage_of_second(first: &GptCopy, second: &Result<GptCopy, GptFault>, is_last: bool) -> Vec<Error> {
    let error = match second {
        Err(fault) => {
            Error::new(TABLE, format!("its second copy is damaged: {fault}")).remedy(FROM_THE_OTHER)
        }
        Ok(second) if !first.says_the_same(second) => Error::new(
            TABLE,
            "its two copies say different things; the first one counts",
        )
        .remedy(
            "`sfdisk --dump DISK >table`, and `sfdisk DISK <table` write the second one anew from the first",
        ),
        Ok(_) if !is_last => {
            let cause = "its second copy does not lie at the end of the disk, where it is looked for when the first one is damaged";
            Error::new(TABLE, cause).remedy("`echo w | fdisk DISK` (Debian's fdisk) writes it there")
        }
        Ok(_) => return Vec::new(),
    };
    vec![error]
}

fn found(entry: &Entry, kind: [u8; 16]) -> FoundPartition {
    FoundPartition {
        is_esp: kind == ESP_TYPE,
        is_extended_boot: kind == EXTENDED_BOOT_TYPE,
        number: entry.names.number,
        name: entry.names.label.clone().unwrap_or_default(),
        uuid: entry.names.uuid.parse().unwrap_or_default(),
        start: entry.start,
        length: entry.size,
    }
}
