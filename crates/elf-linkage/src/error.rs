//! Why a file cannot be read as ELF.

use std::{fmt, io};

/// Why a file says nothing about its linkage. Each text can stand behind the name of the file.
#[derive(Debug)]
pub enum Error {
    /// It is something else, or of a kind of ELF that nobody has.
    NotElf,
    /// What it says of itself cannot be.
    Damaged(&'static str),
    /// It has more of something than anybody takes.
    TooMuch {
        /// Of what.
        what: &'static str,
        /// How much it has, where that was counted.
        found: u64,
        /// How much is taken.
        most: u64,
    },
    /// Its bytes cannot be read.
    Source(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotElf => write!(f, "is no ELF file"),
            Error::Damaged(what) => write!(f, "is a damaged ELF file: {what}"),
            Error::TooMuch { what, found, most } => {
                write!(f, "is no ELF file that can be used: of {what} it has {found}, and {most} are taken")
            }
            Error::Source(error) => write!(f, "cannot be read: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Source(error) => Some(error),
            _ => None,
        }
    }
}

/// Refuses what is more than `most`.
pub(crate) fn at_most(what: &'static str, found: u64, most: u64) -> Result<(), Error> {
    match found <= most {
        true => Ok(()),
        false => Err(Error::TooMuch { what, found, most }),
    }
}
