//! The compressors that deb(5) allows for `control.tar` and `data.tar`.

use std::io::{self, Read};

use liblzma::read::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

use crate::error::{Part, malformed};

/// `xz -9` needs 65 MiB to decompress; a header can ask for 4 GiB. (zstd limits itself to windows of 128 MiB.)
const MOST_XZ_MEMORY: u64 = 256 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Xz,
    Zstd,
}

impl Compression {
    /// Tells the compression of `member`, the archive member `stem` (`data.tar`) with an ending (`data.tar.xz`).
    pub fn of(member: &str, stem: &str) -> Part<Compression> {
        match member.strip_prefix(stem) {
            Some("") => Ok(Compression::None),
            Some(".gz") => Ok(Compression::Gzip),
            Some(".xz") => Ok(Compression::Xz),
            Some(".zst") => Ok(Compression::Zstd),
            _ => malformed(format!(
                "member `{member}` has an unknown compression; known are {stem}, .gz, .xz and .zst"
            )),
        }
    }

    /// Reads `compressed` and yields the bytes inside.
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
