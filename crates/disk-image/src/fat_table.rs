//! The table of a FAT32: which cluster follows which one, in all its copies.
//!
//! Whole sectors of it are written, of each copy, and the first copy last: it is the one that Linux reads, and fsck.vfat(8) takes it where two
//! copies differ, each of which is whole.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};

use crate::SECTOR;
use crate::area::Area;

/// The least value of a last cluster; what is written is the second one.
const LAST: u32 = 0x0fff_fff8;
const END: u32 = 0x0fff_ffff;
/// The upper four bits of an entry are nobody's.
const MASK: u32 = 0x0fff_ffff;
/// Bytes of an entry.
const ENTRY: u64 = 4;
/// How much of a table is read at once, in bytes.
const PART: u64 = 1 << 16;

/// All copies.
#[derive(Debug)]
pub(crate) struct FatTable {
    pub(crate) area: Area,
    /// Where each copy begins.
    pub(crate) tables: Vec<u64>,
    /// One behind the last cluster.
    pub(crate) clusters: u32,
    /// Where the sector lies that has the number of free clusters.
    pub(crate) info: Option<u64>,
}

impl FatTable {
    /// The clusters from this one on, which are at most `most`: a damaged chain runs on, or has no end.
    pub(crate) fn chain(&self, first: u32, most: u64) -> io::Result<Vec<u32>> {
        match self.follow(first, most)? {
            (chain, true) => Ok(chain),
            _ => Err(strange("a chain of clusters is longer than it can be")),
        }
    }

    /// So many clusters from this one on, whatever follows them.
    pub(crate) fn begin_of_chain(&self, first: u32, count: u64) -> io::Result<Vec<u32>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let chain = self.follow(first, count)?.0;
        match chain.len() as u64 == count {
            true => Ok(chain),
            false => Err(strange("its chain of clusters ends early")),
        }
    }

    /// At most `most` clusters, and whether the chain ends with them.
    fn follow(&self, first: u32, most: u64) -> io::Result<(Vec<u32>, bool)> {
        let (mut chain, most) = (Vec::new(), most.min(u64::from(self.clusters)));
        let ended = self.visit(first, |cluster| {
            chain.push(cluster);
            (chain.len() as u64) < most
        })?;
        Ok((chain, ended))
    }

    /// Tells each cluster of a chain, until `go_on` says no; whether the chain ends with the last one that was told.
    pub(crate) fn visit(&self, first: u32, mut go_on: impl FnMut(u32) -> bool) -> io::Result<bool> {
        let mut cluster = self.checked(first)?;
        let mut sector = (u64::MAX, [0; SECTOR as usize]);
        loop {
            let goes_on = go_on(cluster);
            let at = u64::from(cluster) * ENTRY;
            if sector.0 != at / SECTOR {
                sector.0 = at / SECTOR;
                self.area.read(&mut sector.1, self.tables[0] + sector.0 * SECTOR)?;
            }
            let next = value(&sector.1, (at % SECTOR) as usize) & MASK;
            if next >= LAST {
                return Ok(true);
            }
            if !goes_on {
                return Ok(false);
            }
            cluster = self.checked(next)?;
        }
    }

    pub(crate) fn checked(&self, cluster: u32) -> io::Result<u32> {
        match (2..self.clusters).contains(&cluster) {
            true => Ok(cluster),
            false => Err(strange("a cluster lies behind the end")),
        }
    }

    /// So many clusters that nothing has.
    ///
    /// # Errors
    /// There are fewer.
    pub(crate) fn free_clusters(&self, wanted: u64) -> io::Result<Vec<u32>> {
        let mut found = Vec::new();
        self.each(|cluster, value| {
            if (found.len() as u64) < wanted && value == 0 {
                found.push(cluster);
            }
            (found.len() as u64) < wanted
        })?;
        match found.len() as u64 == wanted {
            true => Ok(found),
            false => Err(ErrorKind::StorageFull.into()),
        }
    }

    /// Joins clusters that nobody has. Where that fails they are free again, as far as the disk lets it.
    pub(crate) fn link(&self, chain: &[u32]) -> io::Result<()> {
        let next = chain.iter().skip(1).copied().chain([END]);
        let linked = self.change(chain.iter().copied().zip(next));
        linked.inspect_err(|_| drop(self.release(chain)))
    }

    /// Lets clusters go that no file has any more.
    pub(crate) fn release(&self, chain: &[u32]) -> io::Result<()> {
        self.change(chain.iter().map(|cluster| (*cluster, 0)))
    }

    /// Gives clusters these values, and waits for the disk.
    pub(crate) fn change(&self, values: impl Iterator<Item = (u32, u32)>) -> io::Result<()> {
        let mut sectors: BTreeMap<u64, Vec<(usize, u32)>> = BTreeMap::new();
        for (cluster, new) in values {
            let at = u64::from(self.checked(cluster)?) * ENTRY;
            sectors.entry(at / SECTOR).or_default().push(((at % SECTOR) as usize, new));
        }
        for table in self.tables.iter().rev() {
            for (sector, values) in &sectors {
                let (mut bytes, place) = ([0; SECTOR as usize], table + sector * SECTOR);
                self.area.read(&mut bytes, place)?;
                for (at, new) in values {
                    let kept = value(&bytes, *at) & !MASK;
                    bytes[*at..*at + 4].copy_from_slice(&(kept | new).to_le_bytes());
                }
                self.area.write(&bytes, place)?;
            }
        }
        self.area.sync()
    }

    /// All clusters with their values, until `go_on` says no.
    fn each(&self, mut go_on: impl FnMut(u32, u32) -> bool) -> io::Result<()> {
        let length = u64::from(self.clusters) * ENTRY;
        let mut bytes = vec![0; PART.min(length) as usize];
        let mut cluster = 0;
        for at in (0..length).step_by(PART as usize) {
            let part = &mut bytes[..(length - at).min(PART) as usize];
            self.area.read(part, self.tables[0] + at)?;
            for entry in part.chunks_exact(ENTRY as usize) {
                if cluster >= 2 && !go_on(cluster, value(entry, 0) & MASK) {
                    return Ok(());
                }
                cluster += 1;
            }
        }
        Ok(())
    }

    /// How many clusters are free.
    pub(crate) fn free(&self) -> io::Result<u32> {
        let mut free = 0;
        self.each(|_, value| {
            free += u32::from(value == 0);
            true
        })?;
        Ok(free)
    }

    /// FSI_Free_Count and FSI_Nxt_Free: hints, which fsck.vfat compares.
    pub(crate) fn count_free(&self) -> io::Result<()> {
        let (Some(place), mut info) = (self.info, [0; SECTOR as usize]) else { return Ok(()) };
        self.area.read(&mut info, place)?;
        if info[..4] != *b"RRaA" || info[484..488] != *b"rrAa" {
            return Ok(());
        }
        let free = self.free()?;
        info[488..492].copy_from_slice(&free.to_le_bytes());
        info[492..496].copy_from_slice(&u32::MAX.to_le_bytes());
        self.area.write(&info, place)?;
        self.area.sync()
    }
}

fn value(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

pub(crate) fn strange(what: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}
