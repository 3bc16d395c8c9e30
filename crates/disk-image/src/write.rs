//! The executor.

use std::fs::File;

use crate::layout::PartitionKind;
use crate::plan::{DiskPlan, FatBy};
use crate::{ext4, fat, fat_make, partition_table};
use fault::{Error, Result};

/// With less room than this, in bytes, a file system counts as full: programs write in larger pieces.
const FULL: u64 = 64 << 10;

/// Writes the whole disk into an open, empty file; what stays zero becomes a hole. `step` hears of each partition before it is made.
///
/// # Errors
/// The first step that fails: the file is as far as it came, and should be thrown away.
pub fn write(plan: &DiskPlan, disk: &File, step: impl FnMut(&str)) -> Result<()> {
    write_all(plan, disk, step).map_err(|error| match room(disk) {
        // Programs say so in words of their own, and each in others.
        Some(0..FULL) => error.remedy(
            "the file system that the image is made on is full: make room there, or write to another one (TMPDIR, for a device)",
        ),
        _ => error,
    })
}

/// Bytes that are free where the file lies.
fn room(file: &File) -> Option<u64> {
    let found = rustix::fs::fstatvfs(file).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

fn write_all(plan: &DiskPlan, disk: &File, mut step: impl FnMut(&str)) -> Result<()> {
    disk.set_len(plan.layout.length).map_err(Error::on("disk"))?;
    step("partition table");
    partition_table::write(&plan.layout, disk)?;
    for partition in &plan.layout.partitions {
        step(partition.kind.name());
        match partition.kind {
            PartitionKind::BiosBoot => {
                plan.boot_code.iter().try_for_each(|code| code.write(disk, partition))?;
            }
            PartitionKind::EfiSystem => {
                let by = match plan.fat {
                    FatBy::Programs => fat::write,
                    FatBy::Itself => fat_make::write,
                };
                by(disk, partition, plan.identity.serial("esp"), &plan.esp)?;
            }
            PartitionKind::Store => ext4::write(disk, partition, &plan.identity, &plan.store)?,
            PartitionKind::State => ext4::write(disk, partition, &plan.identity, &[])?,
        }
    }
    disk.sync_all().map_err(Error::on("disk"))
}
