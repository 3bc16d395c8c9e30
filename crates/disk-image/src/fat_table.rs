//! The table of a FAT32: which cluster follows which one, in all its copies.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;

use crate::SECTOR;

/// The least value of a last cluster; what is written is the second one.
const LAST: u32 = 0x0fff_fff8;
const END: u32 = 0x0fff_ffff;
/// The upper four bits of an entry are nobody's.
const MASK: u32 = 0x0fff_ffff;
/// More clusters than FAT32 can number.
pub(crate) const MOST_CLUSTERS: u64 = 0x0fff_fef0;

/// Both copies, or how many there are.
#[derive(Debug)]
pub(crate) struct FatTable {
    pub(crate) disk: File,
    /// Where each copy begins, in bytes from the beginning of the disk.
    pub(crate) tables: Vec<u64>,
    /// One behind the last cluster.
    pub(crate) clusters: u32,
    /// Where the sector lies that has the number of free clusters, likewise.
    pub(crate) info: Option<u64>,
    /// Whether each step waits until the one before it is on the disk.
    pub(crate) is_synced: bool,
}

impl FatTable {
    /// The clusters from this one on.
    pub(crate) fn chain(&self, first: u32) -> io::Result<Vec<u32>> {
        let mut chain = vec![self.checked(first)?];
        let mut at = first;
        loop {
            at = self.get(at)? & MASK;
            if at >= LAST {
                return Ok(chain);
            }
            chain.push(self.checked(at)?);
            if chain.len() > self.clusters as usize {
                return Err(strange("a chain of clusters has no end"));
            }
        }
    }

    pub(crate) fn checked(&self, cluster: u32) -> io::Result<u32> {
        match (2..self.clusters).contains(&cluster) {
            true => Ok(cluster),
            false => Err(strange("a cluster lies behind the end")),
        }
    }

    pub(crate) fn free_clusters(&self, wanted: u64) -> io::Result<Vec<u32>> {
        let table = self.entries()?;
        let free = (2_u32..).zip(table.iter().skip(2)).filter(|it| *it.1 & MASK == 0).map(|it| it.0);
        let found: Vec<u32> = free.take(wanted as usize).collect();
        match found.len() as u64 == wanted {
            true => Ok(found),
            false => Err(ErrorKind::StorageFull.into()),
        }
    }

    /// Joins clusters that nobody has, the last one first.
    pub(crate) fn link(&self, chain: &[u32]) -> io::Result<()> {
        let mut next = END;
        for cluster in chain.iter().rev() {
            self.set(*cluster, next)?;
            next = *cluster;
        }
        self.sync()
    }

    fn get(&self, cluster: u32) -> io::Result<u32> {
        let mut entry = [0; 4];
        self.disk.read_exact_at(&mut entry, self.tables[0] + u64::from(cluster) * 4)?;
        Ok(u32::from_le_bytes(entry))
    }

    pub(crate) fn set(&self, cluster: u32, value: u32) -> io::Result<()> {
        let kept = self.get(cluster)? & !MASK;
        for table in &self.tables {
            self.disk.write_all_at(&(kept | value).to_le_bytes(), table + u64::from(cluster) * 4)?;
        }
        Ok(())
    }

    fn entries(&self) -> io::Result<Vec<u32>> {
        let mut bytes = vec![0; self.clusters as usize * 4];
        self.disk.read_exact_at(&mut bytes, self.tables[0])?;
        Ok(bytes.chunks_exact(4).map(|it| u32::from_le_bytes([it[0], it[1], it[2], it[3]])).collect())
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        if self.is_synced { self.disk.sync_data() } else { Ok(()) }
    }

    /// How many clusters are free.
    pub(crate) fn free(&self) -> io::Result<u32> {
        Ok(self.entries()?.iter().skip(2).filter(|entry| **entry & MASK == 0).count() as u32)
    }

    /// FSI_Free_Count and FSI_Nxt_Free: hints, which fsck.vfat compares.
    pub(crate) fn count_free(&self) -> io::Result<()> {
        let (Some(place), mut info) = (self.info, [0; SECTOR as usize]) else { return Ok(()) };
        self.disk.read_exact_at(&mut info, place)?;
        if info[..4] != *b"RRaA" || info[484..488] != *b"rrAa" {
            return Ok(());
        }
        let free = self.free()?;
        info[488..492].copy_from_slice(&free.to_le_bytes());
        info[492..496].copy_from_slice(&u32::MAX.to_le_bytes());
        self.disk.write_all_at(&info, place)?;
        self.sync()
    }
}

pub(crate) fn strange(what: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}
