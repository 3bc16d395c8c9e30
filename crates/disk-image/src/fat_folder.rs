//! A folder of a FAT32 that was read, and is changed a sector at a time: what a name is, changes by one write.

use std::collections::BTreeSet;
use std::io;

use crate::SECTOR;
use crate::area::Area;
use crate::fat_names::{self, ENTRY, FOLDER, FREE, Found};
use crate::fat_table::{FatTable, strange};

/// A folder with more bytes is none (fatgen103: 65,536 entries).
const MOST: u64 = 65_536 * ENTRY as u64;

/// Where clusters lie, and which are whose.
#[derive(Debug)]
pub(crate) struct Clusters {
    pub(crate) table: FatTable,
    /// Bytes of a cluster.
    pub(crate) length: u64,
    /// Where cluster 2 lies.
    pub(crate) data: u64,
    /// The first one of the root folder.
    pub(crate) root: u32,
}

impl Clusters {
    pub(crate) fn area(&self) -> &Area {
        &self.table.area
    }

    pub(crate) fn place(&self, cluster: u32) -> u64 {
        self.data + u64::from(cluster.saturating_sub(2)) * self.length
    }
}

/// A folder with all its bytes.
#[derive(Debug)]
pub(crate) struct FatFolder<'a> {
    clusters: &'a Clusters,
    chain: Vec<u32>,
    bytes: Vec<u8>,
}

impl<'a> FatFolder<'a> {
    /// Reads the folder that begins with this cluster.
    pub(crate) fn read(clusters: &'a Clusters, first: u32) -> io::Result<FatFolder<'a>> {
        let chain = clusters.table.chain(first, MOST / clusters.length)?;
        let mut bytes = vec![0; chain.len() * clusters.length as usize];
        for (cluster, part) in chain.iter().zip(bytes.chunks_exact_mut(clusters.length as usize)) {
            clusters.area().read(part, clusters.place(*cluster))?;
        }
        Ok(FatFolder { clusters, chain, bytes })
    }

    /// Everything in it, `.` and `..` too.
    pub(crate) fn all(&self) -> Vec<Found> {
        fat_names::read(&self.bytes)
    }

    pub(crate) fn find(&self, name: &str) -> Option<Found> {
        fat_names::read(&self.bytes).into_iter().find(|it| it.is_called(name))
    }

    /// Whether a cluster is one of the folder's own.
    pub(crate) fn has(&self, cluster: u32) -> bool {
        self.chain.contains(&cluster)
    }

    /// Finds where the entries of a new name fit, and lets the folder grow for them. So many clusters are left then.
    ///
    /// # Errors
    /// The folder can have no more entries, or there are fewer clusters: nothing is changed.
    pub(crate) fn room_for(&mut self, name: &str, needed: u64) -> io::Result<usize> {
        let length = fat_names::entries_length(name)?;
        if let Some(at) = place_for(&self.bytes, length) {
            return self.clusters.table.free_clusters(needed).map(|_| at);
        }
        self.clusters.table.free_clusters(needed + 1)?;
        let at = self.bytes.len();
        self.extend()?;
        Ok(at)
    }

    /// A folder in this one, which is empty; so many clusters are left then.
    pub(crate) fn make_folder(&mut self, name: &str, needed: u64) -> io::Result<FatFolder<'a>> {
        let at = self.room_for(name, needed + 1)?;
        let new = self.clusters.table.free_clusters(1)?;
        let mut bytes = vec![0; self.clusters.length as usize];
        let above = if self.chain[0] == self.clusters.root { 0 } else { self.chain[0] };
        bytes[..ENTRY].copy_from_slice(&fat_names::short_entry(*b".          ", FOLDER, new[0], 0));
        bytes[ENTRY..2 * ENTRY].copy_from_slice(&fat_names::short_entry(*b"..         ", FOLDER, above, 0));
        self.clusters.area().write(&bytes, self.clusters.place(new[0]))?;
        self.clusters.area().sync()?;
        self.clusters.table.link(&new)?;
        self.add(at, name, FOLDER, new[0], 0)?;
        FatFolder::read(self.clusters, new[0])
    }

    /// Writes the entries of a name where [`FatFolder::room_for`] has found room: the last write of those that it takes lets it be there.
    pub(crate) fn add(
        &mut self,
        at: usize,
        name: &str,
        attributes: u8,
        cluster: u32,
        size: u32,
    ) -> io::Result<()> {
        let short = fat_names::short_name(name, &fat_names::read(&self.bytes));
        let entries = fat_names::entries(name, short, attributes, cluster, size);
        let changed = put(&mut self.bytes, at, &entries);
        self.write_sectors(&changed)
    }

    /// Gives a file other clusters and another length, by one write.
    pub(crate) fn replace(&mut self, found: &Found, cluster: u32, size: u32) -> io::Result<()> {
        let at = found.places.end - ENTRY;
        fat_names::point(&mut self.bytes[at..at + ENTRY], cluster, size);
        self.write_sectors(&BTreeSet::from([at / SECTOR as usize]))
    }

