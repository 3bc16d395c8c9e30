//! The listing of one directory: runs of up to 256 entries behind a header (`squashfs.rst`, section 3.3).
//!
//! The entries of a run have their inodes in one metadata block, and inode numbers near the header's. Large directories
//! also get an index, so that the kernel need not read a whole listing to find one name.

use super::metadata::{MetadataPosition, MetadataWriter};
use crate::compressor::BlockCompressor;
use crate::superblock::METADATA_SIZE;

/// The most entries that one header counts.
const RUN_MAX: usize = 256;

/// One name of a directory.
pub(super) struct Name<'a> {
    pub(super) name: &'a [u8],
    pub(super) inode: MetadataPosition,
    pub(super) number: u32,
    pub(super) basic_type: u16,
}

/// Where a listing was put.
#[derive(Clone, Debug, Default)]
pub(super) struct Listing {
    pub(super) place: MetadataPosition,
    /// The size of the listing in bytes, without the 3 that an inode adds for `.` and `..`.
    pub(super) size: u64,
    /// The encoded index, and how many entries it has.
    pub(super) index: Vec<u8>,
    pub(super) index_count: u16,
}

/// Writes the listing of `names`, which are sorted, into the directory table.
pub(super) fn write(
    names: &[Name<'_>],
    table: &mut MetadataWriter,
    block_compressor: &mut BlockCompressor,
) -> Listing {
    let mut listing = Listing { place: table.place(), ..Listing::default() };
    let mut indexed = listing.place.block;
    let mut left = names;
    while !left.is_empty() {
        let (run, rest) = left.split_at(run_length(left));
        let block = table.place().block;
        if block != indexed && listing.index_count < u16::MAX {
            indexed = block;
            listing.index_count += 1;
            listing.index.extend_from_slice(&(listing.size as u32).to_le_bytes());
            listing.index.extend_from_slice(&block.to_le_bytes());
            listing.index.extend_from_slice(&(run[0].name.len() as u32 - 1).to_le_bytes());
            listing.index.extend_from_slice(run[0].name);
        }
        let encoded = encode_run(run);
        listing.size += encoded.len() as u64;
        table.write(&encoded, block_compressor);
        left = rest;
    }
    listing
}

/// How many of `names` fit behind one header: at most 256, at most one metadata block (so that every block of a large
/// listing can be indexed), with inodes in one block and numbers within 16 signed bits of the first.
fn run_length(names: &[Name<'_>]) -> usize {
    let first = &names[0];
    let mut bytes = 12;
    names
        .iter()
        .take(RUN_MAX)
        .take_while(|name| {
            bytes += 8 + name.name.len();
            let distance = i64::from(name.number) - i64::from(first.number);
            name.inode.block == first.inode.block && i16::try_from(distance).is_ok() && bytes <= METADATA_SIZE
        })
        .count()
}

fn encode_run(run: &[Name<'_>]) -> Vec<u8> {
    let first = &run[0];
    let mut bytes = Vec::with_capacity(12 + run.iter().map(|name| 8 + name.name.len()).sum::<usize>());
    for word in [run.len() as u32 - 1, first.inode.block, first.number] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    for name in run {
        // A difference in 16 bits, two's complement.
        let distance = name.number.wrapping_sub(first.number) as u16;
        for half in [name.inode.offset, distance, name.basic_type, name.name.len() as u16 - 1] {
            bytes.extend_from_slice(&half.to_le_bytes());
        }
        bytes.extend_from_slice(name.name);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u32, block: u32) -> Name<'static> {
        Name { name: b"n", inode: MetadataPosition { block, offset: 0 }, number, basic_type: 2 }
    }

    #[test]
    fn runs_end_at_256_entries_at_another_block_and_at_far_numbers() {
        let many: Vec<_> = (0..300).map(|number| name(number, 0)).collect();
        assert_eq!(run_length(&many), 256);
        assert_eq!(run_length(&[name(1, 0), name(2, 0), name(3, 9)]), 2);
        assert_eq!(run_length(&[name(1, 0), name(32_768, 0), name(32_769, 0)]), 2);
        assert_eq!(run_length(&[name(40_000, 0), name(7_232, 0), name(7_231, 0)]), 2);
    }

    #[test]
    fn a_run_fits_one_metadata_block() {
        let long = [b'x'; 255];
        let names: Vec<_> = (0..64).map(|number| Name { name: &long, ..name(number, 0) }).collect();
        assert_eq!(run_length(&names), (METADATA_SIZE - 12) / 263);
    }
}
