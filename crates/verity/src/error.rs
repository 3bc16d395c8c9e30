//! What can go wrong, and where in the file.

use std::fmt;
use std::io;

use stack::verity_layout::{BLOCK, Unprotectable};

/// An error that says where in the file it happened. The caller, who knows the file's name, puts it in front.
#[derive(Debug)]
pub enum Error {
    /// A number of data blocks or of parity bytes for which there is no layout.
    Unprotectable(Unprotectable),
    /// A file that ends before its data does.
    Short {
        /// The length of the file in bytes.
        found: u64,
        /// The length that was announced.
        expected: u64,
    },
    /// The operating system refused something.
    Io {
        /// What was being done, as in "read".
        action: &'static str,
        /// Where in the file, in bytes.
        offset: u64,
        /// The system's answer.
        source: io::Error,
    },
    /// A superblock that this crate did not write.
    Foreign {
        /// Where it stands, in bytes.
        offset: u64,
        /// What is other than expected.
        what: &'static str,
    },
    /// A file that is not what its root hash says.
    Mismatch(Part),
}

/// A part of a protected file; offsets and blocks of 4 KiB count from the start of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A block of the data.
    Data {
        /// In blocks of 4 KiB.
        block: u64,
    },
    /// A block of the hash tree. Of the data beneath it nothing is known.
    Tree {
        /// In blocks of 4 KiB.
        block: u64,
    },
    /// The superblock, or the zeros that fill its block. The data is right; dm-verity never reads this block.
    Superblock {
        /// In blocks of 4 KiB.
        block: u64,
    },
    /// The error correction. The data and the hash tree are right.
    Parity {
        /// The first wrong byte.
        offset: u64,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, offset: u64) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, offset, source }
    }
}

impl From<Unprotectable> for Error {
    fn from(what: Unprotectable) -> Self {
        Self::Unprotectable(what)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unprotectable(what) => what.fmt(f),
            Self::Short { found, expected } => {
                write!(
                    f,
                    "the file has {found} bytes where {expected} were announced: was it written to its end?"
                )
            }
            Self::Io { action, offset, source } => write!(f, "cannot {action} at byte {offset}: {source}"),
            Self::Foreign { offset, what } => {
                write!(f, "the verity superblock at byte {offset} is not one of Lamina's: {what}")
            }
            Self::Mismatch(place) => place.fmt(f),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data { block } => {
                write!(f, "data block {block} (byte {}) does not match its hash", block * BLOCK)
            }
            Self::Tree { block } => {
                write!(f, "hash block {block} (byte {}) does not match its hash", block * BLOCK)
            }
            Self::Superblock { block } => {
                write!(f, "the verity superblock (byte {}) is not the one that was written", block * BLOCK)
            }
            Self::Parity { offset } => {
                write!(f, "the error correction at byte {offset} does not fit the data, which is right")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
