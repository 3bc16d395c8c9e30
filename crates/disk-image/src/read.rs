//! A disk read back, without mounting: its table, the files of its EFI system partition, and its store.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use ext4_view::Ext4;
use fatfs::{FileSystem, FsOptions};
use profiles::Digest;

use crate::SECTOR;
use crate::bios::FoundBootCode;
use crate::ext4;
use crate::fat_geometry::{self, ESP};
use crate::fat_shared::SharedClusters;
use crate::fat_volume::FatVolume;
use crate::layout::PartitionKind;
use crate::partition_table::{self, FoundPartition, FoundTable};
use crate::section::{Look, Section};
use fault::{Error, Result};

/// The most that is read of an entry or a profile, as init does (docs/boot.md).
pub const MOST_TEXT: u64 = 1 << 20;

/// The most names of a folder that are read: a damaged FAT can have a folder without an end.
const MOST_NAMES: usize = 4096;

/// The most that is read of folders to find a file, in bytes: as many entries as one can have (fatgen103), and their clusters.
const MOST_OF_FOLDERS: u64 = 65_536 * 32 + (1 << 16);

/// A disk that is looked at.
pub struct DiskReader {
    disk: File,
    /// The partitions, as the table of the disk has them.
    pub table: FoundTable,
}

impl DiskReader {
    /// Reads the table of partitions.
    ///
    /// # Errors
    /// There is no GPT.
    pub fn new(disk: File) -> Result<DiskReader> {
        let table = partition_table::read(&disk)?;
        Ok(DiskReader { disk, table })
    }

    /// The partition for this purpose, by the name that we give it; of a disk that somebody else has made, the first one with the type of an
    /// EFI system partition is that.
    ///
    /// # Errors
    /// There is none.
    pub fn partition(&self, kind: PartitionKind) -> Result<&FoundPartition> {
        let partitions = &self.table.partitions;
        let by_type = || partitions.iter().find(|it| kind == PartitionKind::EfiSystem && it.is_esp);
        let found = partitions.iter().find(|it| it.name == kind.name()).or_else(by_type);
        found.ok_or_else(|| {
            Error::new("disk", format!("has no partition {}", kind.name()))
                .remedy("give a disk or an image that `lamina disk create` wrote")
        })
    }

    /// What a BIOS starts; `None` of a disk for UEFI alone.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn boot_code(&self) -> Result<Option<FoundBootCode>> {
        let found = self.partition(PartitionKind::BiosBoot).ok();
        found.map(|partition| FoundBootCode::read(&self.disk, partition)).transpose()
    }

    /// The files of the EFI system partition.
    ///
    /// # Errors
    /// There is no such partition, or no FAT on it.
    pub fn esp(&self) -> Result<EspReader> {
        let found = self.partition(PartitionKind::EfiSystem)?;
        let look = Arc::new(Look::new());
        let section = self.disk.try_clone().map(|disk| Section::new(disk, found.start, found.length));
        let section = section.map(|section| section.for_looks(Arc::clone(&look)));
        let opened = section.and_then(|section| FileSystem::new(section, FsOptions::new()));
        let files = opened.map_err(|error| self.why_no_fat(found, error))?;
        let disk = self.disk.try_clone().map_err(Error::on(ESP))?;
        Ok(EspReader { files, look, disk, place: (found.start, found.length) })
    }

    /// A FAT32 with few clusters is mounted by Linux: that it is refused here needs a reason.
    fn why_no_fat(&self, found: &FoundPartition, error: io::Error) -> Error {
        let mut boot = [0; SECTOR as usize];
        let read = self.disk.read_exact_at(&mut boot, found.start);
        let few = read.ok().and_then(|()| fat_geometry::too_few_clusters(&boot, found.length));
        few.unwrap_or_else(|| {
            Error::on(ESP)(error)
                .remedy("`fsck.vfat` says what is wrong with it; or make it a FAT32 anew, with its files")
        })
    }

    /// The free room of the store's file system, and the length of its blocks, both in bytes (`s_free_blocks_count`, `s_r_blocks_count` and
    /// `s_log_block_size` of `Documentation/filesystems/ext4/super.rst`). Linux keeps 2 % of the blocks back, at most 4096 of them
    /// (`ext4_set_resv_clusters`).
    ///
    /// # Errors
    /// There is no such partition; the disk cannot be read.
    pub fn store_room(&self) -> Result<(u64, u64)> {
        let found = self.partition(PartitionKind::Store)?;
        let mut superblock = [0; 1024];
        self.disk.read_exact_at(&mut superblock, found.start + 1024).map_err(Error::on("store"))?;
        let low = |at: usize| {
            u64::from(u32::from_le_bytes([
                superblock[at],
                superblock[at + 1],
                superblock[at + 2],
                superblock[at + 3],
            ]))
        };
        let is_64_bit = low(0x60) & 0x80 != 0;
        let wide = |at: usize, high: usize| low(at) | if is_64_bit { low(high) << 32 } else { 0 };
        let (blocks, reserved, free) = (wide(4, 0x150), wide(8, 0x154), wide(0xc, 0x158));
        let block = 1024_u64 << low(0x18).min(6);
        let kept = reserved.saturating_add((blocks / 50).min(4096));
        Ok((free.saturating_sub(kept).saturating_mul(block), block))
    }

    /// The file system of the store.
    ///
    /// # Errors
    /// There is no such partition, or no ext4 on it.
    pub fn store(&self) -> Result<Ext4> {
        let found = self.partition(PartitionKind::Store)?;
        ext4::open(&self.disk, found.start, found.length)
    }
}

