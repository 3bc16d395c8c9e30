//! Files of a FAT32 that come, change and go one at a time, without a mount, so that an interruption at any moment leaves every other file as it
//! is, and of this one the old or the new one, or none where there was none (Microsoft's FAT specification, fatgen103).
//!
//! What is in a new file is written to free clusters, then their chain, and then the entries of its name, which lie in one sector: a name
//! that is there has its file. To remove one is the same in the opposite order. Where a file takes the place of another one, its clusters and
//! its length come into the entry that is there, by one write, and then the old clusters go. Between two of these steps clusters can be lost
//! that no file has; nothing else.

use std::fs::File;
use std::io::{self, ErrorKind, Read};

use crate::SECTOR;
use crate::area::{Area, Storage};
use crate::fat_folder::{Clusters, FatFolder};
use crate::fat_geometry::{ESP, Geometry};
use crate::fat_names::{self, Found};
use crate::fat_table::{FatTable, strange};
use fault::{Error, Result};

/// How much of a file is written at once, in bytes.
const PART: u64 = 1 << 18;

/// A FAT32 in a part of a disk.
#[derive(Debug)]
pub struct FatVolume {
    pub(crate) clusters: Clusters,
}

impl FatVolume {
    /// Opens the file system at `start`, of `length` bytes. Nobody else may change it meanwhile.
    ///
    /// # Errors
    /// It is no FAT32 with sectors of 512 bytes.
    pub fn open(disk: File, start: u64, length: u64) -> Result<FatVolume> {
        FatVolume::on(Box::new(disk), start, length)
    }

    /// The same of what need not be a file.
    ///
    /// # Errors
    /// Likewise.
    pub fn on(disk: Box<dyn Storage>, start: u64, length: u64) -> Result<FatVolume> {
        FatVolume::of(Area::new(disk, start, length), length)
    }

    /// The same without waiting for the disk after each step: of a disk that is thrown away when it does not get finished.
    pub(crate) fn unsynced(disk: File, start: u64, length: u64) -> Result<FatVolume> {
        FatVolume::of(Area::new(Box::new(disk), start, length).unsynced(), length)
    }

    fn of(area: Area, length: u64) -> Result<FatVolume> {
        let mut boot = [0; SECTOR as usize];
        area.read(&mut boot, 0).map_err(Error::on(ESP))?;
        let Geometry { cluster, data, root, tables, clusters, info } = Geometry::read(&boot, length)?;
        let table = FatTable { area, tables, clusters, info };
        Ok(FatVolume { clusters: Clusters { table, length: cluster, data, root } })
    }

    /// A file with these bytes under a name that nothing has yet; folders that are missing are made.
    ///
    /// # Errors
    /// Something is called so; there is no room, or no such name; the disk cannot be written to, or the source not be read. No clusters are taken
    /// then, unless it is the disk that failed.
    pub fn write_new(&self, path: &str, source: &mut dyn Read, length: u64) -> io::Result<()> {
        let written = self.write_under_new_name(path, source, length);
        written.and(self.clusters.table.count_free())
    }

    fn write_under_new_name(&self, path: &str, source: &mut dyn Read, length: u64) -> io::Result<()> {
        let names: Vec<&str> = path.split('/').filter(|it| !it.is_empty()).collect();
        let Some((name, folders)) = names.split_last() else { return Err(strange("it has no name")) };
        let size = size_of(length)?;
        let mut folder = self.folder_of(self.clusters.root)?;
        let mut missing = folders.iter();
        let first = loop {
            let Some(inner) = missing.next() else { break None };
            match folder.find(inner) {
                Some(found) if found.is_folder() => folder = self.folder_of(found.cluster)?,
                Some(_) => return Err(strange("a file has the name of a folder")),
                None => break Some(inner),
            }
        };
        if first.is_none() && folder.find(name).is_some() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let missing: Vec<&str> = first.into_iter().chain(missing).copied().collect();
        // All names before the first of them is made.
        missing.iter().chain([name]).try_for_each(|it| fat_names::entries_length(it).map(drop))?;
        let needed = self.clusters_of(length);
        for (made, inner) in missing.iter().enumerate() {
            folder = folder.make_folder(inner, needed + (missing.len() - made - 1) as u64)?;
        }
        let at = folder.room_for(name, needed)?;
        let chain = self.write_clusters(source, length)?;
        folder.add(at, name, 0, chain.first().copied().unwrap_or(0), size)
    }

    /// A file with these bytes in place of the one that is called so, where there is one: at every moment the old or the new one.
    ///
    /// # Errors
    /// A folder is called so; there is no room beside the old one; the disk cannot be written to, or the source not be read.
    pub fn replace(&self, path: &str, source: &mut dyn Read, length: u64) -> io::Result<()> {
        let Some((mut folder, found)) = self.lookup(path)? else {
            return self.write_new(path, source, length);
        };
        if found.is_folder() {
            return Err(strange("it is a folder"));
        }
        let size = size_of(length)?;
        let old = self.chain_that_may_go(&folder, &found);
        let chain = self.write_clusters(source, length)?;
        folder.replace(&found, chain.first().copied().unwrap_or(0), size)?;
        self.clusters.table.release(&old)?;
        self.clusters.table.count_free()
    }

