//! The file underneath: reads within its bounds, metadata blocks, fragment blocks, and a small cache of both.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Error;
use crate::compressor::Expander;
use crate::superblock::{METADATA_SIZE, STORED, Superblock};

/// How many blocks of each kind stay in memory: 256 KiB of metadata, and 4 fragment blocks.
const METADATA_BLOCKS: usize = 32;
const FRAGMENT_BLOCKS: usize = 4;

/// A metadata block after decompression, and the position of the one behind it.
pub(super) struct MetadataBlock {
    pub(super) bytes: Vec<u8>,
    pub(super) next: u64,
}

/// Where the bytes of an image come from: a file, or what checks the bytes of one while they are read.
pub trait Source: Send + Sync {
    /// Fills `bytes` from `offset`, in bytes.
    ///
    /// # Errors
    /// They cannot be read, or are not what they should be.
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;
}

impl Source for File {
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, bytes, offset)
    }
}

pub(super) struct Blocks {
    source: Box<dyn Source>,
    label: PathBuf,
    end: u64,
    state: Mutex<State>,
}

struct State {
    expander: Expander,
    metadata: Recent<MetadataBlock>,
    fragments: Recent<Vec<u8>>,
}

impl Blocks {
    pub(super) fn new(source: Box<dyn Source>, label: &Path, superblock: &Superblock) -> Result<Self, Error> {
        let expander =
            Expander::new(superblock.compressor).map_err(|problem| Error::image(label, problem))?;
        let state = State {
            expander,
            metadata: Recent::new(METADATA_BLOCKS),
            fragments: Recent::new(FRAGMENT_BLOCKS),
        };
        Ok(Self { source, label: label.to_owned(), end: superblock.bytes_used, state: Mutex::new(state) })
    }

    pub(super) fn damaged(&self, problem: impl Into<String>) -> Error {
        Error::image(&self.label, problem)
    }

    /// Fills `bytes` from `position`, which must lie inside the image.
    pub(super) fn read_at(&self, bytes: &mut [u8], position: u64) -> Result<(), Error> {
        if position.checked_add(bytes.len() as u64).is_none_or(|end| end > self.end) {
            return Err(
                self.damaged(format!("damaged: something should be at byte {position}, past the end"))
            );
        }
        self.source.read_exact_at(bytes, position).map_err(|error| Error::io("read", &self.label, error))
    }

    /// The metadata block at `position`.
    pub(super) fn metadata(&self, position: u64) -> Result<Arc<MetadataBlock>, Error> {
        let mut state = self.state();
        if let Some(known) = state.metadata.get(position) {
            return Ok(known);
        }
        let mut header = [0; 2];
        self.read_at(&mut header, position)?;
        let header = u16::from_le_bytes(header);
        let size = usize::from(header & 0x7fff);
        let bad =
            |problem: &str| self.damaged(format!("damaged metadata block at byte {position}: {problem}"));
        if size == 0 || size > METADATA_SIZE {
            return Err(bad("its size is out of range"));
        }
        let mut bytes = vec![0; size];
        self.read_at(&mut bytes, position + 2)?;
        if header & 0x8000 == 0 {
            let mut room = vec![0; METADATA_SIZE];
            let used = state.expander.expand(&bytes, &mut room).map_err(|problem| bad(&problem))?;
            room.truncate(used);
            bytes = room;
        }
        let block = Arc::new(MetadataBlock { bytes, next: position + 2 + size as u64 });
        state.metadata.put(position, block.clone());
        Ok(block)
    }

    /// A data block of `most` bytes at most; `word` is its size word.
    pub(super) fn data(&self, position: u64, word: u32, most: usize) -> Result<Vec<u8>, Error> {
        let size = (word & !STORED) as usize;
        let bad = |problem: &str| self.damaged(format!("damaged data block at byte {position}: {problem}"));
        if size > most {
            return Err(bad("its size is out of range"));
        }
        let mut bytes = vec![0; size];
        self.read_at(&mut bytes, position)?;
        if word & STORED != 0 {
            return Ok(bytes);
        }
        let mut room = vec![0; most];
        let used = self.state().expander.expand(&bytes, &mut room).map_err(|problem| bad(&problem))?;
        room.truncate(used);
        Ok(room)
    }

    /// As [`Self::data`], for a block that several files share.
    pub(super) fn fragment(&self, position: u64, word: u32, most: usize) -> Result<Arc<Vec<u8>>, Error> {
        if let Some(known) = self.state().fragments.get(position) {
            return Ok(known);
        }
        let block = Arc::new(self.data(position, word, most)?);
        self.state().fragments.put(position, block.clone());
        Ok(block)
    }

    /// Nothing here panics while it holds the lock, and a cache has no state to break.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The blocks used last, by position.
struct Recent<T> {
    blocks: VecDeque<(u64, Arc<T>)>,
    most: usize,
}

impl<T> Recent<T> {
    fn new(most: usize) -> Self {
        Self { blocks: VecDeque::with_capacity(most), most }
    }

    fn get(&mut self, position: u64) -> Option<Arc<T>> {
        let at = self.blocks.iter().position(|(known, _)| *known == position)?;
        let found = self.blocks.remove(at)?;
        let block = found.1.clone();
        self.blocks.push_front(found);
        Some(block)
    }

    fn put(&mut self, position: u64, block: Arc<T>) {
        self.blocks.truncate(self.most - 1);
        self.blocks.push_front((position, block));
    }
}