/// The files of an EFI system partition; paths are words between `/`, and none is in front.
pub struct EspReader {
    files: FileSystem<Section>,
    look: Arc<Look>,
    disk: File,
    /// Where it begins, and its length.
    place: (u64, u64),
}

impl EspReader {
    /// Finds something by its name, or lists a folder: fatfs 0.3.6 follows a folder whose chain is a circle for ever.
    fn in_folders<T>(&self, find: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.look.through(MOST_OF_FOLDERS, find)
    }

    fn open_file(&self, path: &str) -> io::Result<fatfs::File<'_, Section>> {
        self.in_folders(|| self.files.root_dir().open_file(path))
    }

    /// The names in a folder, sorted; none where it is missing. An empty path is the root.
    ///
    /// # Errors
    /// The file system is damaged.
    pub fn names(&self, folder: &str) -> Result<Vec<String>> {
        let read = || -> io::Result<Vec<String>> {
            let root = self.files.root_dir();
            let opened = if folder.is_empty() { Ok(root) } else { root.open_dir(folder) };
            let folder = match opened {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                opened => opened?,
            };
            let names = folder.iter().map(|entry| entry.map(|entry| entry.file_name()));
            let names = names.filter(|name| !matches!(name.as_deref(), Ok("." | "..")));
            names.take(MOST_NAMES + 1).collect()
        };
        let mut names = self.in_folders(read).map_err(Error::on(folder))?;
        if names.len() > MOST_NAMES {
            return Err(Error::new(folder, format!("has more than {MOST_NAMES} entries")));
        }
        if let Some(name) = names.iter().find(|it| it.contains(['/', '\\', '\0'])) {
            let cause = format!("has a name that no file of a FAT can have: {}", name.escape_debug());
            return Err(
                Error::new(folder, cause).remedy("`fsck.vfat` says what is wrong with the file system")
            );
        }
        names.sort();
        Ok(names)
    }

    /// Its free room, and the length that files are rounded up to, both in bytes: of a FAT32 as its table has it, for the sum in FSInfo is a hint,
    /// which a kill leaves wrong (fatgen103).
    ///
    /// # Errors
    /// The file system is damaged.
    pub fn room(&self) -> Result<(u64, u64)> {
        let disk = self.disk.try_clone().map_err(Error::on(ESP))?;
        match FatVolume::open(disk, self.place.0, self.place.1) {
            Ok(volume) => return volume.room().map_err(Error::on(ESP)),
            Err(error) if error.system_said().is_some() => return Err(error),
            // A FAT12 or FAT16, which has no such sum.
            Err(_) => {}
        }
        let stats = self.files.stats().map_err(Error::on(ESP))?;
        let cluster = u64::from(stats.cluster_size());
        Ok((u64::from(stats.free_clusters()) * cluster, cluster))
    }

    /// Files and folders that share clusters; nobody knows which of two is whole. Of a FAT32 alone: Lamina makes no other.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn shared_clusters(&self) -> Result<Vec<SharedClusters>> {
        let disk = self.disk.try_clone().map_err(Error::on(ESP))?;
        match FatVolume::open(disk, self.place.0, self.place.1) {
            Ok(volume) => volume.shared_clusters().map_err(Error::on(ESP)),
            Err(error) if error.system_said().is_some() => Err(error),
            Err(_) => Ok(Vec::new()),
        }
    }

    /// The length of a file; `None` of what is none.
    ///
    /// # Errors
    /// It is missing, or cannot be looked at.
    pub fn length(&self, path: &str) -> Result<Option<u64>> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let root = self.files.root_dir();
        let find = || -> io::Result<Option<u64>> {
            let folder = if folder.is_empty() { root } else { root.open_dir(folder)? };
            for entry in folder.iter() {
                let entry = entry?;
                if entry.file_name().eq_ignore_ascii_case(name) {
                    return Ok(entry.is_file().then(|| entry.len()));
                }
            }
            Err(io::ErrorKind::NotFound.into())
        };
        self.in_folders(find).map_err(Error::on(path))
    }

    /// Copies a file.
    ///
    /// # Errors
    /// It is missing or damaged; the target cannot be written to.
    pub fn copy(&self, path: &str, target: &mut impl io::Write) -> Result<u64> {
        let mut file = self.open_file(path).map_err(Error::on(path))?;
        let copied = io::copy(&mut file, target).map_err(Error::on(path))?;
        match self.length(path)? == Some(copied) {
            true => Ok(copied),
            false => Err(Error::new(path, "ends before its length: its chain of clusters is damaged")
                .remedy("`fsck.vfat` says what is wrong with the file system")),
        }
    }

    /// Whether there is a file, or something else that is called so.
    pub fn has(&self, path: &str) -> bool {
        !matches!(self.open_file(path), Err(error) if error.kind() == io::ErrorKind::NotFound)
    }

    /// Whether a file begins with these bytes.
    ///
    /// # Errors
    /// It is missing or damaged.
    pub fn begins(&self, path: &str, meant: &[u8]) -> Result<bool> {
        let mut found = Vec::new();
        let file = self.open_file(path).map_err(Error::on(path))?;
        file.take(meant.len() as u64).read_to_end(&mut found).map_err(Error::on(path))?;
        Ok(found == meant)
    }

    /// A small file.
    ///
    /// # Errors
    /// It is missing, damaged, or too large.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = self.open_file(path).map_err(Error::on(path))?;
        file.take(MOST_TEXT + 1).read_to_end(&mut bytes).map_err(Error::on(path))?;
        match bytes.len() as u64 > MOST_TEXT {
            true => Err(Error::new(path, "is larger than 1 MiB")),
            false => Ok(bytes),
        }
    }

    /// The digest of a file, and its length.
    ///
    /// # Errors
    /// It is missing or damaged.
    pub fn digest(&self, path: &str) -> Result<(Digest, u64)> {
        let file = self.open_file(path).map_err(Error::on(path))?;
        Digest::of(io::BufReader::with_capacity(1 << 18, file)).map_err(Error::on(path))
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// Of a folder with more names than are listed, each file is found all the same.
    #[test]
    fn a_file_behind_many_others_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let (image, many) = (folder.path().join("image"), folder.path().join("many"));
        std::fs::create_dir(&many).unwrap();
        let names: Vec<String> = (0..=MOST_NAMES).map(|number| format!("{number}")).collect();
        names.iter().for_each(|name| std::fs::write(many.join(name), "x").unwrap());
        File::create(&image).unwrap().set_len(40 << 20).unwrap();
        let mut make = Command::new(crate::programs::find_program("mkfs.vfat", "dosfstools").unwrap());
        let made = make.args(["-F", "32", "-s", "1"]).arg(&image).stdout(Stdio::null()).status();
        assert!(made.unwrap().success());
        let mut copy = Command::new(crate::programs::find_program("mcopy", "mtools").unwrap());
        let copied = copy.args(["-s", "-i"]).arg(&image).arg(&many).arg("::/many").status();
        assert!(copied.unwrap().success());
        let disk = File::open(&image).unwrap();
        let section = Section::new(disk.try_clone().unwrap(), 0, 40 << 20);
        let look = Arc::new(Look::new());
        let files = FileSystem::new(section.for_looks(Arc::clone(&look)), FsOptions::new()).unwrap();
        let esp = EspReader { files, look, disk, place: (0, 40 << 20) };
        let last = esp.files.root_dir().open_dir("many").unwrap().iter().last().unwrap().unwrap().file_name();
        assert_eq!(esp.length(&format!("many/{last}")).unwrap(), Some(1), "{last}");
        let listed = esp.names("many").map(|names| names.len()).map_err(|error| error.to_string());
        assert_eq!(listed, Err("many: has more than 4096 entries".to_owned()));
    }
}
