//! The hash tree: every block's hash in the level above, up to a level of one block, whose hash is the root.
//!
//! A level is made by hashing the one below, and both live in the file, so that memory does not grow with the image. A unit
//! of work is one hash block: 128 blocks read, 128 hashes written or compared.
//!
//! Source: the kernel's `Documentation/admin-guide/device-mapper/verity.rst`, hash type 1.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use sha2::{Digest as _, Sha256};

use crate::{Error, Part, Verity, Work, units};
use stack::verity_layout::{BLOCK, BLOCK_BYTES, HASHES_PER_BLOCK, Layout};

const HASH: usize = 32;

/// A hash block of the tree, and the blocks of the file whose hashes it holds.
struct Node {
    block: u64,
    children: Range<u64>,
}

/// A level of the tree, and the blocks beneath it: the data, or another level.
struct Step {
    below: Range<u64>,
    level: Range<u64>,
}

impl Step {
    fn nodes(&self) -> u64 {
        self.level.end - self.level.start
    }

    fn node(&self, index: u64) -> Node {
        let first = self.below.start + index * HASHES_PER_BLOCK;
        let end = self.below.end.min(first + HASHES_PER_BLOCK);
        Node { block: self.level.start + index, children: first..end }
    }
}

/// The levels in the order in which they are made, the leaves first.
fn steps(layout: &Layout) -> Vec<Step> {
    let levels = layout.levels();
    let below = std::iter::once(0..layout.data_blocks).chain(levels.iter().cloned());
    below.zip(levels.iter().cloned()).map(|(below, level)| Step { below, level }).collect()
}

/// Writes the tree of the data in `file`; gives the root hash.
pub fn write(file: &File, layout: &Layout, salt: &[u8; 32], work: &Work) -> Result<[u8; 32], Error> {
    let hasher = Hasher::new(file, salt);
    for step in steps(layout) {
        units::for_each(step.nodes(), work.jobs, Vec::new, |index, buffer| {
            let Node { block, children } = step.node(index);
            let bytes = (children.end - children.start) * BLOCK;
            let hashes = hasher.hash_all(children, buffer)?;
            (work.progress)(bytes);
            file.write_all_at(&hashes, block * BLOCK).map_err(Error::io("write the hash tree", block * BLOCK))
        })?;
    }
    hasher.hash(top(layout))
}

/// Checks the tree from its root down to the data, so that no hash is believed that has not itself been checked.
pub fn check(file: &File, verity: &Verity, work: &Work) -> Result<(), Error> {
    let hasher = Hasher::new(file, &verity.salt);
    let top = top(&verity.layout);
    if hasher.hash(top)? != verity.root_hash {
        return Err(mismatch(&verity.layout, top));
    }
    for step in steps(&verity.layout).iter().rev() {
        units::for_each(step.nodes(), work.jobs, Vec::new, |index, buffer| {
            let Node { block, children } = step.node(index);
            let (first, bytes) = (children.start, (children.end - children.start) * BLOCK);
            let found = hasher.hash_all(children, buffer)?;
            (work.progress)(bytes);
            let expected = read(file, block..block + 1, buffer)?;
            match found
                .chunks(HASH)
                .zip(expected.chunks(HASH))
                .position(|(found, expected)| found != expected)
            {
                Some(child) => Err(mismatch(&verity.layout, first + child as u64)),
                None => Ok(()),
            }
        })?;
    }
    Ok(())
}

/// The block whose hash is the root: the top of the tree, or the data when that is a single block.
fn top(layout: &Layout) -> u64 {
    layout.levels().last().map_or(0, |level| level.start)
}

fn mismatch(layout: &Layout, block: u64) -> Error {
    Error::Mismatch(if block < layout.data_blocks { Part::Data { block } } else { Part::Tree { block } })
}

/// Hashes blocks of a file, the salt first.
struct Hasher<'a> {
    file: &'a File,
    salted: Sha256,
}

impl<'a> Hasher<'a> {
    fn new(file: &'a File, salt: &[u8; 32]) -> Self {
        Self { file, salted: Sha256::new().chain_update(salt) }
    }

    fn hash(&self, block: u64) -> Result<[u8; HASH], Error> {
        let mut buffer = Vec::new();
        let bytes = read(self.file, block..block + 1, &mut buffer)?;
        Ok(self.salted.clone().chain_update(bytes).finalize().into())
    }

    /// The hash block for up to 128 `blocks`, filled up with zeros.
    fn hash_all(&self, blocks: Range<u64>, buffer: &mut Vec<u8>) -> Result<[u8; BLOCK_BYTES], Error> {
        let mut hashes = [0; BLOCK_BYTES];
        let bytes = read(self.file, blocks, buffer)?;
        for (block, hash) in bytes.chunks(BLOCK_BYTES).zip(hashes.chunks_mut(HASH)) {
            hash.copy_from_slice(&self.salted.clone().chain_update(block).finalize());
        }
        Ok(hashes)
    }
}

fn read<'a>(file: &File, blocks: Range<u64>, buffer: &'a mut Vec<u8>) -> Result<&'a [u8], Error> {
    let offset = blocks.start * BLOCK;
    buffer.resize((blocks.end - blocks.start) as usize * BLOCK_BYTES, 0);
    file.read_exact_at(buffer, offset).map_err(Error::io("read", offset))?;
    Ok(buffer)
}
