//! The GPT of a disk.

use std::collections::BTreeMap;
use std::fs::File;

use gpt::disk::LogicalBlockSize;
use gpt::mbr::ProtectiveMBR;
use gpt::partition_types::{self, Type};
use gpt::{GptConfig, partition};

use crate::SECTOR;
use crate::layout::{Layout, PartitionKind};
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
}

/// A table as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundTable {
    /// The partitions, by number.
    pub partitions: Vec<FoundPartition>,
    /// What is wrong with the table or its copy.
    pub damage: Vec<String>,
}

/// Reads a table by its first or, where that is broken, its second copy.
///
/// # Errors
/// There is none.
pub fn read(disk: &File) -> Result<FoundTable> {
    let device = disk.try_clone().map_err(Error::on(TABLE))?;
    let config = GptConfig::new().writable(false).logical_block_size(LogicalBlockSize::Lb512);
    let table = config.open_from_device(device).map_err(|error| {
        Error::new(TABLE, format!("is no GPT that can be read: {error}"))
            .remedy("give a disk or an image that `lamina disk create` wrote")
    })?;
    let mut damage = Vec::new();
    for (which, header) in [("first", table.primary_header()), ("second", table.backup_header())] {
        if let Err(error) = header {
            damage.push(format!("the {which} copy of the partition table is broken: {error}"));
        }
    }
    let used = table.partitions().iter().filter(|(_, entry)| entry.is_used());
    let partitions = used.map(|(number, entry)| FoundPartition {
        number: *number,
        name: entry.name.clone(),
        uuid: entry.part_guid,
        start: entry.first_lba.saturating_mul(SECTOR),
        length: (entry.last_lba.saturating_add(1).saturating_sub(entry.first_lba)).saturating_mul(SECTOR),
    });
    Ok(FoundTable { partitions: partitions.collect(), damage })
}
