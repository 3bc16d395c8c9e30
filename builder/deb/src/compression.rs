//! The compressors that deb(5) allows for `control.tar` and `data.tar`; kernel modules come in the same ones.

use std::io::{self, Read};

use liblzma::read::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

use crate::error::{Part, malformed};

/// `xz -9` needs 65 MiB to decompress; a header can ask for 4 GiB. (zstd limits itself to windows of 128 MiB.)
const MOST_XZ_MEMORY: u64 = 256 << 20;

/// How a file is compressed, told by the ending of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// No ending.
    None,
    /// `.gz`
    Gzip,
    /// `.xz`
    Xz,
    /// `.zst`
    Zstd,
}

impl Compression {
    /// Tells the compression of `name`, which is `stem` with an ending: `data.tar.xz` with the stem `data.tar`.
    /// `None` when the ending is not known, or the name does not begin with the stem.
    pub fn of(name: &str, stem: &str) -> Option<Compression> {
        match name.strip_prefix(stem)? {
            "" => Some(Compression::None),
            ".gz" => Some(Compression::Gzip),
            ".xz" => Some(Compression::Xz),
            ".zst" => Some(Compression::Zstd),
            _ => None,
        }
    }

    pub(crate) fn of_member(name: &str, stem: &str) -> Part<Compression> {
        match Compression::of(name, stem) {
            Some(compression) => Ok(compression),
            None => malformed(format!(
                "member `{name}` has an unknown compression; known are {stem}, .gz, .xz and .zst"
            )),
        }
    }

    /// Reads `compressed` and yields the bytes inside. How many they are is for the caller to limit.
    ///
    /// # Errors
    /// The decompressor cannot be set up.
    pub fn reader<'a>(self, compressed: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Compression::None => Box::new(compressed),
            Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(compressed)),
            Compression::Xz => {
                let stream = Stream::new_stream_decoder(MOST_XZ_MEMORY, CONCATENATED)?;
                Box::new(XzDecoder::new_stream(compressed, stream))
            }
            Compression::Zstd => Box::new(zstd::Decoder::new(compressed)?),
        })
    }
}
