//! The legacy frame of lz4 (`lz4 -l`), the only one that the kernel unpacks (lib/decompress_unlz4.c): a magic number, then blocks of up to
//! 8 MiB, each behind its compressed length. It has no end of its own: the kernel ends at a length of 0 and at the end of the bytes, and
//! takes a further magic number for the beginning of another frame.

use std::io::{self, BufRead, ErrorKind, Read};

pub(crate) const MAGIC: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];
/// Of a block that is not compressed.
const MOST_PLAIN: usize = 8 << 20;
/// LZ4_COMPRESSBOUND(8 MiB) of lz4.h: what does not compress grows.
const MOST_PACKED: usize = MOST_PLAIN + MOST_PLAIN / 255 + 16;

/// The bytes of all blocks.
pub(crate) struct Blocks<R> {
    compressed: R,
    begun: bool,
    ended: bool,
    plain: Vec<u8>,
    /// What was given of it.
    given: usize,
}

impl<R: BufRead> Blocks<R> {
    pub fn new(compressed: R) -> Self {
        Blocks { compressed, begun: false, ended: false, plain: Vec::new(), given: 0 }
    }

    /// Unpacks the next block; `false` when there is none.
    fn next(&mut self) -> io::Result<bool> {
        let length = loop {
            match word(&mut self.compressed)? {
                Some(MAGIC) => self.begun = true,
                _ if !self.begun => return Err(damaged("there is no magic number of lz4's legacy frame")),
                None | Some([0, 0, 0, 0]) => return Ok(false),
                Some(length) => break u32::from_le_bytes(length) as usize,
            }
        };
        if length > MOST_PACKED {
            return Err(damaged("a block of lz4 is longer than 8 MiB can get"));
        }
        let mut packed = Vec::new();
        if self.compressed.by_ref().take(length as u64).read_to_end(&mut packed)? != length {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.plain.resize(MOST_PLAIN, 0);
        let unpacked = lz4_flex::block::decompress_into(&packed, &mut self.plain);
        let count = unpacked.map_err(|error| damaged(&format!("a block of lz4 is damaged: {error}")))?;
        self.plain.truncate(count);
        self.given = 0;
        Ok(true)
    }
}

impl<R: BufRead> Read for Blocks<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.plain.len() && !self.ended && !buffer.is_empty() {
            self.ended = !self.next()?;
        }
        let rest = self.plain.get(self.given..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.given += count;
        Ok(count)
    }
}

/// Four bytes, or none at the end. Of zeros there may be fewer: they are what fills up the file.
fn word(input: &mut impl BufRead) -> io::Result<Option<[u8; 4]>> {
    let mut word = [0; 4];
    let mut count = 0;
    while count < word.len() {
        match input.read(&mut word[count..]) {
            Ok(0) if word == [0; 4] => return Ok(None),
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(more) => count += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(word))
}

fn damaged(cause: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(blocks: &[&[u8]]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for block in blocks {
            let packed = lz4_flex::block::compress(block);
            bytes.extend(u32::try_from(packed.len()).unwrap().to_le_bytes());
            bytes.extend(packed);
        }
        bytes
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        Blocks::new(bytes).read_to_end(&mut plain).map(|_| plain)
    }

    #[test]
    fn blocks_and_frames_follow_each_other_and_zeros_end_them() {
        let large = vec![7; MOST_PLAIN];
        let two = [frame(&[b"one ", b"", b"two"]), frame(&[&large])].concat();
        for zeros in [0, 1, 3, 4, 100] {
            let plain = read(&[&two[..], &vec![0; zeros]].concat()).unwrap();
            assert_eq!((&plain[..7], plain.len()), (&b"one two"[..], 7 + MOST_PLAIN), "{zeros}");
        }
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let whole = frame(&[b"a block of some length, a block of some length"]);
        for length in (0..4).chain(5..whole.len()) {
            assert!(read(&whole[..length]).is_err(), "{length}");
        }
        let too_much = frame(&[&vec![7; MOST_PLAIN + 1]]);
        let error = read(&too_much).unwrap_err().to_string();
        assert!(error.starts_with("a block of lz4 is damaged: "), "{error}");
        let error = read(&[&MAGIC[..], b"070701"].concat()).unwrap_err().to_string();
        assert_eq!(error, "a block of lz4 is longer than 8 MiB can get");
    }
}
