//! Reads what a [`Content`] names.

use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::FileExt;

use rustix::fs::{SeekFrom, seek};

use crate::entry::Content;

/// A content that is open for reading.
pub(super) enum OpenContent<'a> {
    Bytes(&'a [u8]),
    HostFile(File),
    Range { file: &'a File, offset: u64 },
}

impl<'a> OpenContent<'a> {
    /// Opens it; a file of this machine that no longer has the expected size is an error.
    pub(super) fn open(content: &'a Content) -> Result<Self> {
        Ok(match content {
            Content::Bytes(bytes) => Self::Bytes(bytes),
            Content::HostFile { path, len } => {
                let file = File::open(path)?;
                let now = file.metadata()?.len();
                if now != *len {
                    let problem = format!("it had {len} bytes and now has {now}: leave it alone meanwhile");
                    return Err(Error::new(ErrorKind::InvalidData, problem));
                }
                Self::HostFile(file)
            }
            Content::Range { file, offset, .. } => Self::Range { file, offset: *offset },
        })
    }

    /// Fills `part` from `at`. A content that ends early is an error.
    pub(super) fn read_at(&self, part: &mut [u8], at: u64) -> Result<()> {
        match self {
            Self::Bytes(bytes) => {
                let at = at as usize;
                part.copy_from_slice(&bytes[at..at + part.len()]);
                Ok(())
            }
            Self::HostFile(file) => file.read_exact_at(part, at),
            Self::Range { file, offset } => file.read_exact_at(part, offset + at),
        }
    }

    /// Whether the file system knows that `len` bytes from `at` are a hole. False only costs the time to read zeros.
    pub(super) fn is_hole(&self, at: u64, len: u64) -> bool {
        match self {
            Self::HostFile(file) => match seek(file, SeekFrom::Data(at)) {
                Ok(data) => data >= at + len,
                Err(error) => error == rustix::io::Errno::NXIO,
            },
            _ => false,
        }
    }
}
