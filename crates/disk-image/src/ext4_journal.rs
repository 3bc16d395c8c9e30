//! An ext4 that was not unmounted, read as the kernel would find it: blocks that were committed to the journal stand there in the place of
//! those behind it. Nothing is written. Journals with checksums are left to `ext4-view`, which reads no others.
//!
//! Formats: `Documentation/filesystems/ext4/journal.rst`, which is big-endian, `super.rst` and `ifork.rst`, which are not.

use std::collections::BTreeMap;

use ext4_view::Ext4Read;

use crate::section::Section;

type Failure = Box<dyn std::error::Error + Send + Sync + 'static>;

const SUPERBLOCK: u64 = 1024;
/// `s_feature_incompat`, and of it "needs recovery".
const INCOMPAT: u64 = 0x60;
const RECOVER: u8 = 4;
/// The first bytes of every block of the journal that is none of its copies.
const MAGIC: [u8; 4] = 0xc03b_3998_u32.to_be_bytes();
const HEADER: usize = 12;
/// `h_blocktype`.
const DESCRIPTOR: u32 = 1;
const COMMIT: u32 = 2;
const SUPERBLOCK_V2: u32 = 4;
const REVOKE: u32 = 5;
/// `s_feature_incompat` of a journal: revocations, and numbers of blocks with 64 bits.
const REVOKES: u32 = 1;
const WIDE: u32 = 2;
/// `t_flags`.
const ESCAPED: u16 = 1;
const SAME_UUID: u16 = 2;
const LAST: u16 = 8;
/// Extents of a journal lie in its inode, or one step below.
const DEEPEST: u16 = 2;

/// A file system with what its journal has.
pub(crate) struct Replayed {
    section: Section,
    block: u64,
    /// By number of the block in the file system.
    copies: BTreeMap<u64, BlockCopy>,
    /// The journal is played: nothing of it is left to anybody else.
    played: bool,
}

/// A block that the journal has.
#[derive(Debug, Clone, Copy)]
struct BlockCopy {
    /// Where it begins in the partition.
    at: u64,
    /// Its first bytes are [`MAGIC`], which cannot stand there in the journal.
    escaped: bool,
}

impl Replayed {
    /// Reads the journal, where there is something in it.
    pub(crate) fn new(mut section: Section) -> Replayed {
        let journal = Journal::open(&mut section);
        let (block, found) = match journal {
            // What is damaged or unknown is told by whoever reads the file system.
            None => (SUPERBLOCK, None),
            Some(mut journal) => (journal.block, journal.copies()),
        };
        Replayed { section, block, played: found.is_some(), copies: found.unwrap_or_default() }
    }

    fn read_block(&mut self, at: u64, piece: &mut [u8]) -> Result<(), Failure> {
        let Some(copy) = self.copies.get(&(at / self.block)) else { return self.section.read(at, piece) };
        let inside = at % self.block;
        self.section.read(copy.at + inside, piece)?;
        if copy.escaped {
            let first = MAGIC.iter().skip(inside.min(4) as usize);
            piece.iter_mut().zip(first).for_each(|(byte, magic)| *byte = *magic);
        }
        Ok(())
    }
}

impl Ext4Read for Replayed {
    fn read(&mut self, start: u64, buffer: &mut [u8]) -> Result<(), Failure> {
        let end = start.checked_add(buffer.len() as u64).ok_or("a place behind the partition")?;
        if self.copies.range(start / self.block..end.div_ceil(self.block)).next().is_none() {
            self.section.read(start, buffer)?;
        } else {
            let (mut at, mut rest) = (start, &mut *buffer);
            while !rest.is_empty() {
                let count = (self.block - at % self.block).min(rest.len() as u64);
                let (piece, behind) = rest.split_at_mut(count as usize);
                self.read_block(at, piece)?;
                (at, rest) = (at + count, behind);
            }
        }
        let needs_recovery =
            (SUPERBLOCK + INCOMPAT).checked_sub(start).and_then(|at| buffer.get_mut(at as usize));
        if let Some(flags) = needs_recovery.filter(|_| self.played) {
            *flags &= !RECOVER;
        }
        Ok(())
    }
}

