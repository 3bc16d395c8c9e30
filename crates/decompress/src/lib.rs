//! The compressions that Debian packages, kernel modules and sources come in, told by a name's ending or by the first bytes.
//!
//! The bytes may come from anywhere: what a decompressor takes in memory is limited here, what it yields is for the caller
//! to limit.

mod gzip;
mod lz4_legacy;

use std::io::{self, BufRead, BufReader, Read};

use liblzma::read::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

/// `xz -9` needs 65 MiB to decompress; a header can ask for 4 GiB. (zstd limits itself to windows of 128 MiB.)
const MOST_XZ_MEMORY: u64 = 256 << 20;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// No ending.
    None,
    /// `.gz` (RFC 1952)
    Gzip,
    /// `.bz2`
    Bzip2,
    /// `.xz`
    Xz,
    /// `.lzma`, the format before xz
    Lzma,
    /// `.zst` (RFC 8878)
    Zstd,
    /// What `lz4 -l` writes and the kernel reads; its other frames are not known here.
    Lz4Legacy,
}

impl Compression {
    /// Tells the compression of `name`, which is `stem` with an ending: `data.tar.xz` with the stem `data.tar`.
    /// `None` when the ending is not known, or the name does not begin with the stem.
    pub fn of(name: &str, stem: &str) -> Option<Compression> {
        match name.strip_prefix(stem)? {
            "" => Some(Compression::None),
            ".gz" => Some(Compression::Gzip),
            ".bz2" => Some(Compression::Bzip2),
            ".xz" => Some(Compression::Xz),
            ".lzma" => Some(Compression::Lzma),
            ".zst" => Some(Compression::Zstd),
            _ => None,
        }
    }

    /// Tells the compression of a file from its first bytes, of which 16 are enough; [`Compression::None`] when they are of
    /// no compression that is known here. A `.lzma` file has no magic number: its header is only likely to be one.
    pub fn of_magic(first: &[u8]) -> Compression {
        match first {
            [0x1f, 0x8b, 8, ..] => Compression::Gzip,
            // The level, and the number that a block or the end of the stream begins with.
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31 | 0x17, ..] => Compression::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
            // A frame, or one to be skipped.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            _ if first.starts_with(&lz4_legacy::MAGIC) => Compression::Lz4Legacy,
            _ if is_lzma_header(first) => Compression::Lzma,
            _ => Compression::None,
        }
    }

    /// Reads `compressed` and yields the bytes inside. How many they are is for the caller to limit.
    ///
    /// # Errors
    /// The decompressor cannot be set up.
    pub fn reader<'a>(self, compressed: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Compression::None => Box::new(compressed),
            Compression::Gzip => Box::new(gzip::Members::new(BufReader::new(compressed))),
            Compression::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(compressed)),
            Compression::Xz => {
                let stream = Stream::new_stream_decoder(MOST_XZ_MEMORY, CONCATENATED)?;
                Box::new(XzDecoder::new_stream(compressed, stream))
            }
            Compression::Lzma => {
                let stream = Stream::new_lzma_decoder(MOST_XZ_MEMORY)?;
                Box::new(XzDecoder::new_stream(compressed, stream))
            }
            Compression::Zstd => Box::new(zstd::Decoder::new(compressed)?),
            Compression::Lz4Legacy => Box::new(lz4_legacy::Blocks::new(BufReader::new(compressed))),
        })
    }

    /// As [`Compression::reader`], of the first stream alone: behind its end, `compressed` stands at what follows it. (lz4's legacy frames
    /// have no end but zeros, of which four are taken, and the end of `compressed`.)
    ///
    /// # Errors
    /// The decompressor cannot be set up.
    pub fn one_stream<'a>(self, compressed: impl BufRead + 'a) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Compression::None => Box::new(compressed),
            Compression::Gzip => Box::new(flate2::bufread::GzDecoder::new(compressed)),
            Compression::Bzip2 => Box::new(bzip2::bufread::BzDecoder::new(compressed)),
            Compression::Xz => {
                let stream = Stream::new_stream_decoder(MOST_XZ_MEMORY, 0)?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(compressed, stream))
            }
            Compression::Lzma => {
                let stream = Stream::new_lzma_decoder(MOST_XZ_MEMORY)?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(compressed, stream))
            }
            Compression::Zstd => Box::new(zstd::Decoder::with_buffer(compressed)?.single_frame()),
            Compression::Lz4Legacy => Box::new(lz4_legacy::Blocks::new(compressed)),
        })
    }

    /// As people call it: `zstd`; `plain` for [`Compression::None`].
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "plain",
            Compression::Gzip => "gzip",
            Compression::Bzip2 => "bzip2",
            Compression::Xz => "xz",
            Compression::Lzma => "lzma",
            Compression::Zstd => "zstd",
            Compression::Lz4Legacy => "lz4",
        }
    }
}

