//! A thread that reads and compresses. It decides nothing: its results depend on its job alone.

use std::io;
use std::sync::mpsc::Sender;

use super::content::OpenContent;
use super::plan::{Piece, Plan};
use super::queue::{CloseOnDrop, Job, Queue};
use crate::Error;
use crate::compressor::{BlockCompressor, Compressor};
use crate::superblock::STORED;

/// A data or fragment block as it will stand in the image.
pub(super) struct Block {
    /// What the inode or the fragment table says about it: the size, with [`STORED`] when it is not compressed, or 0
    /// for a block of zeros, which takes no room.
    pub(super) word: u32,
    pub(super) bytes: Box<[u8]>,
}

/// What is left of a file after its whole blocks; it will be packed into a fragment block with others.
pub(super) struct LooseTail {
    pub(super) bytes: Box<[u8]>,
    pub(super) hash: blake3::Hash,
}

pub(super) struct PieceDone {
    pub(super) piece: Piece,
    pub(super) blocks: Vec<Block>,
    pub(super) tail: Option<LooseTail>,
}

pub(super) enum Outcome {
    Read { number: u64, pieces: Vec<PieceDone> },
    Compressed { number: u64, block: Block },
    Failed { file: usize, error: io::Error },
}

pub(super) struct Worker<'a> {
    plan: &'a Plan<'a>,
    block_size: usize,
    block_compressor: BlockCompressor,
    buffer: Vec<u8>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(plan: &'a Plan<'a>, block_size: u32, compressor: Compressor) -> Result<Self, Error> {
        let block_compressor = BlockCompressor::new(compressor)?;
        Ok(Self { plan, block_size: block_size as usize, block_compressor, buffer: Vec::new() })
    }

    /// Works until the queue is closed, or until nobody wants results any more.
    pub(super) fn run(mut self, queue: &Queue, results: &Sender<Outcome>) {
        let _close_on_panic = CloseOnDrop(queue);
        while let Some(job) = queue.take() {
            let outcome = match job {
                Job::Compress { number, block } => {
                    Outcome::Compressed { number, block: self.compress(&block) }
                }
                Job::Read { number, pieces } => self.read(number, &pieces),
            };
            if results.send(outcome).is_err() {
                break;
            }
        }
    }

    fn read(&mut self, number: u64, pieces: &[Piece]) -> Outcome {
        let mut done = Vec::with_capacity(pieces.len());
        for &piece in pieces {
            match self.piece(piece) {
                Ok(piece) => done.push(piece),
                Err(error) => return Outcome::Failed { file: piece.file, error },
            }
        }
        Outcome::Read { number, pieces: done }
    }

    fn piece(&mut self, piece: Piece) -> io::Result<PieceDone> {
        let content = self.plan.files[piece.file].content;
        let open = OpenContent::open(content)?;
        let len = piece.len as usize;
        let whole = len / self.block_size;
        if whole > 0 && len.is_multiple_of(self.block_size) && open.is_hole(piece.offset, piece.len) {
            let blocks = (0..whole).map(|_| Block { word: 0, bytes: Box::default() }).collect();
            return Ok(PieceDone { piece, blocks, tail: None });
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        open.read_at(&mut buffer[..len], piece.offset)?;
        let (blocks, rest) = buffer[..len].split_at(whole * self.block_size);
        let blocks = blocks.chunks(self.block_size).map(|block| self.block(block)).collect();
        let tail = (!rest.is_empty()).then(|| LooseTail { bytes: rest.into(), hash: blake3::hash(rest) });
        self.buffer = buffer;
        Ok(PieceDone { piece, blocks, tail })
    }

    fn block(&mut self, block: &[u8]) -> Block {
        if is_zero(block) {
            return Block { word: 0, bytes: Box::default() };
        }
        self.compress(block)
    }

    fn compress(&mut self, block: &[u8]) -> Block {
        let (flag, bytes) = match self.block_compressor.compress(block) {
            Some(compressed) => (0, compressed),
            None => (STORED, block),
        };
        Block { word: flag | bytes.len() as u32, bytes: bytes.into() }
    }
}

/// Most blocks differ from zero in their first bytes, so this seldom reads far.
fn is_zero(block: &[u8]) -> bool {
    block.chunks(64).all(|part| part.iter().fold(0, |all, byte| all | byte) == 0)
}
