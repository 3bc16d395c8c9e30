//! GRUB for a BIOS, put in place without `grub-bios-setup`, which wants to be root and to see the disk as a device.
//!
//! On a disk that is looked at, where each part finds the next is judged by itself ([`FoundBootCode::fault`]); of the rest, which is the same on
//! every disk, there are digests ([`BootCodeDigests`]).
//!
//! `boot.img` becomes the boot code of the first sector and loads one sector, the first of `core.img`; that loads the rest by a list of
//! blocks at its end. `core.img` lies in one piece in the BIOS boot partition. The places are those of GRUB 2.06 and 2.12,
//! `include/grub/i386/pc/boot.h` and `util/setup.c`; stories boot both.

use std::fs::File;
use std::os::unix::fs::FileExt;

use profiles::Digest;

use crate::layout::Partition;
use crate::partition_table::FoundPartition;
use crate::{MIB, SECTOR};
use fault::{Error, Result};

/// GRUB_BOOT_MACHINE_KERNEL_SECTOR: where `boot.img` has the sector of the core, 8 bytes.
const KERNEL_SECTOR: usize = 0x5c;
/// GRUB_BOOT_MACHINE_DRIVE_CHECK: a jump over the check of the drive number that some BIOSes need (`setup.c` puts two NOPs there
/// for a disk).
const DRIVE_CHECK: usize = 0x66;
/// The jump over what would be the BPB.
const JUMP: usize = 3;
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

    /// What a disk with it has, wherever its partition lies.
    pub fn digests(&self) -> BootCodeDigests {
        let boot = own_boot_code(&without_drive_check(&self.boot));
        BootCodeDigests {
            boot: Digest::of_bytes(&boot),
            core: Digest::of_bytes(own_core(&self.core)),
            core_size: self.core.len() as u64,
        }
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
        let mut boot = without_drive_check(&self.boot);
        boot[KERNEL_SECTOR..KERNEL_SECTOR + 8].copy_from_slice(&sector.to_le_bytes());
        let place = |bytes: &[u8], at: u64| disk.write_all_at(bytes, at).map_err(Error::on("boot code"));
        place(&core, partition.start)?;
        place(&boot[..JUMP], 0)?;
        place(&boot[BPB_END..CODE_END], BPB_END as u64)
    }
}

/// Both parts of GRUB without the places that [`BootCode::write`] fills in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootCodeDigests {
    /// SHA-256 of what the first sector has of it.
    pub boot: Digest,
    /// SHA-256 of the core.
    pub core: Digest,
    /// Bytes of the core.
    pub core_size: u64,
}

/// What a disk holds of both.
#[derive(Debug, Clone)]
pub struct FoundBootCode {
    boot: Vec<u8>,
    /// At most a MiB, which is what the partition has on a disk of ours.
    core: Vec<u8>,
    /// The first sector of the partition.
    sector: u64,
}

impl FoundBootCode {
    /// Reads it.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn read(disk: &File, partition: &FoundPartition) -> Result<FoundBootCode> {
        let part = |at: u64, length: usize| {
            let mut bytes = vec![0; length];
            disk.read_exact_at(&mut bytes, at).map_err(Error::on("boot code")).map(|()| bytes)
        };
        let core = part(partition.start, partition.length.min(MIB) as usize)?;
        Ok(FoundBootCode { boot: part(0, SECTOR as usize)?, core, sector: partition.start / SECTOR })
    }

    /// Where one part does not find the next: then nothing starts, whatever else is right.
    pub fn fault(&self) -> Option<Error> {
        let boot = |cause: &'static str| Some(Error::new("boot code of the first sector", cause));
        let core = |cause: &'static str| Some(Error::new("GRUB in the BIOS boot partition", cause));
        if self.boot[510..] != [0x55, 0xaa] || self.boot[..JUMP] == [0; JUMP] {
            return boot("is missing");
        }
        if self.boot[KERNEL_SECTOR..KERNEL_SECTOR + 8] != self.sector.to_le_bytes() {
            return boot("does not lead to the BIOS boot partition");
        }
        let Some(list) = self.core.get(BLOCK_LIST..BLOCK_LIST + 10) else { return core("has no room") };
        if list[..8] != (self.sector + 1).to_le_bytes() {
            return core("does not lead to its second sector");
        }
        let rest = u64::from(u16::from_le_bytes([list[8], list[9]]));
        (rest == 0 || (rest + 1) * SECTOR > self.core.len() as u64)
            .then(|| core("has a length that does not fit its partition"))
            .flatten()
    }

    /// What there is as it can be written to another disk, where the parts find each other. Its core has the length of its list of blocks.
    pub fn boot_code(&self) -> Option<BootCode> {
        if self.fault().is_some() {
            return None;
        }
        let rest = usize::from(u16::from_le_bytes([self.core[BLOCK_LIST + 8], self.core[BLOCK_LIST + 9]]));
        let core = self.core.get(..(rest + 1) * SECTOR as usize)?.to_vec();
        BootCode::new(self.boot.clone(), core).ok()
    }

    /// What there is, where the core has this length; `None`: it has not.
    pub fn digests(&self, core_size: u64) -> Option<BootCodeDigests> {
        let core = usize::try_from(core_size).ok().and_then(|size| self.core.get(..size))?;
        let rest = u16::try_from(core_size.div_ceil(SECTOR).checked_sub(1)?).ok()?;
        let same = core.get(BLOCK_LIST + 8..BLOCK_LIST + 10)? == rest.to_le_bytes();
        let boot = Digest::of_bytes(own_boot_code(&self.boot));
        same.then(|| BootCodeDigests { boot, core: Digest::of_bytes(own_core(core)), core_size })
    }
}