/// The properties that every encoder writes, a dictionary of a power of two or one and a half of it, and a size below 256
/// GiB or unknown: what xz(1) asks of a header before it takes it for `.lzma`.
fn is_lzma_header(first: &[u8]) -> bool {
    let Some(header) = first.first_chunk::<13>() else { return false };
    let dictionary = u32::from_le_bytes([header[1], header[2], header[3], header[4]]);
    let size = u64::from_le_bytes([
        header[5], header[6], header[7], header[8], header[9], header[10], header[11], header[12],
    ]);
    let lowest = dictionary & dictionary.wrapping_neg();
    let plain_dictionary = dictionary != 0
        && (dictionary == lowest || dictionary == lowest.wrapping_mul(3) || dictionary == u32::MAX);
    header[0] == 0x5d && plain_dictionary && (size == u64::MAX || size < 1 << 38)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_whole_words() {
        assert_eq!(Compression::of("data.tar.bz2", "data.tar"), Some(Compression::Bzip2));
        assert_eq!(Compression::of("data.tar", "data.tar"), Some(Compression::None));
        for name in ["data.tar.bz", "data.tar.xz.gz", "data.tarxz", "control.tar.gz"] {
            assert_eq!(Compression::of(name, "data.tar"), None, "{name}");
        }
    }

    /// The end of a stream is found to the byte, whatever the buffer holds of what follows.
    #[test]
    fn one_stream_takes_no_byte_of_what_follows_it() {
        let packed = |mut encoder: Box<dyn Read>| {
            let mut bytes = Vec::new();
            encoder.read_to_end(&mut bytes).unwrap();
            bytes
        };
        let text: &[u8] = b"some text, some text";
        let lzma = liblzma::stream::LzmaOptions::new_preset(6).unwrap();
        let lzma = Stream::new_lzma_encoder(&lzma).unwrap();
        for (compression, bytes) in [
            (Compression::Gzip, packed(Box::new(flate2::read::GzEncoder::new(text, Default::default())))),
            (Compression::Bzip2, packed(Box::new(bzip2::read::BzEncoder::new(text, Default::default())))),
            (Compression::Xz, packed(Box::new(liblzma::read::XzEncoder::new(text, 6)))),
            (Compression::Lzma, packed(Box::new(liblzma::read::XzEncoder::new_stream(text, lzma)))),
            (Compression::Zstd, zstd::encode_all(text, 3).unwrap()),
        ] {
            assert_eq!(Compression::of_magic(&bytes), compression);
            for behind in [&b""[..], b"070701", &bytes] {
                let both = [&bytes[..], behind].concat();
                let mut rest = &both[..];
                let mut plain = Vec::new();
                compression.one_stream(&mut rest).unwrap().read_to_end(&mut plain).unwrap();
                assert_eq!((&plain[..], rest), (text, behind), "{}", compression.name());
                let cut = &bytes[..bytes.len() - 1];
                assert!(compression.one_stream(cut).unwrap().read_to_end(&mut Vec::new()).is_err());
            }
        }
    }

    #[test]
    fn text_that_begins_like_a_compression_is_none() {
        for text in ["BZh9 is what bzip2 writes", "]\0\0 odd text of sixteen", "", "PK", "(\u{b5}/"] {
            assert_eq!(Compression::of_magic(text.as_bytes()), Compression::None, "{text:?}");
        }
    }
}
