//! Compression of blocks: zstd both ways, gzip for reading.

use std::fmt;

use crate::Error;

/// How an image is compressed when it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compressor {
    /// Zstandard, level 1 to 22: 3 is quick, 15 is for releases.
    Zstd {
        /// The level.
        level: i32,
    },
    /// Not at all, as for an image that travels inside something compressed. Readers need no zstd, though the superblock
    /// names it, since it must name something.
    Stored,
}

impl Default for Compressor {
    fn default() -> Self {
        Self::Zstd { level: 3 }
    }
}

/// The compressors that the format numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressorId {
    /// zlib's deflate.
    Gzip,
    /// LZMA1.
    Lzma,
    /// LZO.
    Lzo,
    /// LZMA2 in the xz container.
    Xz,
    /// LZ4.
    Lz4,
    /// Zstandard.
    Zstd,
}

impl CompressorId {
    const ALL: [Self; 6] = [Self::Gzip, Self::Lzma, Self::Lzo, Self::Xz, Self::Lz4, Self::Zstd];

    pub(crate) fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|id| id.number() == number)
    }

    pub(crate) fn number(self) -> u16 {
        self as u16 + 1
    }
}

impl fmt::Display for CompressorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Lzma => "lzma",
            Self::Lzo => "lzo",
            Self::Xz => "xz",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        })
    }
}

/// Compresses blocks, one after another, with one zstd context and one buffer.
pub(crate) struct BlockCompressor {
    context: Option<zstd::bulk::Compressor<'static>>,
    buffer: Vec<u8>,
}

impl BlockCompressor {
    pub(crate) fn new(compressor: Compressor) -> Result<Self, Error> {
        let Compressor::Zstd { level } = compressor else {
            return Ok(Self { context: None, buffer: Vec::new() });
        };
        if !(1..=22).contains(&level) {
            return Err(Error::Limit(format!("zstd level {level} is out of range: give 1 to 22")));
        }
        let context = zstd::bulk::Compressor::new(level)
            .map_err(|error| Error::Limit(format!("cannot set up zstd at level {level}: {error}")))?;
        Ok(Self { context: Some(context), buffer: Vec::new() })
    }

    /// `block` compressed, or `None` when that would not make it smaller.
    pub(crate) fn compress(&mut self, block: &[u8]) -> Option<&[u8]> {
        let context = self.context.as_mut()?;
        let bound = zstd::zstd_safe::compress_bound(block.len());
        if self.buffer.len() < bound {
            self.buffer.resize(bound, 0);
        }
        let size = context.compress_to_buffer(block, &mut self.buffer[..]).ok()?;
        (size < block.len()).then(|| &self.buffer[..size])
    }
}

/// Undoes compression, never writing more than it is given room for.
pub(crate) enum Expander {
    Zstd(zstd::bulk::Decompressor<'static>),
    Gzip,
}

impl Expander {
    pub(crate) fn new(id: CompressorId) -> Result<Self, String> {
        match id {
            CompressorId::Zstd => zstd::bulk::Decompressor::new()
                .map(Self::Zstd)
                .map_err(|error| format!("cannot set up zstd: {error}")),
            CompressorId::Gzip => Ok(Self::Gzip),
            other => Err(format!(
                "compressed with {other}, which this reader does not have: it reads zstd and gzip (the kernel and \
                 unsquashfs read more)"
            )),
        }
    }

    /// Fills `room` from `block` and says how many bytes that made.
    pub(crate) fn expand(&mut self, block: &[u8], room: &mut [u8]) -> Result<usize, String> {
        match self {
            Self::Zstd(context) => {
                context.decompress_to_buffer(block, room).map_err(|error| format!("zstd: {error}"))
            }
            Self::Gzip => {
                let mut inflate = flate2::Decompress::new(true);
                let status = inflate
                    .decompress(block, room, flate2::FlushDecompress::Finish)
                    .map_err(|error| format!("gzip: {error}"))?;
                match status {
                    flate2::Status::StreamEnd => Ok(inflate.total_out() as usize),
                    _ => Err("gzip: the block ends early or is larger than it may be".into()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back_and_never_overflow_their_room() {
        let block = b"abcabcabc".repeat(100);
        let mut block_compressor = BlockCompressor::new(Compressor::default()).unwrap();
        let compressed = block_compressor.compress(&block).unwrap().to_vec();
        let mut expander = Expander::new(CompressorId::Zstd).unwrap();
        let mut room = vec![0; 900];
        assert_eq!(expander.expand(&compressed, &mut room), Ok(900));
        assert_eq!(room, block);
        assert!(expander.expand(&compressed, &mut room[..899]).is_err());
    }

    #[test]
    fn what_does_not_shrink_is_left_alone() {
        assert!(BlockCompressor::new(Compressor::default()).unwrap().compress(b"abc").is_none());
    }

    #[test]
    fn levels_and_compressors_out_of_reach_are_named() {
        let level = BlockCompressor::new(Compressor::Zstd { level: 23 }).err().unwrap();
        assert_eq!(level.to_string(), "zstd level 23 is out of range: give 1 to 22");
        assert!(Expander::new(CompressorId::Lzo).err().unwrap().starts_with("compressed with lzo"));
    }
}