fn without_drive_check(boot: &[u8]) -> Vec<u8> {
    let mut boot = boot.to_vec();
    boot[DRIVE_CHECK..DRIVE_CHECK + 2].copy_from_slice(&[0x90, 0x90]);
    boot
}

/// What GRUB has of the first sector, without the place of the core.
fn own_boot_code(boot: &[u8]) -> Vec<u8> {
    let mut boot = boot.to_vec();
    boot[KERNEL_SECTOR..KERNEL_SECTOR + 8].fill(0);
    [&boot[..JUMP], &boot[BPB_END..CODE_END]].concat()
}

/// The core without its list of blocks.
fn own_core(core: &[u8]) -> Vec<u8> {
    let mut core = core.to_vec();
    if let Some(list) = core.get_mut(BLOCK_LIST..BLOCK_LIST + 10) {
        list.fill(0);
    }
    core
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::PartitionKind;

    fn read_back(disk: &File) -> FoundBootCode {
        let (name, uuid) = ("lamina-bios".to_owned(), uuid::Uuid::nil());
        let partition = FoundPartition {
            number: 1,
            name,
            uuid,
            start: 1 << 20,
            length: 1 << 20,
            is_esp: false,
            is_extended_boot: false,
        };
        FoundBootCode::read(disk, &partition).unwrap()
    }

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
        let code = BootCode::new(boot, core).unwrap();
        code.write(&disk, &partition).unwrap();
        disk.write_all_at(&[0x55, 0xaa], 510).unwrap();
        disk.set_len(2 << 20).unwrap();
        let found = read_back(&disk);
        assert_eq!((found.fault(), found.digests(512 * 3 + 1)), (None, Some(code.digests())));
        assert_eq!((found.digests(512 * 5), found.digests(0)), (None, None));
        // Each byte counts that is not the table's, and none of the others does.
        for (at, counts) in
            [(0, true), (0x40, false), (0x5e, true), (0x66, true), (0x1b7, true), (0x1b8, false)]
                .into_iter()
                .chain(
                    [(0, true), (0x1f4, true), (0x1fc, true), (512 * 3, true), (512 * 4, false)]
                        .map(|(at, it)| (at + (1 << 20), it)),
                )
        {
            let (mut old, bytes) = ([0], |byte: u8| [byte ^ 1]);
            disk.read_exact_at(&mut old, at).unwrap();
            disk.write_all_at(&bytes(old[0]), at).unwrap();
            let found = read_back(&disk);
            let sound = found.fault().is_none() && found.digests(512 * 3 + 1) == Some(code.digests());
            assert_eq!(sound, !counts, "{at:#x}");
            disk.write_all_at(&old, at).unwrap();
        }
        let mut sector = [0; 512];
        disk.read_exact_at(&mut sector, 0).unwrap();
        assert_eq!(sector[0x5c..0x64], 2048_u64.to_le_bytes());
        assert_eq!((&sector[3..0x5a], &sector[0x1b8..510]), (&[7; 0x57][..], &[7; 70][..]));
        assert_eq!(sector[0x66..0x69], [0x90, 0x90, 0xeb]);
        disk.read_exact_at(&mut sector, 1 << 20).unwrap();
        assert_eq!(sector[0x1f4..0x1fc], 2049_u64.to_le_bytes());
        assert_eq!(sector[0x1fc..0x1fe], 3_u16.to_le_bytes());
        assert!(BootCode::new(vec![0; 512], vec![1; 1024]).is_err());
        assert!(BootCode::new(vec![0; 3], vec![1; 1024]).unwrap_err().to_string().contains("help: "));
    }
}
