//! An update that lies: the disk says that it is complete, and something of the newest generation is not what it should be.

use std::fs;
use std::path::Path;

use super::ext4::Ext4;
use super::loader::{Loader, Menu};
use super::made_disk::{Generation, MadeDisk, mtools};
use crate::failure::Failure;
use crate::programs::run;
use crate::soak::random::Random;

const BLOCK: u64 = 4096;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// The image was never written.
    ImageSkipped,
    /// Its name is there, and nothing in it.
    ImageEmpty,
    /// A part of it is zero.
    ImageTorn,
    /// It has the bytes of another image.
    ImageStale,
    /// A part of the kernel is zero.
    KernelTorn,
    /// A part of the initramfs is zero.
    InitramfsTorn,
    /// The file of its entry ends in the middle. GRUB reads none of these.
    EntryTorn,
}

impl Damage {
    /// All of them.
    pub const ALL: [Damage; 7] = [
        Self::ImageSkipped,
        Self::ImageEmpty,
        Self::ImageTorn,
        Self::ImageStale,
        Self::KernelTorn,
        Self::InitramfsTorn,
        Self::EntryTorn,
    ];

    /// For titles.
    pub fn name(self) -> &'static str {
        match self {
            Self::ImageSkipped => "image skipped",
            Self::ImageEmpty => "image empty",
            Self::ImageTorn => "image torn",
            Self::ImageStale => "image stale",
            Self::KernelTorn => "kernel torn",
            Self::InitramfsTorn => "initramfs torn",
            Self::EntryTorn => "entry torn",
        }
    }

    /// Does it to the newest generation of `disk`. What was cut off before is mended first, as the boot in between would have done.
    pub fn apply(
        self,
        disk: &Path,
        made: &MadeDisk,
        newest: &Generation,
        random: &mut Random,
    ) -> Result<(), Failure> {
        if matches!(self, Self::KernelTorn | Self::InitramfsTorn | Self::EntryTorn) {
            return self.apply_on_esp(disk, made, newest, random);
        }
        let image = format!("/lamina/images/{}.sqfs", newest.image);
        let ext4 = Ext4::take_out(disk, made.store)?;
        match self {
            Self::ImageSkipped => ext4.change(&format!("rm {image}"))?,
            Self::ImageEmpty => ext4.change(&format!("set_inode_field {image} size 0"))?,
            Self::ImageStale => {
                let stale = made.other_image(newest)?;
                ext4.overwrite(&image, |bytes| {
                    bytes.iter_mut().zip(stale).for_each(|(byte, old)| *byte = old);
                })?;
            }
            _ => ext4.overwrite(&image, |bytes| tear(bytes, random))?,
        }
        ext4.put_back(disk, made.store)
    }

    fn apply_on_esp(
        self,
        disk: &Path,
        made: &MadeDisk,
        newest: &Generation,
        random: &mut Random,
    ) -> Result<(), Failure> {
        let folder = tempfile::tempdir().map_err(Failure::about("a temporary folder"))?;
        let menu = Menu::read(Loader::SystemdBoot, disk, made.esp, folder.path())?;
        let entry = menu
            .of_profile(&newest.digest)
            .ok_or_else(|| Failure::new(format!("the menu has no entry of {}", newest.name)))?;
        let path = match self {
            Self::KernelTorn => entry.linux.clone(),
            Self::InitramfsTorn => entry.initrd.first().cloned().unwrap_or_default(),
            _ => format!("/loader/entries/{}", entry.file),
        };
        let copy = menu.file(&path);
        let mut bytes = fs::read(&copy).map_err(Failure::at(&copy))?;
        match self {
            Self::EntryTorn => bytes.truncate(1 + random.below(bytes.len() as u64 - 1) as usize),
            _ => tear(&mut bytes, random),
        }
        fs::write(&copy, bytes).map_err(Failure::at(&copy))?;
        run(mtools("mcopy", disk, made.esp).arg("-o").arg(&copy).arg(format!("::{path}"))).map(drop)
    }
}

/// Makes whole blocks of 4 KiB zero, from a random one on: at least one, and one that has something.
fn tear(bytes: &mut [u8], random: &mut Random) {
    let blocks = (bytes.len() as u64).div_ceil(BLOCK);
    let first = random.below(blocks) * BLOCK;
    let count = 1 + random.below(blocks);
    let end = (first + count * BLOCK).min(bytes.len() as u64);
    bytes[first as usize..end as usize].fill(0);
}
