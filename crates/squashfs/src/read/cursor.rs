//! Reads numbers and strings from metadata, across the borders of blocks.

use std::sync::Arc;

use super::Image;
use super::blocks::MetadataBlock;
use crate::Error;

/// A place in a table: the position of a metadata block in the image, and the offset after decompression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MetadataPosition {
    pub(super) block: u64,
    pub(super) offset: usize,
}

impl MetadataPosition {
    /// A place as inodes and the superblock write it, relative to the start of its table.
    pub(super) fn from_reference(reference: u64, table: u64) -> Option<Self> {
        let block = table.checked_add(reference >> 16)?;
        Some(Self { block, offset: (reference & 0xffff) as usize })
    }
}

/// Reads forward from a place. Each block is fetched when its first byte is needed.
pub(super) struct Cursor<'a> {
    image: &'a Image,
    place: MetadataPosition,
    block: Option<Arc<MetadataBlock>>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(image: &'a Image, place: MetadataPosition) -> Self {
        Self { image, place, block: None }
    }

    /// Where the next byte is.
    pub(super) fn place(&self) -> MetadataPosition {
        self.place
    }

    pub(super) fn fill(&mut self, mut room: &mut [u8]) -> Result<(), Error> {
        while !room.is_empty() {
            let block = match self.block.take() {
                Some(block) => block,
                None => self.image.blocks.metadata(self.place.block)?,
            };
            let Some(rest) = block.bytes.get(self.place.offset..) else {
                let problem = format!("damaged: offset {} is past its metadata block", self.place.offset);
                return Err(self.image.blocks.damaged(problem));
            };
            if rest.is_empty() {
                self.place = MetadataPosition { block: block.next, offset: 0 };
                continue;
            }
            let now = rest.len().min(room.len());
            let (filled, later) = room.split_at_mut(now);
            filled.copy_from_slice(&rest[..now]);
            room = later;
            self.place.offset += now;
            self.block = Some(block);
        }
        Ok(())
    }

    pub(super) fn half(&mut self) -> Result<u16, Error> {
        let mut bytes = [0; 2];
        self.fill(&mut bytes)?;
        Ok(u16::from_le_bytes(bytes))
    }

    pub(super) fn word(&mut self) -> Result<u32, Error> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    pub(super) fn long(&mut self) -> Result<u64, Error> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// A string of `len` bytes, which the caller has bounded.
    pub(super) fn bytes(&mut self, len: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; len];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }
}

impl Image {
    /// A cursor at entry `number` of a table whose index of block positions is at `index`; entries have `size` bytes.
    pub(super) fn table_entry(&self, index: u64, number: u64, size: u64) -> Result<Cursor<'_>, Error> {
        let byte = number * size;
        let block_size = crate::superblock::METADATA_SIZE as u64;
        let position = index
            .checked_add(byte / block_size * 8)
            .ok_or_else(|| self.blocks.damaged("damaged: a table lies past the end"))?;
        let mut block = [0; 8];
        self.blocks.read_at(&mut block, position)?;
        let place =
            MetadataPosition { block: u64::from_le_bytes(block), offset: (byte % block_size) as usize };
        Ok(Cursor::new(self, place))
    }
}
