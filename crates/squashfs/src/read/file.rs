//! The bytes of one file: whole blocks, and a tail that lies in a fragment block with other files' tails.

use std::io;
use std::sync::Arc;

use super::Image;
use super::cursor::{Cursor, MetadataPosition};
use crate::Error;

/// Where a file's bytes are in its image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileData {
    len: u64,
    /// Where its first block is in the image.
    start: u64,
    fragment: Option<FragmentPlace>,
    /// Where the list of its blocks' sizes is.
    sizes: MetadataPosition,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FragmentPlace {
    pub(super) number: u32,
    pub(super) offset: u32,
}

impl FileData {
    pub(super) fn new(
        len: u64,
        start: u64,
        fragment: Option<FragmentPlace>,
        sizes: MetadataPosition,
    ) -> Self {
        Self { len, start, fragment, sizes }
    }

    pub(super) fn start(&self) -> u64 {
        self.start
    }

    pub(super) fn fragment(&self) -> Option<FragmentPlace> {
        self.fragment
    }

    pub(super) fn sizes(&self) -> MetadataPosition {
        self.sizes
    }

    /// The size of the file in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the file has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Part of a file: bytes, or a hole of this many zeros.
pub(super) enum Part {
    Hole(u64),
    Bytes(PartBytes),
}

/// Bytes of a block of its own, or of a shared fragment block.
pub(super) struct PartBytes {
    block: Arc<Vec<u8>>,
    start: usize,
    end: usize,
}

impl PartBytes {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.block[self.start..self.end]
    }
}

/// Reads a file from its start; see [`Image::reader`].
pub struct FileReader<'a> {
    image: &'a Image,
    sizes: Cursor<'a>,
    position: u64,
    fragment: Option<FragmentPlace>,
    left: u64,
    /// The part that [`io::Read`] is giving out.
    current: Option<Part>,
}

impl<'a> FileReader<'a> {
    pub(super) fn new(image: &'a Image, data: &FileData) -> Self {
        Self {
            image,
            sizes: Cursor::new(image, data.sizes),
            position: data.start,
            fragment: data.fragment,
            left: data.len,
            current: None,
        }
    }

    /// The next block or tail; `None` at the end of the file.
    pub(super) fn next_part(&mut self) -> Result<Option<Part>, Error> {
        let block_size = u64::from(self.image.superblock.block_size);
        let len = self.left.min(block_size);
        if len == 0 {
            return Ok(None);
        }
        let part = match self.fragment {
            Some(fragment) if len < block_size => Part::Bytes(self.image.tail(fragment, len as usize)?),
            _ => self.block(len as usize)?,
        };
        self.left -= len;
        Ok(Some(part))
    }

    fn block(&mut self, len: usize) -> Result<Part, Error> {
        let word = self.sizes.word()?;
        let part = self.image.block(self.position, word, len)?;
        // The word is not above the block size, or it was refused; nor is the position near the limit.
        self.position += u64::from(word & !crate::superblock::STORED);
        Ok(part)
    }
}

impl Image {
    /// The block of a file at `position`, which must have `len` bytes; `word` is its size word.
    pub(super) fn block(&self, position: u64, word: u32, len: usize) -> Result<Part, Error> {
        if word == 0 {
            return Ok(Part::Hole(len as u64));
        }
        let block = self.blocks.data(position, word, self.superblock.block_size as usize)?;
        if block.len() != len {
            let problem = format!("damaged data block at byte {position}: its length is wrong");
            return Err(self.blocks.damaged(problem));
        }
        Ok(Part::Bytes(PartBytes { block: Arc::new(block), start: 0, end: len }))
    }

    /// The end of a file, `len` bytes, in a block that it shares with others.
    pub(super) fn tail(&self, fragment: FragmentPlace, len: usize) -> Result<PartBytes, Error> {
        let mut entry = self.table_entry(self.superblock.fragment_table, fragment.number.into(), 16)?;
        let (position, word) = (entry.long()?, entry.word()?);
        let block = self.blocks.fragment(position, word, self.superblock.block_size as usize)?;
        let start = fragment.offset as usize;
        let end = start + len;
        if end > block.len() {
            let problem = format!("damaged: fragment {} is too short for a file in it", fragment.number);
            return Err(self.blocks.damaged(problem));
        }
        Ok(PartBytes { block, start, end })
    }
}

impl io::Read for FileReader<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if room.is_empty() {
            return Ok(0);
        }
        if self.current.is_none() {
            self.current = self.next_part().map_err(io::Error::other)?;
        }
        let (taken, finished) = match &mut self.current {
            None => return Ok(0),
            Some(Part::Hole(left)) => {
                let taken = room.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                room[..taken].fill(0);
                *left -= taken as u64;
                (taken, *left == 0)
            }
            Some(Part::Bytes(bytes)) => {
                let taken = room.len().min(bytes.end - bytes.start);
                room[..taken].copy_from_slice(&bytes.bytes()[..taken]);
                bytes.start += taken;
                (taken, bytes.start == bytes.end)
            }
        };
        if finished {
            self.current = None;
        }
        Ok(taken)
    }
}
