//! Where data, hash tree and error correction are in a protected image: pure, from the number of data blocks and of roots
//! alone. The builder writes by it, and init opens by it, so that nothing is ever read from the image's own superblock.
//!
//! ```text
//! data          superblock   hash blocks                 Reed-Solomon parity
//! data_blocks   1 block      top level first, leaf last  (after the end of the tree)
//! 0             hash_offset                              fec.offset                   total_len
//! ```
//!
//! The formats: the kernel's `Documentation/admin-guide/device-mapper/verity.rst`, and `drivers/md/dm-verity-fec.c`.

use std::fmt;
use std::ops::{Range, RangeInclusive};

/// The size of a data block and of a hash block, in bytes.
pub const BLOCK: u64 = 4096;

/// Parity bytes for each codeword, as veritysetup chooses them when it is not told.
pub const DEFAULT_ROOTS: u8 = 2;

/// The same as [`BLOCK`], for lengths in memory.
pub const BLOCK_BYTES: usize = 4096;

/// A SHA-256 takes 32 bytes, so that a hash block has this many.
pub const HASHES_PER_BLOCK: u64 = 128;

/// Data of 4 EiB. Tree and parity add less than a seventh, and every offset still fits the kernel's signed 64 bits.
pub(crate) const MAX_DATA_BLOCKS: u64 = 1 << 50;

/// What `drivers/md/dm-verity-fec.h` takes: codewords of 255 bytes with 231 to 253 bytes of data.
pub const ROOTS: RangeInclusive<u8> = 2..=24;

/// A codeword of Reed-Solomon over GF(256), in bytes.
const CODEWORD: u64 = 255;

/// What no layout can be made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unprotectable {
    /// A number of data blocks that is 0, or more than the format can number.
    Size {
        /// The number of data blocks asked for.
        data_blocks: u64,
    },
    /// A number of parity bytes that the kernel does not take.
    Roots(u8),
}

impl fmt::Display for Unprotectable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { data_blocks } => {
                write!(f, "{data_blocks} data blocks cannot be protected: 1 to {MAX_DATA_BLOCKS} can")
            }
            Self::Roots(roots) => {
                let (low, high) = (ROOTS.start(), ROOTS.end());
                write!(f, "error correction with {roots} roots: dm-verity takes {low} to {high}")
            }
        }
    }
}

impl std::error::Error for Unprotectable {}

/// Where everything is. Made by [`Layout::new`] alone, so that its parts always fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Layout {
    /// Blocks of data, from the start of the file.
    pub data_blocks: u64,
    /// Where the superblock is, in bytes: at the end of the data.
    pub hash_offset: u64,
    /// Blocks of the hash tree, from the block after the superblock: 0 for a single block of data, whose hash is the root.
    pub hash_blocks: u64,
    /// The error correction, if any.
    pub fec: Option<Fec>,
    /// The length of the whole file in bytes.
    pub total_len: u64,
}

/// Forward error correction over data and hash tree, but not the superblock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fec {
    /// Where the parity begins, in bytes: at the end of the hash tree. `fec_start` of the table is this in blocks.
    pub offset: u64,
    /// Parity bytes for each codeword of 255 bytes: `fec_roots` of the table.
    pub roots: u8,
    /// Blocks that are protected, the data's and the tree's without the superblock: `fec_blocks` of the table.
    pub blocks: u64,
    /// How many blocks of each of the 253 (with 2 roots) equal parts that the protected blocks are cut into: byte `k` of
    /// every part together are codeword `k`.
    pub rounds: u64,
}

impl Layout {
    /// The layout for `data_blocks` blocks of data, with `fec_roots` parity bytes for each codeword or none.
    ///
    /// # Errors
    /// [`Unprotectable::Size`] for no block or more than the format can number; [`Unprotectable::Roots`] for other than 2 to 24.
    pub fn new(data_blocks: u64, fec_roots: Option<u8>) -> Result<Self, Unprotectable> {
        if !(1..=MAX_DATA_BLOCKS).contains(&data_blocks) {
            return Err(Unprotectable::Size { data_blocks });
        }
        let hash_blocks = level_sizes(data_blocks).iter().sum::<u64>();
        let tree_end = (data_blocks + 1 + hash_blocks) * BLOCK;
        let fec = fec_roots.map(|roots| Fec::new(tree_end, roots, data_blocks + hash_blocks)).transpose()?;
        Ok(Self {
            data_blocks,
            hash_offset: data_blocks * BLOCK,
            hash_blocks,
            fec,
            total_len: fec.map_or(tree_end, |fec| tree_end + fec.parity_len()),
        })
    }