/// A journal that has to be played.
struct Journal<'a> {
    section: &'a mut Section,
    /// Bytes of a block.
    block: u64,
    /// Of each run of its blocks the first one's place in the journal, how many there are, and the first one's place in the file system.
    runs: Vec<(u64, u64, u64)>,
    wide: bool,
    /// The first block behind its superblock, and the one behind its end.
    around: (u64, u64),
}

impl Journal<'_> {
    /// `None` where there is nothing to play, and where this is not for us.
    fn open(section: &mut Section) -> Option<Journal<'_>> {
        let mut found = [0; 1024];
        section.read(SUPERBLOCK, &mut found).ok()?;
        let le = |at: usize| u32_le(&found, at);
        let is_ext4 = found[0x38..0x3a] == [0x53, 0xef];
        let has_journal = le(0x5c)? & 4 != 0;
        let has_checksums = le(0x64)? & 0x400 != 0;
        let inode_is_kept = found[0xfd] == 1;
        if !is_ext4 || !has_journal || has_checksums || !inode_is_kept || le(0x60)? & u32::from(RECOVER) == 0
        {
            return None;
        }
        let block = SUPERBLOCK << le(0x18).filter(|it| *it <= 6)?;
        let mut journal = Journal { section, block, runs: Vec::new(), wide: false, around: (0, 0) };
        journal.add_runs(&found[0x10c..0x10c + 60], DEEPEST)?;
        Some(journal)
    }

    /// The runs of an extent node.
    fn add_runs(&mut self, node: &[u8], deepest: u16) -> Option<()> {
        let (magic, count, depth) = (u16_le(node, 0)?, u16_le(node, 2)?, u16_le(node, 6)?);
        if magic != 0xf30a || depth >= deepest {
            return None;
        }
        for entry in node.get(HEADER..)?.chunks_exact(12).take(count.into()) {
            let first = u32_le(entry, 0)?;
            if depth == 0 {
                let place = u64::from(u16_le(entry, 6)?) << 32 | u64::from(u32_le(entry, 8)?);
                self.runs.push((first.into(), u16_le(entry, 4)?.into(), place));
            } else {
                let place = u64::from(u16_le(entry, 8)?) << 32 | u64::from(u32_le(entry, 4)?);
                let mut below = vec![0; self.block as usize];
                self.section.read(place.checked_mul(self.block)?, &mut below).ok()?;
                self.add_runs(&below, depth)?;
            }
        }
        Some(())
    }

    /// Where a block of the journal begins in the partition.
    fn place(&self, number: u64) -> Option<u64> {
        let run = self.runs.iter().find(|(first, count, _)| (*first..first + count).contains(&number))?;
        (run.2 + number - run.0).checked_mul(self.block)
    }

    fn read(&mut self, number: u64) -> Option<Vec<u8>> {
        let mut bytes = vec![0; self.block as usize];
        let at = self.place(number)?;
        self.section.read(at, &mut bytes).ok()?;
        Some(bytes)
    }

    /// The blocks that were committed, the last of each; `None` of a journal that is damaged or of another kind.
    fn copies(&mut self) -> Option<BTreeMap<u64, BlockCopy>> {
        let superblock = self.read(0)?;
        let be = |at: usize| u32_be(&superblock, at);
        let features = be(0x28)?;
        let is_known = superblock.starts_with(&MAGIC)
            && be(4)? == SUPERBLOCK_V2
            && u64::from(be(0xc)?) == self.block
            && features & !(REVOKES | WIDE) == 0;
        let (first, end) = (u64::from(be(0x14)?), u64::from(be(0x10)?));
        let (sequence, start) = (be(0x18)?, u64::from(be(0x1c)?));
        if !is_known || first == 0 || first >= end || start >= end {
            return None;
        }
        (self.wide, self.around) = (features & WIDE != 0, (first, end));
        match start {
            0 => Some(BTreeMap::new()),
            start => Some(self.transactions(sequence, start)?.left()),
        }
    }

    fn after(&self, number: u64) -> u64 {
        if number + 1 < self.around.1 { number + 1 } else { self.around.0 }
    }

    /// What was committed from a block on; it ends where a block is not of the next transaction.
    fn transactions(&mut self, sequence: u32, start: u64) -> Option<Committed> {
        let (mut committed, mut open) = (Committed::default(), Transaction::default());
        let (mut number, mut read) = (start, 0);
        while read < self.around.1 {
            let block = self.read(number)?;
            let is_next = u32_be(&block, 8)? == sequence.wrapping_add(committed.count);
            if !block.starts_with(&MAGIC) || !is_next {
                break;
            }
            (number, read) = (self.after(number), read + 1);
            match u32_be(&block, 4)? {
                DESCRIPTOR => {
                    for (target, escaped) in tags(&block, self.wide) {
                        open.copies.push((target, BlockCopy { at: self.place(number)?, escaped }));
                        (number, read) = (self.after(number), read + 1);
                    }
                }
                REVOKE => open.revoked.extend(revoked(&block, self.wide)),
                COMMIT => committed.add(std::mem::take(&mut open)),
                _ => break,
            }
        }
        Some(committed)
    }
}

