//! A new FAT32, without dosfstools and mtools: of a copy that a running system makes, which has neither. What stands where is Microsoft's FAT
//! specification (fatgen103), "Boot Sector and BPB" and "FAT32 FSInfo Sector Structure"; the values are those of mkfs.fat 4.2.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::fat_names;
use crate::fat_volume::FatVolume;
use crate::layout::Partition;
use crate::plan::DiskFile;
use crate::{MIB, SECTOR};
use fault::{Error, Result};

const ESP: &str = "EFI system partition";
const RESERVED: u64 = 32;
const COPIES: u64 = 2;
/// The boot sector with the sector behind it, and their copy.
const BOOT_SECTORS: [u64; 2] = [0, 6];
const VOLUME_LABEL: u8 = 0x08;

/// Makes the file system, and writes the files, in an image whose partition is zero.
///
/// # Errors
/// The disk cannot be written to, or a file not read.
pub(crate) fn write(disk: &File, partition: &Partition, serial: u32, files: &[DiskFile]) -> Result<()> {
    make(disk, partition, serial).map_err(Error::on(ESP))?;
    let file = disk.try_clone().map_err(Error::on(ESP))?;
    let volume = FatVolume::unsynced(file, partition.start, partition.length)?;
    for file in files {
        let mut source = file.content.open().map_err(Error::on(&file.path))?;
        volume.write_new(&file.path, &mut source, file.content.length()).map_err(Error::on(&file.path))?;
    }
    Ok(())
}

fn make(disk: &File, partition: &Partition, serial: u32) -> io::Result<()> {
    let sectors = partition.length / SECTOR;
    // Clusters of 4 KiB where there are enough of them: fewer entries of the table for a kernel.
    let per_cluster = if partition.length >= 300 * MIB { 8 } else { 1 };
    // As many sectors as entries of 4 bytes need for what the tables themselves leave.
    let per_table = ((sectors - RESERVED) * 4).div_ceil(per_cluster * SECTOR + COPIES * 4);
    let clusters = (sectors - RESERVED - COPIES * per_table) / per_cluster;
    let label = fat_label(partition);
    let mut boot = [0; 2 * SECTOR as usize];
    let mut put = |at: usize, bytes: &[u8]| boot[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &[0xeb, 0x58, 0x90]);
    put(3, b"mkfs.fat");
    put(11, &(SECTOR as u16).to_le_bytes());
    put(13, &[per_cluster as u8]);
    put(14, &(RESERVED as u16).to_le_bytes());
    put(16, &[COPIES as u8]);
    put(21, &[0xf8]);
    put(24, &32_u16.to_le_bytes());
    put(26, &8_u16.to_le_bytes());
    put(28, &((partition.start / SECTOR) as u32).to_le_bytes());
    put(32, &(sectors as u32).to_le_bytes());
    put(36, &(per_table as u32).to_le_bytes());
    put(44, &2_u32.to_le_bytes());
    put(48, &1_u16.to_le_bytes());
    put(50, &(BOOT_SECTORS[1] as u16).to_le_bytes());
    put(64, &[0x80, 0, 0x29]);
    put(67, &serial.to_le_bytes());
    put(71, &label);
    put(82, b"FAT32   ");
    put(510, &[0x55, 0xaa]);
    // The sector with what is free: all but the root folder.
    put(512, b"RRaA");
    put(512 + 484, b"rrAa");
    put(512 + 488, &(clusters as u32 - 1).to_le_bytes());
    put(512 + 492, &2_u32.to_le_bytes());
    put(512 + 508, &[0, 0, 0x55, 0xaa]);
    for sector in BOOT_SECTORS {
        disk.write_all_at(&boot, partition.start + sector * SECTOR)?;
    }
    let first: Vec<u8> =
        [0x0fff_fff8_u32, 0x0fff_ffff, 0x0fff_fff8].into_iter().flat_map(u32::to_le_bytes).collect();
    for copy in 0..COPIES {
        disk.write_all_at(&first, partition.start + (RESERVED + copy * per_table) * SECTOR)?;
    }
    let root = partition.start + (RESERVED + COPIES * per_table) * SECTOR;
    disk.write_all_at(&fat_names::short_entry(label, VOLUME_LABEL, 0, 0), root)
}

fn fat_label(partition: &Partition) -> [u8; 11] {
    let mut label = [b' '; 11];
    for (to, from) in label.iter_mut().zip(partition.kind.label().bytes()) {
        *to = from;
    }
    label
}
