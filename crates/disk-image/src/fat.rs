//! The EFI system partition, by mkfs.vfat (dosfstools) and mtools, both inside the image.
//!
//! The crate `fatfs` 0.3.6, which reads it here, does not write it: it gives `.` and `..` of each folder long names, and `fsck.vfat`
//! then wants to mend every folder. Times are fixed (mtools 4.0.32: SOURCE_DATE_EPOCH), and the serial is the caller's.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::Command;

use crate::layout::{Partition, PartitionKind};
use crate::plan::{DiskFile, folders};
use crate::programs::{Scratch, command, path_of, run};
use crate::{MIB, SECTOR};
use fault::{Error, Result};

const ESP: &str = "EFI system partition";
/// The boot sector and its copy, where mkfs.vfat puts that.
const BOOT_SECTORS: [u64; 2] = [0, 6];
/// BS_VolID of FAT32, 4 bytes (Microsoft's specification).
const SERIAL: u64 = 67;

/// FAT32 has at least 65,525 clusters (Microsoft's specification): with clusters of one sector, 32 MiB and the tables.
pub const LEAST: u64 = 36 * MIB;

/// Room for these files and as much again twice: a new kernel is written before the old one goes.
pub fn room_for(files: &[DiskFile]) -> u64 {
    let bytes: u64 = files.iter().map(|file| file.content.length()).sum();
    (3 * bytes).max(2 * LEAST)
}

/// Makes the file system, and writes the files. The order of folders and files is that of the list.
///
/// # Errors
/// dosfstools or mtools are missing or fail; the disk cannot be written to, or a file not read.
pub fn write(disk: &File, partition: &Partition, serial: u32, files: &[DiskFile]) -> Result<()> {
    make(disk, partition, serial)?;
    let place = format!("{}@@{}", path_of(disk), partition.start);
    let all: Vec<String> = folders(files).iter().map(|folder| format!("::/{folder}")).collect();
    if !all.is_empty() {
        mtools("mmd").and_then(|mut mmd| run(mmd.args(["-i", &place]).args(all), ""))?;
    }
    for file in files {
        let mut scratch = Scratch::default();
        let source = scratch.path(&file.content)?;
        let target = format!("::/{}", file.path);
        mtools("mcopy").and_then(|mut mcopy| run(mcopy.args(["-i", &place, &source, &target]), ""))?;
    }
    Ok(())
}

fn make(disk: &File, partition: &Partition, serial: u32) -> Result<()> {
    // Clusters of 4 KiB where there are enough of them: fewer entries of the table for a kernel.
    let sectors = if partition.length >= 300 * MIB { "8" } else { "1" };
    let mut mkfs = command("mkfs.vfat", "dosfstools")?;
    // --invariant: the label has a time too, and mkfs.vfat 4.2 takes it from the clock.
    mkfs.args(["--invariant", "-F", "32", "-s", sectors, "-n", PartitionKind::EfiSystem.label()])
        .args(["--offset", &(partition.start / SECTOR).to_string()])
        .arg(path_of(disk))
        .arg((partition.length / 1024).to_string());
    run(&mut mkfs, "")?;
    // With it every serial is the same one, also where -i gives another.
    for sector in BOOT_SECTORS {
        let place = partition.start + sector * SECTOR + SERIAL;
        disk.write_all_at(&serial.to_le_bytes(), place).map_err(Error::on(ESP))?;
    }
    Ok(())
}

fn mtools(program: &str) -> Result<Command> {
    let mut command = command(program, "mtools")?;
    // Neither the settings of a machine, nor questions about the geometry of a floppy disk.
    command.env("MTOOLSRC", "/dev/null").env("MTOOLS_SKIP_CHECK", "1");
    Ok(command)
}
