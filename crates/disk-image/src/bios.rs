//! GRUB for a BIOS, put in place without `grub-bios-setup`, which wants to be root and to see the disk as a device.
//!
//! `boot.img` becomes the boot code of the first sector and loads one sector, the first of `core.img`; that loads the rest by a list of
//! blocks at its end. `core.img` lies in one piece in the BIOS boot partition. The places are those of GRUB 2.06 and 2.12,
//! `include/grub/i386/pc/boot.h` and `util/setup.c`; stories boot both.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::SECTOR;
use crate::layout::Partition;
use fault::{Error, Result};

/// GRUB_BOOT_MACHINE_KERNEL_SECTOR: where `boot.img` has the sector of the core, 8 bytes.
const KERNEL_SECTOR: usize = 0x5c;
/// GRUB_BOOT_MACHINE_DRIVE_CHECK: a jump over the check of the drive number that some BIOSes need (`setup.c` puts two NOPs there
/// for a disk).
const DRIVE_CHECK: usize = 0x66;
/// GRUB_BOOT_MACHINE_BPB_END: the boot code begins behind what would be the BPB of a FAT.
const BPB_END: usize = 0x5a;
/// What a BIOS runs ends before the disk's signature and the table of partitions: GRUB_BOOT_MACHINE_WINDOWS_NT_MAGIC.
const CODE_END: usize = 0x1b8;
/// The first entry of the list of blocks: the last 12 bytes of the first sector of `core.img`, of which the first 8 are the sector, and
/// 2 the number of sectors.
const BLOCK_LIST: usize = 0x200 - 12;

/// Both parts of GRUB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootCode {
    boot: Vec<u8>,
    core: Vec<u8>,
}

impl BootCode {
    /// Takes `boot.img` and what `grub-mkimage --format i386-pc` made.
    ///
    /// # Errors
    /// They are not what GRUB writes.
    pub fn new(boot: Vec<u8>, core: Vec<u8>) -> Result<BootCode> {
        if boot.len() != 512 || boot[510..] != [0x55, 0xaa] {
            return Err(Error::new("boot.img", "is no boot sector").remedy("install grub-pc-bin again"));
        }
        if core.len() <= 512 || core[BLOCK_LIST..BLOCK_LIST + 8] == [0; 8] {
            return Err(Error::new("core.img", "does not begin with GRUB's loader of blocks"));
        }
        Ok(BootCode { boot, core })
    }

    /// Bytes of the core.
    pub fn core_length(&self) -> usize {
        self.core.len()
    }

    /// Writes the core into its partition, and the boot code beside the table of partitions that is there already.
    ///
    /// # Errors
    /// The core does not fit; the disk cannot be written to.
    pub fn write(&self, disk: &File, partition: &Partition) -> Result<()> {
        if self.core.len() as u64 > partition.length {
            let cause = format!("has {} bytes, and its partition {}", self.core.len(), partition.length);
            return Err(Error::new("core.img", cause));
        }
        let sector = partition.start / SECTOR;
        let mut core = self.core.clone();
        core[BLOCK_LIST..BLOCK_LIST + 8].copy_from_slice(&(sector + 1).to_le_bytes());
        let rest = (core.len() as u64).div_ceil(SECTOR) - 1;
        let rest = u16::try_from(rest).map_err(Error::on("core.img"))?;
        core[BLOCK_LIST + 8..BLOCK_LIST + 10].copy_from_slice(&rest.to_le_bytes());
        let mut boot = self.boot.clone();
        boot[KERNEL_SECTOR..KERNEL_SECTOR + 8].copy_from_slice(&sector.to_le_bytes());
        boot[DRIVE_CHECK..DRIVE_CHECK + 2].copy_from_slice(&[0x90, 0x90]);
        let place = |bytes: &[u8], at: u64| disk.write_all_at(bytes, at).map_err(Error::on("boot code"));
        place(&core, partition.start)?;
        place(&boot[..3], 0)?;
        place(&boot[BPB_END..CODE_END], BPB_END as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::PartitionKind;

    #[test]
    fn each_part_finds_the_next_and_the_table_stays() {
        let (mut boot, mut core) = (vec![0xeb; 512], vec![0x52; 512 * 3 + 1]);
        boot[510..].copy_from_slice(&[0x55, 0xaa]);
        core[0x1f4..0x1fc].copy_from_slice(&2_u64.to_le_bytes());
        let disk = tempfile::tempfile().unwrap();
        disk.write_all_at(&[7; 512], 0).unwrap();
        let partition = Partition {
            kind: PartitionKind::BiosBoot,
            uuid: uuid::Uuid::nil(),
            start: 1 << 20,
            length: 1 << 20,
        };
        BootCode::new(boot, core).unwrap().write(&disk, &partition).unwrap();
        let mut sector = [0; 512];
        disk.read_exact_at(&mut sector, 0).unwrap();
        assert_eq!(sector[0x5c..0x64], 2048_u64.to_le_bytes());
        assert_eq!((&sector[3..0x5a], &sector[0x1b8..]), (&[7; 0x57][..], &[7; 72][..]));
        assert_eq!(sector[0x66..0x69], [0x90, 0x90, 0xeb]);
        disk.read_exact_at(&mut sector, 1 << 20).unwrap();
        assert_eq!(sector[0x1f4..0x1fc], 2049_u64.to_le_bytes());
        assert_eq!(sector[0x1fc..0x1fe], 3_u16.to_le_bytes());
        assert!(BootCode::new(vec![0; 512], vec![1; 1024]).is_err());
        assert!(BootCode::new(vec![0; 3], vec![1; 1024]).unwrap_err().to_string().contains("help: "));
    }
}
