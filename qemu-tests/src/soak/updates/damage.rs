//! An update that lies: the disk says that it is complete, and something of the newest generation is not what it should be.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use tempfile::NamedTempFile;

use super::loader::{Loader, Menu};
use super::made_disk::{Generation, MadeDisk, Place, mtools};
use crate::failure::Failure;
use crate::programs::{run, said};
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

/// The store of a disk, taken out to be changed by e2fsprogs: after it has carried out a journal, e2fsck(8) forgets where in a disk
/// a file system begins.
struct Ext4 {
    part: NamedTempFile,
}

impl Ext4 {
    /// Takes it out, and carries out what the journal still has. e2fsck ends with 1 when it has changed something.
    fn take_out(disk: &Path, place: Place) -> Result<Self, Failure> {
        let part = disk.parent().unwrap_or(Path::new("."));
        let part = NamedTempFile::new_in(part).map_err(Failure::at(part))?;
        let copied = File::open(disk).and_then(|mut disk| {
            disk.seek(SeekFrom::Start(place.start))?;
            io::copy(&mut disk.take(place.size), &mut part.as_file())
        });
        copied.map_err(Failure::at(disk))?;
        let mut command = Command::new("/usr/sbin/e2fsck");
        let output = command.arg("-fp").arg(part.path()).output().map_err(Failure::about("e2fsck"))?;
        match output.status.code() {
            Some(0 | 1) => Ok(Self { part }),
            _ => Err(Failure::new(format!("e2fsck: {}", String::from_utf8_lossy(&output.stdout)))),
        }
    }

    fn put_back(&self, disk: &Path, place: Place) -> Result<(), Failure> {
        let copied = File::open(self.part.path()).and_then(|mut part| {
            let mut disk = File::options().write(true).open(disk)?;
            disk.seek(SeekFrom::Start(place.start))?;
            io::copy(&mut part, &mut disk)
        });
        copied.map(drop).map_err(Failure::at(disk))
    }

    fn change(&self, request: &str) -> Result<(), Failure> {
        self.asked(&["-w", "-R", request]).map(drop)
    }

    fn asked(&self, arguments: &[&str]) -> Result<String, Failure> {
        said(Command::new("/usr/sbin/debugfs").args(arguments).arg(self.part.path()))
    }

    /// Changes the bytes of a file where they lie.
    fn overwrite(&self, path: &str, change: impl FnOnce(&mut [u8])) -> Result<(), Failure> {
        let listed = self.asked(&["-R", &format!("blocks {path}")])?;
        let blocks: Vec<u64> = listed.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let size = self.block_size()?;
        let file = self.part.as_file();
        let mut bytes = vec![0; blocks.len() * size as usize];
        for (block, part) in blocks.iter().zip(bytes.chunks_exact_mut(size as usize)) {
            file.read_exact_at(part, block * size).map_err(Failure::about(path))?;
        }
        let before = bytes.clone();
        change(&mut bytes);
        if bytes == before {
            return Err(Failure::new(format!("{path}: nothing was damaged in {} blocks", blocks.len())));
        }
        for (block, part) in blocks.iter().zip(bytes.chunks_exact(size as usize)) {
            file.write_all_at(part, block * size).map_err(Failure::about(path))?;
        }
        Ok(())
    }

    fn block_size(&self) -> Result<u64, Failure> {
        let said = self.asked(&["-R", "show_super_stats -h"])?;
        let line = said.lines().find_map(|line| line.strip_prefix("Block size:"));
        line.unwrap_or_default().trim().parse().map_err(Failure::about("debugfs: the size of a block"))
    }
}
