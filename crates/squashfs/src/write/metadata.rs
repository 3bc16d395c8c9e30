//! Metadata blocks: up to 8 KiB, compressed, each after a 16-bit word with its size on disk.
//!
//! Bit 15 of that word is set when the block is stored as it is. Tables of fixed-size entries (fragments, export, ids)
//! are metadata blocks followed by an index of their positions (`squashfs.rst`, sections 3.4 to 3.6).

use std::io::Write;

use super::sink::Sink;
use crate::Error;
use crate::compressor::BlockCompressor;
use crate::superblock::METADATA_SIZE;

/// Set in the size word of a block that is stored as it is.
pub(super) const STORED: u16 = 1 << 15;

/// A place in a table: where its block starts on disk, relative to the table, and the offset after decompression.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct MetadataPosition {
    pub(super) block: u32,
    pub(super) offset: u16,
}

impl MetadataPosition {
    /// As inodes and the superblock refer to each other: the block shifted left by 16, plus the offset.
    pub(super) fn reference(self) -> u64 {
        u64::from(self.block) << 16 | u64::from(self.offset)
    }
}

/// Packs what is written into metadata blocks, in memory.
#[derive(Default)]
pub(super) struct MetadataWriter {
    block: Vec<u8>,
    table: Vec<u8>,
}

impl MetadataWriter {
    /// Where the next byte will be. Tables over 4 GiB are refused when they are finished, so the cast loses nothing.
    pub(super) fn place(&self) -> MetadataPosition {
        MetadataPosition { block: self.table.len() as u32, offset: self.block.len() as u16 }
    }

    pub(super) fn write(&mut self, mut bytes: &[u8], block_compressor: &mut BlockCompressor) {
        while !bytes.is_empty() {
            let room = METADATA_SIZE - self.block.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.block.extend_from_slice(now);
            bytes = later;
            if self.block.len() == METADATA_SIZE {
                self.flush(block_compressor);
            }
        }
    }

    /// The compressed table.
    pub(super) fn finish(mut self, block_compressor: &mut BlockCompressor) -> Result<Vec<u8>, Error> {
        if !self.block.is_empty() {
            self.flush(block_compressor);
        }
        if u32::try_from(self.table.len()).is_err() {
            return Err(Error::Limit("the tree has more metadata than the format's 4 GiB: split it".into()));
        }
        Ok(self.table)
    }

    fn flush(&mut self, block_compressor: &mut BlockCompressor) {
        append_block(&mut self.table, &self.block, block_compressor);
        self.block.clear();
    }
}

fn append_block(table: &mut Vec<u8>, block: &[u8], block_compressor: &mut BlockCompressor) {
    let (flag, bytes) = match block_compressor.compress(block) {
        Some(compressed) => (0, compressed),
        None => (STORED, block),
    };
    table.extend_from_slice(&(flag | bytes.len() as u16).to_le_bytes());
    table.extend_from_slice(bytes);
}

/// Writes the blocks of a table, and gives the positions of its blocks in the image.
pub(super) fn write_blocks<W: Write>(
    sink: &mut Sink<W>,
    block_compressor: &mut BlockCompressor,
    entries: &[u8],
) -> Result<Vec<u64>, Error> {
    let mut positions = Vec::new();
    let mut encoded = Vec::with_capacity(METADATA_SIZE + 2);
    for block in entries.chunks(METADATA_SIZE) {
        positions.push(sink.position());
        encoded.clear();
        append_block(&mut encoded, block, block_compressor);
        sink.write(&encoded)?;
    }
    Ok(positions)
}

/// Writes a table and its index, and gives the position of the index, which is what the superblock names.
pub(super) fn write_indexed<W: Write>(
    sink: &mut Sink<W>,
    block_compressor: &mut BlockCompressor,
    entries: &[u8],
) -> Result<u64, Error> {
    let positions = write_blocks(sink, block_compressor, entries)?;
    let index = sink.position();
    write_index(sink, &positions)?;
    Ok(index)
}

pub(super) fn write_index<W: Write>(sink: &mut Sink<W>, positions: &[u64]) -> Result<(), Error> {
    let bytes: Vec<u8> = positions.iter().flat_map(|position| position.to_le_bytes()).collect();
    sink.write(&bytes)
}