    /// Removes the entries of a name: by one write where they lie in one sector, as those do that were written here. Else the short one goes
    /// first: without it, those of the long name are nobody's.
    pub(crate) fn remove(&mut self, found: &Found) -> io::Result<()> {
        let places = found.places.clone().step_by(ENTRY);
        places.clone().for_each(|at| self.bytes[at] = FREE);
        self.write_sectors(&places.map(|at| at / SECTOR as usize).collect())
    }

    /// Writes sectors, the last one first, each before the next.
    fn write_sectors(&self, sectors: &BTreeSet<usize>) -> io::Result<()> {
        for sector in sectors.iter().rev() {
            let at = sector * SECTOR as usize;
            let (number, inside) = (at as u64 / self.clusters.length, at as u64 % self.clusters.length);
            let cluster = self.chain.get(number as usize).ok_or_else(|| strange("a folder ends early"))?;
            let bytes = &self.bytes[at..at + SECTOR as usize];
            self.clusters.area().write(bytes, self.clusters.place(*cluster) + inside)?;
            self.clusters.area().sync()?;
        }
        Ok(())
    }

    /// One more cluster.
    fn extend(&mut self) -> io::Result<()> {
        let length = self.clusters.length;
        if (self.chain.len() as u64 + 1) * length > MOST {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "a folder can have no more entries"));
        }
        let last = *self.chain.last().ok_or_else(|| strange("a folder has no cluster"))?;
        let new = self.clusters.table.free_clusters(1)?;
        self.clusters.area().write(&vec![0; length as usize], self.clusters.place(new[0]))?;
        self.clusters.area().sync()?;
        self.clusters.table.link(&new)?;
        self.clusters.table.change([(last, new[0])].into_iter())?;
        self.chain.extend(new);
        self.bytes.resize(self.bytes.len() + length as usize, 0);
        Ok(())
    }
}

/// Where entries of so many bytes fit into one sector of a folder.
fn place_for(bytes: &[u8], length: usize) -> Option<usize> {
    let end = end_of(bytes);
    let is_free = |at: usize| at >= end || bytes[at] == FREE;
    (0..bytes.len()).step_by(ENTRY).find(|at| {
        let fits = at % SECTOR as usize + length <= SECTOR as usize && at + length <= bytes.len();
        fits && (*at..at + length).step_by(ENTRY).all(is_free)
    })
}

/// The first entry that was never used: behind it a reader looks no further, and anything may lie there.
fn end_of(bytes: &[u8]) -> usize {
    bytes.chunks_exact(ENTRY).position(|entry| entry[0] == 0).map_or(bytes.len(), |it| it * ENTRY)
}

/// Puts entries into a folder; the sectors that changed. Where the old end lies in a sector before that of the entries, that one is the last
/// which is to be written: until then nobody looks behind it.
fn put(bytes: &mut [u8], at: usize, entries: &[u8]) -> BTreeSet<usize> {
    let (end, behind) = (end_of(bytes), at + entries.len());
    let mut changed = BTreeSet::from([at]);
    for unused in (end..at).step_by(ENTRY) {
        bytes[unused] = FREE;
        changed.insert(unused);
    }
    bytes[at..behind].copy_from_slice(entries);
    if behind > end && bytes.get(behind).is_some_and(|byte| *byte != 0) {
        bytes[behind] = 0;
        changed.insert(behind);
    }
    changed.into_iter().map(|at| at / SECTOR as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(name: &str) -> Vec<u8> {
        fat_names::entries(name, *b"X       CON", 0, 7, 9)
    }

    /// What lies behind the end of a folder was somebody's once.
    #[test]
    fn a_name_appears_by_the_last_write_and_nothing_behind_the_end_does() {
        let long = "a-name-with-so-many-letters-that-it-takes-six-entries-of-a-folder.conf";
        let old = fat_names::short_entry(*b"OLD     TXT", 0, 3, 3);
        for used in 0..32 {
            let mut bytes: Vec<u8> = old.iter().copied().cycle().take(64 * ENTRY).collect();
            for number in 0..used {
                bytes[number * ENTRY + 7] = b'A' + number as u8;
            }
            bytes[used * ENTRY] = 0;
            let new = entries(long);
            let at = place_for(&bytes, new.len()).unwrap();
            let mut disk = bytes.clone();
            let changed = put(&mut bytes, at, &new);
            for (left, sector) in changed.iter().rev().enumerate() {
                assert_eq!(fat_names::read(&disk).len(), used, "{used}: before write {left}");
                let range = sector * SECTOR as usize..(sector + 1) * SECTOR as usize;
                disk[range.clone()].copy_from_slice(&bytes[range]);
            }
            assert!(disk == bytes);
            let found = fat_names::read(&disk);
            assert_eq!((found.len(), found[used].name.as_str()), (used + 1, long), "{used}");
        }
    }
}
