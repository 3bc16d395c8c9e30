//! Reading a protected image so that every byte is what its root hash says: each block is hashed when it is read, and one that is
//! wrong is made anew from the error correction, as dm-verity does.
//!
//! What was read is what was checked: nothing is read a second time. A hash block is believed when the one above it says so, and at
//! most [`MOST_HASH_BLOCKS`] of them are kept.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};
use stack::verity_layout::{BLOCK, BLOCK_BYTES, HASHES_PER_BLOCK, Layout};

use crate::block::{Block, read_what_is_there};
use crate::correction::{self, Mate};
use crate::{Error, Part, Verity};

/// Of the tree, so many blocks stay in memory: 16 MiB, the hashes of 2 GiB of data.
const MOST_HASH_BLOCKS: usize = 4096;
const HASH: usize = 32;

/// A protected image that is read through its hash tree.
#[derive(Debug)]
pub struct Checked {
    file: File,
    verity: Verity,
    salted: Sha256,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Hash blocks that were checked.
    hashes: HashMap<u64, Block>,
    /// Blocks that are wrong in the file, as they should be.
    healed: BTreeMap<u64, Block>,
    /// The data block that was read last: file systems read in smaller pieces.
    last: Option<(u64, Block)>,
}

impl Checked {
    /// Reads `file` by `verity`, which comes from where nobody can change it. Nothing is read yet.
    pub fn new(file: File, verity: Verity) -> Self {
        let salted = Sha256::new().chain_update(verity.salt);
        Checked { file, verity, salted, known: Mutex::default() }
    }

    /// Fills `bytes` from `offset`, in bytes.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for a block that is wrong and that error correction does not mend; [`Error::Short`] for what lies behind
    /// the data; [`Error::Io`].
    pub fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), Error> {
        let (end, data) = (offset.saturating_add(bytes.len() as u64), self.verity.layout.hash_offset);
        if end > data {
            return Err(Error::Short { found: data, expected: end });
        }
        let (mut rest, mut position) = (bytes, offset);
        while !rest.is_empty() {
            let within = (position % BLOCK) as usize;
            let length = rest.len().min(BLOCK_BYTES - within);
            let (piece, after) = rest.split_at_mut(length);
            piece.copy_from_slice(&self.block(position / BLOCK)?[within..within + length]);
            (rest, position) = (after, position + length as u64);
        }
        Ok(())
    }

    /// How many blocks were wrong in the file so far, and were mended in what was read. The file itself stays as it is.
    pub fn healed(&self) -> u64 {
        self.known().healed.len() as u64
    }

    /// The blocks that are wrong in the file, with what should be there.
    pub(crate) fn into_healed(self) -> BTreeMap<u64, Block> {
        self.known.into_inner().unwrap_or_else(PoisonError::into_inner).healed
    }

    /// A block of the data or of the tree, checked and, where it must be, mended.
    pub(crate) fn block(&self, number: u64) -> Result<Block, Error> {
        if let Some(block) = self.known().get(number) {
            return Ok(block);
        }
        let expected = match parent(&self.verity.layout, number) {
            None => self.verity.root_hash,
            Some((above, slot)) => hash_in(&*self.block(above)?, slot),
        };
        let found = self.raw(number)?;
        let block = if self.hash(&found) == expected {
            found
        } else {
            let mended =
                correction::mend(&self.file, &self.verity.layout, number, &|mate| self.judge(mate), &|it| {
                    self.hash(it) == expected
                })?;
            let mended = mended.ok_or_else(|| Error::Mismatch(self.part(number)))?;
            self.known().healed.insert(number, mended.clone());
            mended
        };
        self.known().put(number, &block, number >= self.verity.layout.data_blocks);
        Ok(block)
    }

    /// What a block that stands in the same codewords is worth. Nothing is mended for that, or one wrong block would lead to
    /// the next without an end.
    fn judge(&self, number: u64) -> Result<(Mate, Block), Error> {
        if let Some(block) = self.known().get(number) {
            return Ok((Mate::Right, block));
        }
        let found = self.raw(number)?;
        let expected = match parent(&self.verity.layout, number) {
            None => self.verity.root_hash,
            Some((above, slot)) => match self.judge(above)? {
                (Mate::Right, above) => hash_in(&above, slot),
                _ => return Ok((Mate::Unknown, found)),
            },
        };
        let right = self.hash(&found) == expected;
        if right && number >= self.verity.layout.data_blocks {
            self.known().put(number, &found, true);
        }
        Ok((if right { Mate::Right } else { Mate::Wrong }, found))
    }

    fn hash(&self, block: &[u8; BLOCK_BYTES]) -> [u8; HASH] {
        self.salted.clone().chain_update(block).finalize().into()
    }

    fn raw(&self, number: u64) -> Result<Block, Error> {
        let mut block = [0; BLOCK_BYTES];
        read_what_is_there(&self.file, &mut block, number * BLOCK)?;
        Ok(Arc::new(block))
    }

    fn part(&self, block: u64) -> Part {
        if block < self.verity.layout.data_blocks { Part::Data { block } } else { Part::Tree { block } }
    }

    /// Nothing panics while it holds the lock.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn get(&self, number: u64) -> Option<Block> {
        let last = self.last.as_ref().filter(|(known, _)| *known == number).map(|(_, block)| block);
        last.or_else(|| self.hashes.get(&number)).or_else(|| self.healed.get(&number)).cloned()
    }

    fn put(&mut self, number: u64, block: &Block, is_hash: bool) {
        if !is_hash {
            self.last = Some((number, block.clone()));
            return;
        }
        if self.hashes.len() >= MOST_HASH_BLOCKS {
            self.hashes.clear();
        }
        self.hashes.insert(number, block.clone());
    }
}

/// The hash block that has the hash of a block, and which of its 128 that is; `None` for the block whose hash is the root.
fn parent(layout: &Layout, number: u64) -> Option<(u64, usize)> {
    let levels = layout.levels();
    let (index, above) = match levels.iter().position(|level| level.contains(&number)) {
        None => (number, 0),
        Some(level) => (number - levels[level].start, level + 1),
    };
    let above = levels.get(above)?;
    Some((above.start + index / HASHES_PER_BLOCK, (index % HASHES_PER_BLOCK) as usize))
}

fn hash_in(block: &[u8; BLOCK_BYTES], slot: usize) -> [u8; HASH] {
    let mut hash = [0; HASH];
    hash.copy_from_slice(&block[slot * HASH..][..HASH]);
    hash
}