/// What one transaction says.
#[derive(Default)]
struct Transaction {
    copies: Vec<(u64, BlockCopy)>,
    revoked: Vec<u64>,
}

/// What all of them say, each with its place among them.
#[derive(Default)]
struct Committed {
    count: u32,
    copies: Vec<(u32, u64, BlockCopy)>,
    revoked: BTreeMap<u64, u32>,
}

impl Committed {
    fn add(&mut self, transaction: Transaction) {
        let place = self.count;
        self.copies.extend(transaction.copies.into_iter().map(|(target, copy)| (place, target, copy)));
        self.revoked.extend(transaction.revoked.into_iter().map(|target| (target, place)));
        self.count += 1;
    }

    /// A revocation takes back what its transaction and those before it say of the block.
    fn left(self) -> BTreeMap<u64, BlockCopy> {
        let Committed { copies, revoked, .. } = self;
        let stays =
            |(place, target, _): &(u32, u64, BlockCopy)| revoked.get(target).is_none_or(|it| place > it);
        copies.into_iter().filter(stays).map(|(_, target, copy)| (target, copy)).collect()
    }
}

/// The blocks that a descriptor has copies of, in the order in which these follow, and whether each is escaped.
fn tags(block: &[u8], wide: bool) -> Vec<(u64, bool)> {
    let (mut at, mut found) = (HEADER, Vec::new());
    let length = if wide { 12 } else { 8 };
    while let Some(tag) = block.get(at..at + length) {
        let flags = u16::from_be_bytes([tag[6], tag[7]]);
        let high = if wide { u32_be(tag, 8) } else { None };
        let target = u64::from(high.unwrap_or(0)) << 32 | u64::from(u32_be(tag, 0).unwrap_or(0));
        found.push((target, flags & ESCAPED != 0));
        if flags & LAST != 0 {
            break;
        }
        at += length + if flags & SAME_UUID == 0 { 16 } else { 0 };
    }
    found
}

/// The blocks that a revocation names; `r_count` is the length of all of it.
fn revoked(block: &[u8], wide: bool) -> Vec<u64> {
    let end = u32_be(block, HEADER).map_or(0, |it| it as usize).min(block.len());
    let numbers = block.get(HEADER + 4..end).unwrap_or_default();
    let number = |bytes: &[u8]| bytes.iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
    numbers.chunks_exact(if wide { 8 } else { 4 }).map(number).collect()
}

fn u32_be(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

fn u32_le(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn u16_le(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes)
}
