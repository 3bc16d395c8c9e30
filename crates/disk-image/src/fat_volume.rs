//! Files of a FAT32 that come and go one at a time, without a mount, so that an interruption at any moment leaves every other file as it
//! is, and of this one all or nothing (Microsoft's FAT specification, fatgen103).
//!
//! What is in a new file is written to free clusters, then their chain, and then the entries of its name, which lie in one sector: a name
//! that is there has its file. To remove one is the same in the opposite order. Between two of these steps clusters can be lost that no file
//! has; nothing else.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;

use crate::SECTOR;
use crate::fat_names::{self, ENTRY, FOLDER, FREE, Found};
use crate::fat_table::{FatTable, MOST_CLUSTERS, strange};
use fault::{Error, Result};

const ESP: &str = "EFI system partition";
/// A folder with more bytes is none (fatgen103: 65,536 entries).
const MOST_OF_FOLDER: usize = 65_536 * ENTRY;

/// A FAT32 in a part of a disk.
#[derive(Debug)]
pub struct FatVolume {
    disk: File,
    /// Bytes of a cluster.
    cluster: u64,
    /// Where cluster 2 lies, in bytes from the beginning of the disk.
    data: u64,
    root: u32,
    table: FatTable,
}

impl FatVolume {
    /// Opens the file system at `start`, of `length` bytes. Nobody else may change it meanwhile.
    ///
    /// # Errors
    /// It is no FAT32 with sectors of 512 bytes.
    pub fn open(disk: File, start: u64, length: u64) -> Result<FatVolume> {
        let mut boot = [0; SECTOR as usize];
        disk.read_exact_at(&mut boot, start).map_err(Error::on(ESP))?;
        let half = |at: usize| u64::from(u16::from_le_bytes([boot[at], boot[at + 1]]));
        let word = |at: usize| u32::from_le_bytes([boot[at], boot[at + 1], boot[at + 2], boot[at + 3]]);
        let (per_cluster, reserved, copies) = (u64::from(boot[13]), half(14), u64::from(boot[16]));
        let (sectors, per_table) = (u64::from(word(32)), u64::from(word(36)));
        let data = reserved + copies * per_table;
        let is_fat32 = boot[510..] == [0x55, 0xaa]
            && half(11) == SECTOR
            && per_cluster.is_power_of_two()
            && (1..=4).contains(&copies)
            && half(17) == 0
            && half(22) == 0
            && data < sectors
            && sectors * SECTOR <= length;
        let clusters = ((sectors.saturating_sub(data)) / per_cluster.max(1) + 2).min(per_table * 128);
        if !is_fat32 || clusters > MOST_CLUSTERS {
            return Err(Error::new(
                ESP,
                "is no FAT32 with sectors of 512 bytes, which alone is changed here",
            )
            .remedy("mount it, and give its folder with `--esp DIR`"));
        }
        let tables = (0..copies).map(|copy| start + (reserved + copy * per_table) * SECTOR).collect();
        let info = Some(half(48)).filter(|sector| (1..reserved).contains(sector));
        let file = disk.try_clone().map_err(Error::on(ESP))?;
        let info = info.map(|sector| start + sector * SECTOR);
        Ok(FatVolume {
            cluster: per_cluster * SECTOR,
            data: start + data * SECTOR,
            root: word(44),
            table: FatTable { disk: file, tables, clusters: clusters as u32, info, is_synced: true },
            disk,
        })
    }

    /// The same file system without waiting for the disk after each step: of a disk that is thrown away when it does not get finished.
    pub(crate) fn unsynced(mut self) -> FatVolume {
        self.table.is_synced = false;
        self
    }

    /// A file with these bytes under a name that nothing has yet; folders that are missing are made.
    ///
    /// # Errors
    /// Something is called so; there is no room; the disk cannot be written to, or the source not be read.
    pub fn write_new(&self, path: &str, source: &mut dyn Read, length: u64) -> io::Result<()> {
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut folder = self.root;
        for inner in folders.split('/').filter(|it| !it.is_empty()) {
            folder = match self.find(folder, inner)? {
                Some(found) if found.is_folder() => found.cluster,
                Some(_) => return Err(strange("a file has the name of a folder")),
                None => self.make_folder(folder, inner)?,
            };
        }
        if self.find(folder, name)?.is_some() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let size = u32::try_from(length).map_err(|_| strange("a file of FAT has less than 4 GiB"))?;
        let chain = self.table.free_clusters(length.div_ceil(self.cluster))?;
        let mut buffer = vec![0; self.cluster as usize];
        let mut left = length;
        for cluster in &chain {
            let part = left.min(self.cluster) as usize;
            source.read_exact(&mut buffer[..part])?;
            buffer[part..].fill(0);
            self.disk.write_all_at(&buffer, self.place(*cluster))?;
            left -= part as u64;
        }
        self.table.sync()?;
        self.table.link(&chain)?;
        self.add(folder, name, 0, chain.first().copied().unwrap_or(0), size)?;
        self.table.count_free()
    }