    /// The layout of a file of `total_len` bytes. Every number of roots gives another length; `None` when none gives this.
    pub fn of_length(data_blocks: u64, total_len: u64) -> Result<Option<Self>, Unprotectable> {
        for roots in std::iter::once(None).chain(ROOTS.map(Some)) {
            let layout = Self::new(data_blocks, roots)?;
            if layout.total_len == total_len {
                return Ok(Some(layout));
            }
        }
        Ok(None)
    }

    /// The block that the tree begins with: `hash_start_block` of the table.
    pub fn hash_start_block(&self) -> u64 {
        self.data_blocks + 1
    }

    /// The blocks of the file that each level of the tree takes, the leaves first. In the file the top stands first.
    pub fn levels(&self) -> Vec<Range<u64>> {
        let mut end = self.hash_start_block() + self.hash_blocks;
        let from_the_end = |blocks| {
            let level = end - blocks..end;
            end = level.start;
            level
        };
        level_sizes(self.data_blocks).into_iter().map(from_the_end).collect()
    }
}

impl Fec {
    fn new(offset: u64, roots: u8, blocks: u64) -> Result<Self, Unprotectable> {
        if !ROOTS.contains(&roots) {
            return Err(Unprotectable::Roots(roots));
        }
        let rounds = blocks.div_ceil(CODEWORD - u64::from(roots));
        Ok(Self { offset, roots, blocks, rounds })
    }

    /// The number of codewords. Each takes one byte of every part.
    pub fn codewords(&self) -> u64 {
        self.rounds * BLOCK
    }

    /// Bytes of data in a codeword, and with that the number of parts.
    pub fn parts(&self) -> u64 {
        CODEWORD - u64::from(self.roots)
    }

    /// The length of the parity in bytes, a multiple of [`BLOCK`].
    pub(crate) fn parity_len(&self) -> u64 {
        self.codewords() * u64::from(self.roots)
    }
}

/// The number of hash blocks of each level, the leaves first, up to the level of one block.
fn level_sizes(data_blocks: u64) -> Vec<u64> {
    let above = |below: &u64| (*below > 1).then(|| below.div_ceil(HASHES_PER_BLOCK));
    std::iter::successors(Some(data_blocks), above).skip(1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_grows_a_level_when_the_one_below_is_full() {
        let cases: [(u64, &[(u64, u64)]); 5] = [
            (1, &[]),
            (2, &[(3, 4)]),
            (128, &[(129, 130)]),
            (129, &[(131, 133), (130, 131)]),
            (16_385, &[(16_389, 16_518), (16_387, 16_389), (16_386, 16_387)]),
        ];
        for (data_blocks, expected) in cases {
            let levels = Layout::new(data_blocks, None).unwrap().levels();
            let levels: Vec<_> = levels.iter().map(|level| (level.start, level.end)).collect();
            assert_eq!(levels, expected, "{data_blocks} blocks");
        }
    }

    #[test]
    fn error_correction_follows_the_tree_and_does_not_count_the_superblock() {
        let layout = Layout::new(300, Some(2)).unwrap();
        assert_eq!((layout.hash_offset, layout.hash_blocks), (300 * BLOCK, 4));
        let fec = layout.fec.unwrap();
        assert_eq!((fec.offset, fec.blocks, fec.rounds), (305 * BLOCK, 304, 2));
        assert_eq!(layout.total_len, 309 * BLOCK);
    }

    #[test]
    fn the_length_of_the_file_tells_the_number_of_roots() {
        for data_blocks in [1, 2, 128, 300, 100_000] {
            for roots in std::iter::once(None).chain(ROOTS.map(Some)) {
                let layout = Layout::new(data_blocks, roots).unwrap();
                assert_eq!(Layout::of_length(data_blocks, layout.total_len).unwrap(), Some(layout));
            }
        }
        assert_eq!(Layout::of_length(300, 308 * BLOCK).unwrap(), None);
    }

    #[test]
    fn what_cannot_be_protected_is_refused() {
        assert!(matches!(Layout::new(0, None), Err(Unprotectable::Size { data_blocks: 0 })));
        assert!(matches!(Layout::new(u64::MAX, None), Err(Unprotectable::Size { .. })));
        for roots in [0, 1, 25, 255] {
            assert!(
                matches!(Layout::new(1, Some(roots)), Err(Unprotectable::Roots(found)) if found == roots)
            );
        }
    }

    #[test]
    fn the_largest_layout_still_fits_the_offsets_of_the_kernel() {
        let layout = Layout::new(MAX_DATA_BLOCKS, Some(*ROOTS.end())).unwrap();
        assert!(i64::try_from(layout.total_len).is_ok());
        assert_eq!(layout.levels().last().map(|top| top.end - top.start), Some(1));
    }
}
