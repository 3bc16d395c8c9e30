//! The executor.

use std::fs::File;

use crate::layout::PartitionKind;
use crate::plan::DiskPlan;
use crate::{ext4, fat, partition_table};
use fault::{Error, Result};

/// Writes the whole disk into an open, empty file; what stays zero becomes a hole. `step` hears of each partition before it is made.
///
/// # Errors
/// The first step that fails: the file is as far as it came, and should be thrown away.
pub fn write(plan: &DiskPlan, disk: &File, mut step: impl FnMut(&str)) -> Result<()> {
    disk.set_len(plan.layout.length).map_err(Error::on("disk"))?;
    step("partition table");
    partition_table::write(&plan.layout, disk)?;
    for partition in &plan.layout.partitions {
        step(partition.kind.name());
        match partition.kind {
            PartitionKind::BiosBoot => {
                plan.boot_code.iter().try_for_each(|code| code.write(disk, partition))?;
            }
            PartitionKind::EfiSystem => fat::write(disk, partition, plan.identity.serial("esp"), &plan.esp)?,
            PartitionKind::Store => ext4::write(disk, partition, &plan.identity, &plan.store)?,
            PartitionKind::State => ext4::write(disk, partition, &plan.identity, &[])?,
        }
    }
    disk.sync_all().map_err(Error::on("disk"))
}
