//! Bytes with a position, which can be looked at before they are taken.

use std::io::{self, BufRead, ErrorKind, Read};

const BUFFER: usize = 1 << 16;

/// A source of bytes: the file, or what a decompressor yields.
pub(crate) struct Input<'a> {
    source: Box<dyn Read + 'a>,
    buffer: Vec<u8>,
    /// Of the buffer, what was not taken yet.
    rest: std::ops::Range<usize>,
    position: u64,
    /// What else the source may yield, and what is said when it is more.
    allowed: u64,
}

impl<'a> Input<'a> {
    /// At most so many bytes are read from the source; one more is an error.
    pub fn new(source: Box<dyn Read + 'a>, allowed: u64) -> Self {
        Input { source, buffer: vec![0; BUFFER], rest: 0..0, position: 0, allowed }
    }

    /// How many bytes were taken.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next bytes, as many as there are up to `count`, which stay where they are.
    pub fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.rest.len() < count && self.fill()? > 0 {}
        Ok(&self.buffer[self.rest.clone()][..count.min(self.rest.len())])
    }

    /// Reads more behind what is there; 0 at the end.
    fn fill(&mut self) -> io::Result<usize> {
        self.buffer.copy_within(self.rest.clone(), 0);
        self.rest = 0..self.rest.len();
        let count = loop {
            match self.source.read(&mut self.buffer[self.rest.end..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.allowed = self.allowed.checked_sub(count as u64).ok_or_else(|| {
            io::Error::new(ErrorKind::FileTooLarge, "it unpacks to more than an initramfs may have")
        })?;
        self.rest.end += count;
        Ok(count)
    }

    /// Fills `bytes`.
    pub fn exactly(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.read_exact(bytes)
    }

    /// Passes over so many bytes.
    pub fn skip(&mut self, count: u64) -> io::Result<()> {
        match io::copy(&mut self.take(count), &mut io::sink())? == count {
            true => Ok(()),
            false => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Passes over the bytes that fill up `length` to a multiple of four.
    pub fn skip_padding(&mut self, length: u64) -> io::Result<()> {
        self.skip(length.next_multiple_of(4) - length)
    }

    /// Passes over zeros.
    pub fn skip_zeros(&mut self) -> io::Result<()> {
        loop {
            let bytes = self.fill_buf()?;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            if zeros == 0 {
                return Ok(());
            }
            self.consume(zeros);
        }
    }
}

impl Read for Input<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let there = self.fill_buf()?;
        let count = there.len().min(bytes.len());
        bytes[..count].copy_from_slice(&there[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Input<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.rest.is_empty() {
            self.fill()?;
        }
        Ok(&self.buffer[self.rest.clone()])
    }

    fn consume(&mut self, count: usize) {
        self.rest.start += count;
        self.position += count as u64;
    }
}