    /// Writes one sector over the file that has its length, where it lies.
    ///
    /// # Errors
    /// There is no such file; the disk cannot be written to.
    pub fn write_in_place(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let found = self.lookup(path)?.ok_or(ErrorKind::NotFound)?;
        if found.is_folder() || found.size as usize != bytes.len() || bytes.len() as u64 > SECTOR {
            return Err(strange("it has another length"));
        }
        self.disk.write_all_at(bytes, self.place(self.table.checked(found.cluster)?))?;
        self.table.sync()
    }

    /// Removes a file. One that is not there is no error.
    ///
    /// # Errors
    /// It is a folder; the disk cannot be written to.
    pub fn remove(&self, path: &str) -> io::Result<()> {
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(folder) = self.folder(folders)? else { return Ok(()) };
        let Some(found) = self.find(folder, name)? else { return Ok(()) };
        if found.is_folder() {
            return Err(strange("it is a folder"));
        }
        // A chain that does not fit to the length is damaged, and may run on into another file: its clusters stay, for fsck.vfat(8).
        let fits = |chain: &Vec<u32>| chain.len() as u64 == u64::from(found.size).div_ceil(self.cluster);
        let chain = if found.cluster == 0 { None } else { self.table.chain(found.cluster).ok() };
        let chain = chain.filter(fits).unwrap_or_default();
        let clusters = self.table.chain(folder)?;
        // The short entry first: without it, those of the long name are nobody's.
        for at in found.places.clone().step_by(ENTRY).collect::<Vec<_>>().into_iter().rev() {
            self.disk.write_all_at(&[FREE], self.place_in(&clusters, at)?)?;
        }
        self.table.sync()?;
        chain.iter().try_for_each(|cluster| self.table.set(*cluster, 0))?;
        self.table.sync()?;
        self.table.count_free()
    }

    /// The length of a file; `None` where there is none, or a folder.
    ///
    /// # Errors
    /// The disk cannot be read, or a folder is damaged.
    pub fn length(&self, path: &str) -> io::Result<Option<u64>> {
        Ok(self.lookup(path)?.filter(|it| !it.is_folder()).map(|it| u64::from(it.size)))
    }

