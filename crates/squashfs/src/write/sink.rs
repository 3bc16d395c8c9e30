//! Where the image goes: counts positions, leaves room for the superblock, and hashes at the end.

use std::io::{self, Read, Seek, SeekFrom, Write};

use sha2::{Digest, Sha256};

use crate::Error;
use crate::superblock;

pub(super) struct Sink<W> {
    out: W,
    position: u64,
}

fn failed(action: &'static str) -> impl Fn(io::Error) -> Error {
    move |error| Error::io(action, "the image", error)
}

impl<W: Write> Sink<W> {
    /// Starts after the superblock, which is known only at the end.
    pub(super) fn new(out: W) -> Result<Self, Error> {
        let mut sink = Self { out, position: 0 };
        sink.write(&[0; superblock::SIZE])?;
        Ok(sink)
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.out.write_all(bytes).map_err(failed("write"))?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Zeros up to a multiple of `unit` bytes.
    pub(super) fn pad(&mut self, unit: u64) -> Result<(), Error> {
        let missing = self.position.next_multiple_of(unit) - self.position;
        self.write(&vec![0; missing as usize])
    }
}

impl<W: Read + Write + Seek> Sink<W> {
    /// Puts the superblock into its room and gives the SHA-256 of the whole. The superblock comes first and is known
    /// last, so the image is read once more; it is in the page cache.
    pub(super) fn finish(mut self, superblock: &[u8; superblock::SIZE]) -> Result<[u8; 32], Error> {
        self.out.seek(SeekFrom::Start(0)).map_err(failed("write"))?;
        self.out.write_all(superblock).map_err(failed("write"))?;
        self.out.flush().map_err(failed("write"))?;
        self.out.seek(SeekFrom::Start(0)).map_err(failed("read back"))?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 256 << 10];
        let mut left = self.position;
        while left > 0 {
            let part = &mut buffer[..left.min(256 << 10) as usize];
            self.out.read_exact(part).map_err(failed("read back"))?;
            hash.update(&*part);
            left -= part.len() as u64;
        }
        Ok(hash.finalize().into())
    }
}
