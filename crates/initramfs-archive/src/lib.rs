//! Reads anybody's initramfs as the kernel does (Documentation/driver-api/early-userspace/buffer-format.rst, init/initramfs.c): newc archives
//! one behind the other, with zeros between them, each as it is or inside a compressed stream. Microcode in front, which the kernel wants
//! plain, is the usual reason for more than one.
//!
//! The bytes may come from anywhere. Names, their number, and what a decompressor takes and yields are bounded by [`Limits`]; whoever
//! looks at the data of an entry bounds that.
//!
//! | module | what it knows |
//! |---|---|
//! | [`header`] | one header: numbers, name, what it is the header of |
//! | [`input`] | bytes with a position, which can be looked at before they are taken |
//! | [`walk`] | archives and streams one behind the other |

mod header;
mod input;
mod walk;

use std::fmt;
use std::io;

use decompress::Compression;

pub use header::{Entry, Kind};
pub use walk::{Visitor, walk};

/// What one initramfs may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries of all archives together. A whole distribution has about 200,000 files.
    pub entries: u64,
    /// Bytes of all their names together.
    pub names: u64,
    /// Bytes that all decompressors together may yield: they have to lie in the memory of the machine that boots.
    pub unpacked: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { entries: 1 << 19, names: 128 << 20, unpacked: 16 << 30 }
    }
}

/// One of the archives of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Archive {
    /// Counted from 1.
    pub number: u32,
    /// Of the stream that holds it.
    pub compression: Compression,
    /// Where it, or the stream that holds it, begins: bytes from the beginning of the file.
    pub offset: u64,
}

/// Why an initramfs cannot be read, and how far it could be.
#[derive(Debug)]
pub struct Damage {
    /// The archive that is damaged; none when what stands there is no archive.
    pub archive: Option<Archive>,
    /// The last entry of that archive before the damage.
    pub behind: Option<String>,
    /// Entries of all archives before it.
    pub entries: u64,
    /// What is wrong, or what the system answered.
    pub cause: io::Error,
    /// What helps, where that is known.
    pub remedy: Option<&'static str>,
}

impl std::error::Error for Damage {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

/// `is damaged behind 'init': unexpected end of file`; the archive is named where it is not the first.
impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let archive = self.archive.filter(|archive| archive.number > 1 || archive.offset > 0);
        match (archive, &self.behind, self.entries) {
            (Some(archive), _, _) => write!(f, "its {archive} is damaged")?,
            (None, None, 0) => {
                return write!(f, "is no initramfs that this program can read: {}", self.cause);
            }
            (None, None, _) => return write!(f, "is damaged behind its archives: {}", self.cause),
            (None, Some(_), _) => f.write_str("is damaged")?,
        }
        match &self.behind {
            Some(path) => write!(f, " behind '{}': {}", path.escape_debug(), self.cause),
            None => write!(f, " at its beginning: {}", self.cause),
        }
    }
}

/// `archive 2 (zstd, at byte 77312)`
impl fmt::Display for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "archive {} ({}, at byte {})", self.number, self.compression.name(), self.offset)
    }
}