    /// Reads a file from its beginning.
    ///
    /// # Errors
    /// There is none; its chain is damaged.
    pub fn open_file(&self, path: &str) -> io::Result<FatFile<'_>> {
        let found = self.lookup(path)?.filter(|it| !it.is_folder()).ok_or(ErrorKind::NotFound)?;
        let chain = if found.cluster == 0 { Vec::new() } else { self.table.chain(found.cluster)? };
        if (chain.len() as u64) * self.cluster < u64::from(found.size) {
            return Err(strange("its chain of clusters ends early"));
        }
        Ok(FatFile { volume: self, chain, at: 0, size: u64::from(found.size) })
    }

    /// Free bytes, and the length of a cluster.
    ///
    /// # Errors
    /// The table cannot be read.
    pub fn room(&self) -> io::Result<(u64, u64)> {
        Ok((u64::from(self.table.free()?) * self.cluster, self.cluster))
    }

    fn lookup(&self, path: &str) -> io::Result<Option<Found>> {
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        match self.folder(folders)? {
            Some(folder) => self.find(folder, name),
            None => Ok(None),
        }
    }

    /// The first cluster of a folder, where it is there.
    fn folder(&self, path: &str) -> io::Result<Option<u32>> {
        let mut folder = self.root;
        for inner in path.split('/').filter(|it| !it.is_empty()) {
            match self.find(folder, inner)? {
                Some(found) if found.is_folder() => folder = found.cluster,
                _ => return Ok(None),
            }
        }
        Ok(Some(folder))
    }

    fn find(&self, folder: u32, name: &str) -> io::Result<Option<Found>> {
        Ok(fat_names::read(&self.bytes(folder)?).into_iter().find(|it| it.is_called(name)))
    }

    /// All bytes of a folder.
    fn bytes(&self, folder: u32) -> io::Result<Vec<u8>> {
        let chain = self.table.chain(folder)?;
        if chain.len() as u64 * self.cluster > MOST_OF_FOLDER as u64 {
            return Err(strange("a folder is longer than a folder can be"));
        }
        let mut bytes = vec![0; chain.len() * self.cluster as usize];
        for (cluster, part) in chain.iter().zip(bytes.chunks_exact_mut(self.cluster as usize)) {
            self.disk.read_exact_at(part, self.place(*cluster))?;
        }
        Ok(bytes)
    }

    fn make_folder(&self, parent: u32, name: &str) -> io::Result<u32> {
        let chain = self.table.free_clusters(1)?;
        let cluster = chain[0];
        let mut bytes = vec![0; self.cluster as usize];
        let above = if parent == self.root { 0 } else { parent };
        bytes[..ENTRY].copy_from_slice(&fat_names::short_entry(*b".          ", FOLDER, cluster, 0));
        bytes[ENTRY..2 * ENTRY].copy_from_slice(&fat_names::short_entry(*b"..         ", FOLDER, above, 0));
        self.disk.write_all_at(&bytes, self.place(cluster))?;
        self.table.sync()?;
        self.table.link(&chain)?;
        self.add(parent, name, FOLDER, cluster, 0)?;
        Ok(cluster)
    }

    /// Writes the entries of a name, all in one sector.
    fn add(&self, folder: u32, name: &str, attributes: u8, cluster: u32, size: u32) -> io::Result<()> {
        let mut bytes = self.bytes(folder)?;
        let short = fat_names::short_name(name, &fat_names::read(&bytes));
        let entries = fat_names::entries(name, short, attributes, cluster, size);
        if entries.len() > SECTOR as usize {
            return Err(strange("its name is too long"));
        }
        let at = match place_for(&bytes, entries.len()) {
            Some(at) => at,
            None => {
                let at = bytes.len();
                self.extend(folder)?;
                bytes = self.bytes(folder)?;
                at
            }
        };
        // Behind the first entry that was never used a reader looks no further: what lies between must count as removed.
        let sector = at / SECTOR as usize * SECTOR as usize;
        let clusters = self.table.chain(folder)?;
        let end = bytes.chunks_exact(ENTRY).position(|entry| entry[0] == 0).map(|it| it * ENTRY);
        let is_end = end.is_some_and(|end| at + entries.len() > end);
        let mut unused = end.unwrap_or(at);
        while unused < at {
            bytes[unused] = FREE;
            if unused < sector {
                self.disk.write_all_at(&[FREE], self.place_in(&clusters, unused)?)?;
            }
            unused += ENTRY;
        }
        let behind = at + entries.len();
        bytes[at..behind].copy_from_slice(&entries);
        // What lies behind the end may be anything.
        if is_end && bytes.get(behind).is_some_and(|byte| *byte != 0) {
            bytes[behind] = 0;
            self.disk.write_all_at(&[0], self.place_in(&clusters, behind)?)?;
        }
        let whole = &bytes[sector..sector + SECTOR as usize];
        self.disk.write_all_at(whole, self.place_in(&clusters, sector)?)?;
        self.table.sync()
    }

    /// One more cluster for a folder.
    fn extend(&self, folder: u32) -> io::Result<()> {
        let last = *self.table.chain(folder)?.last().ok_or_else(|| strange("a folder has no cluster"))?;
        let new = self.table.free_clusters(1)?;
        self.disk.write_all_at(&vec![0; self.cluster as usize], self.place(new[0]))?;
        self.table.sync()?;
        self.table.link(&new)?;
        self.table.set(last, new[0])?;
        self.table.sync()
    }

    fn place(&self, cluster: u32) -> u64 {
        self.data + u64::from(cluster.saturating_sub(2)) * self.cluster
    }

    /// Where a byte of a folder lies.
    fn place_in(&self, clusters: &[u32], at: usize) -> io::Result<u64> {
        let (number, inside) = (at as u64 / self.cluster, at as u64 % self.cluster);
        let cluster = clusters.get(number as usize).ok_or_else(|| strange("a folder ends early"))?;
        Ok(self.place(*cluster) + inside)
    }
}

/// A file that is read.
#[derive(Debug)]
pub struct FatFile<'a> {
    volume: &'a FatVolume,
    chain: Vec<u32>,
    at: u64,
    size: u64,
}

impl Read for FatFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let inside = self.at % self.volume.cluster;
        let left = (self.size - self.at).min(self.volume.cluster - inside).min(buffer.len() as u64) as usize;
        let Some(cluster) = self.chain.get((self.at / self.volume.cluster) as usize) else { return Ok(0) };
        self.volume.disk.read_exact_at(&mut buffer[..left], self.volume.place(*cluster) + inside)?;
        self.at += left as u64;
        Ok(left)
    }
}

/// Where entries of so many bytes fit into one sector of a folder.
fn place_for(bytes: &[u8], length: usize) -> Option<usize> {
    let end = bytes.chunks_exact(ENTRY).position(|entry| entry[0] == 0).map_or(bytes.len(), |it| it * ENTRY);
    let is_free = |at: usize| at >= end || bytes[at] == FREE;
    (0..bytes.len()).step_by(ENTRY).find(|at| {
        let fits = at % SECTOR as usize + length <= SECTOR as usize && at + length <= bytes.len();
        fits && (*at..at + length).step_by(ENTRY).all(is_free)
    })
}
