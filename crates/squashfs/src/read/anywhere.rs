//! The bytes of one file in any order, for formats whose tables lie all over it: only the blocks that are asked for are decompressed.

use std::collections::VecDeque;

use super::Image;
use super::cursor::Cursor;
use super::file::{FileData, Part, PartBytes};
use crate::Error;

/// How many blocks of the file stay in memory: 1 MiB with blocks of 128 KiB.
const BLOCKS: usize = 8;
/// The largest file that is read so, in bytes: of each block in front of the one that is asked for, 12 bytes are kept.
const LARGEST: u64 = 16 << 30;

/// Reads a file anywhere; see [`Image::anywhere`].
pub struct AnywhereReader<'a> {
    image: &'a Image,
    data: &'a FileData,
    /// The sizes of the blocks behind those of `blocks`.
    sizes: Cursor<'a>,
    /// Where each block is in the image, and its size word.
    blocks: Vec<(u64, u32)>,
    /// Where the block behind them is.
    next: u64,
    /// The blocks used last, by number.
    recent: VecDeque<(u64, Option<PartBytes>)>,
}

impl<'a> AnywhereReader<'a> {
    pub(super) fn new(image: &'a Image, data: &'a FileData) -> Self {
        let sizes = Cursor::new(image, data.sizes());
        let (blocks, next, recent) = (Vec::new(), data.start(), VecDeque::with_capacity(BLOCKS));
        Self { image, data, sizes, blocks, next, recent }
    }

    /// Fills `room` from `offset`, in bytes.
    ///
    /// # Errors
    /// The file ends before; the image is damaged.
    pub fn read_exact_at(&mut self, mut room: &mut [u8], mut offset: u64) -> Result<(), Error> {
        let end = offset.checked_add(room.len() as u64);
        if end.is_none_or(|end| end > self.data.len().min(LARGEST)) {
            let problem = format!("byte {offset} of a file of {} bytes is too far to read", self.data.len());
            return Err(self.image.blocks.damaged(problem));
        }
        let size = u64::from(self.image.superblock().block_size);
        while !room.is_empty() {
            let inside = (offset % size) as usize;
            let block = self.block(offset / size)?;
            let now = room.len().min(size as usize - inside);
            let (filled, later) = room.split_at_mut(now);
            match block {
                None => filled.fill(0),
                // Its length was compared when it was read.
                Some(block) => filled.copy_from_slice(&block.bytes()[inside..inside + now]),
            }
            (room, offset) = (later, offset + now as u64);
        }
        Ok(())
    }

    /// A block of the file, or `None` for one of zeros that is not stored.
    fn block(&mut self, number: u64) -> Result<&Option<PartBytes>, Error> {
        match self.recent.iter().position(|(known, _)| *known == number) {
            Some(0) => {}
            Some(at) => self.recent.swap(0, at),
            None => {
                let block = self.read(number)?;
                self.recent.truncate(BLOCKS - 1);
                self.recent.push_front((number, block));
            }
        }
        Ok(&self.recent[0].1)
    }

    fn read(&mut self, number: u64) -> Result<Option<PartBytes>, Error> {
        let size = u64::from(self.image.superblock().block_size);
        let length = (self.data.len() - number * size).min(size) as usize;
        if let Some(fragment) = self.data.fragment().filter(|_| (length as u64) < size) {
            return self.image.tail(fragment, length).map(Some);
        }
        while self.blocks.len() as u64 <= number {
            let word = self.sizes.word()?;
            self.blocks.push((self.next, word));
            self.next = self.next.saturating_add(u64::from(word & !crate::superblock::STORED));
        }
        let (position, word) = self.blocks[number as usize];
        match self.image.block(position, word, length)? {
            Part::Hole(_) => Ok(None),
            Part::Bytes(bytes) => Ok(Some(bytes)),
        }
    }
}