    /// Writes one sector over the file that has its length, where it lies.
    ///
    /// # Errors
    /// There is no such file; the disk cannot be written to.
    pub fn write_in_place(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let (_, found) = self.lookup(path)?.ok_or(ErrorKind::NotFound)?;
        if found.is_folder() || found.size as usize != bytes.len() || bytes.len() as u64 > SECTOR {
            return Err(strange("it has another length"));
        }
        let cluster = self.clusters.table.checked(found.cluster)?;
        self.clusters.area().write(bytes, self.clusters.place(cluster))?;
        self.clusters.area().sync()
    }

    /// Removes a file. One that is not there is no error.
    ///
    /// # Errors
    /// It is a folder; the disk cannot be written to.
    pub fn remove(&self, path: &str) -> io::Result<()> {
        let Some((mut folder, found)) = self.lookup(path)? else { return Ok(()) };
        if found.is_folder() {
            return Err(strange("it is a folder"));
        }
        let chain = self.chain_that_may_go(&folder, &found);
        folder.remove(&found)?;
        self.clusters.table.release(&chain)?;
        self.clusters.table.count_free()
    }

    /// The length of a file; `None` where there is none, or a folder.
    ///
    /// # Errors
    /// The disk cannot be read, or a folder is damaged.
    pub fn length(&self, path: &str) -> io::Result<Option<u64>> {
        Ok(self.lookup(path)?.filter(|it| !it.1.is_folder()).map(|it| u64::from(it.1.size)))
    }

    /// Reads a file from its beginning.
    ///
    /// # Errors
    /// There is none; its chain is damaged.
    pub fn open_file(&self, path: &str) -> io::Result<FatFile<'_>> {
        let found = self.lookup(path)?.filter(|it| !it.1.is_folder()).ok_or(ErrorKind::NotFound)?.1;
        let (size, first) = (u64::from(found.size), found.cluster);
        let chain = self.clusters.table.begin_of_chain(first, self.clusters_of(size))?;
        Ok(FatFile { clusters: &self.clusters, chain, at: 0, size })
    }

    /// Free bytes, and the length of a cluster.
    ///
    /// # Errors
    /// The table cannot be read.
    pub fn room(&self) -> io::Result<(u64, u64)> {
        Ok((u64::from(self.clusters.table.free()?) * self.clusters.length, self.clusters.length))
    }

    /// What is called so, and the folder that it is in.
    fn lookup(&self, path: &str) -> io::Result<Option<(FatFolder<'_>, Found)>> {
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut folder = self.folder_of(self.clusters.root)?;
        for inner in folders.split('/').filter(|it| !it.is_empty()) {
            match folder.find(inner) {
                Some(found) if found.is_folder() => folder = self.folder_of(found.cluster)?,
                _ => return Ok(None),
            }
        }
        Ok(folder.find(name).map(|found| (folder, found)))
    }

    fn folder_of(&self, cluster: u32) -> io::Result<FatFolder<'_>> {
        FatFolder::read(&self.clusters, cluster)
    }

    fn clusters_of(&self, length: u64) -> u64 {
        length.div_ceil(self.clusters.length)
    }

    /// The clusters of a file. A chain that does not fit to the length, or is the folder's too, is damaged, and may be another file's: then none
    /// go, and fsck.vfat(8) finds them.
    fn chain_that_may_go(&self, folder: &FatFolder<'_>, found: &Found) -> Vec<u32> {
        let count = self.clusters_of(u64::from(found.size));
        if count == 0 || found.cluster == 0 {
            return Vec::new();
        }
        let chain = self.clusters.table.chain(found.cluster, count).unwrap_or_default();
        let fits = chain.len() as u64 == count && !chain.iter().any(|cluster| folder.has(*cluster));
        if fits { chain } else { Vec::new() }
    }

    /// Writes what is in a file to free clusters, and joins them.
    fn write_clusters(&self, source: &mut dyn Read, length: u64) -> io::Result<Vec<u32>> {
        let chain = self.clusters.table.free_clusters(self.clusters_of(length))?;
        let at_once = (PART / self.clusters.length) as usize;
        let mut buffer = Vec::new();
        let mut left = length;
        for run in chain.chunk_by(|one, next| one + 1 == *next).flat_map(|run| run.chunks(at_once)) {
            buffer.clear();
            buffer.resize(run.len() * self.clusters.length as usize, 0);
            let part = left.min(buffer.len() as u64) as usize;
            source.read_exact(&mut buffer[..part])?;
            self.clusters.area().write(&buffer, self.clusters.place(run[0]))?;
            left -= part as u64;
        }
        self.clusters.area().sync()?;
        self.clusters.table.link(&chain)?;
        Ok(chain)
    }
}

/// A file that is read.
#[derive(Debug)]
pub struct FatFile<'a> {
    clusters: &'a Clusters,
    chain: Vec<u32>,
    at: u64,
    size: u64,
}

impl Read for FatFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.clusters.length;
        let inside = self.at % length;
        let left = (self.size - self.at).min(length - inside).min(buffer.len() as u64) as usize;
        let Some(cluster) = self.chain.get((self.at / length) as usize) else { return Ok(0) };
        self.clusters.area().read(&mut buffer[..left], self.clusters.place(*cluster) + inside)?;
        self.at += left as u64;
        Ok(left)
    }
}

fn size_of(length: u64) -> io::Result<u32> {
    u32::try_from(length).map_err(|_| strange("a file of FAT has less than 4 GiB"))
}
