//! Reading, with no trust in a single byte: every position, size and count is checked before it is used, nothing is
//! allocated because an image says so, and every loop ends.
//!
//! | module | job |
//! |---|---|
//! | `blocks` | the file underneath: bounded reads, metadata blocks, a small cache |
//! | `cursor` | reads numbers and strings across metadata blocks |
//! | `inodes` | one inode |
//! | `directory` | listings, and the walk over the whole tree |
//! | `file` | the bytes of one file |
//! | `anywhere` | the same in any order |
//! | `xattrs` | extended attributes |
//! | `unpack` | a directory of this machine from an image |

mod anywhere;
mod blocks;
mod cursor;
mod directory;
mod file;
mod inodes;
mod unpack;
mod xattrs;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::entry::{Kind, Metadata};
use crate::error::Error;
use crate::superblock::{self, Superblock};
use crate::tree::components;

use blocks::Blocks;
use directory::Directory;
use inodes::Found;

pub use anywhere::AnywhereReader;
pub use blocks::Source;
pub use directory::Walk;
pub use file::{FileData, FileReader};
pub use unpack::{SpecialFiles, UnpackOptions, Unpacked};

/// The largest file that [`Image::read`] takes into memory, in bytes. Larger ones are for [`Image::reader`].
const READ_MAX: u64 = 256 << 20;

/// An image that is open for reading.
pub struct Image {
    blocks: Blocks,
    superblock: Superblock,
}

/// One name of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// From the root, without a leading `/`; the root itself is empty.
    pub path: Vec<u8>,
    /// Owner, permissions, time, extended attributes.
    pub metadata: Metadata,
    /// What it is.
    pub kind: Kind<FileData>,
    /// Equal for two names of one inode (hard links), different for different inodes.
    pub identity: u64,
    /// How many names the inode says that it has; for a directory, 2 and one for each subdirectory.
    pub links: u32,
}

impl Image {
    /// Opens an image and checks its superblock.
    pub fn open(path: &Path) -> Result<Self, Error> {
        // Looked at first: opening a FIFO would wait for a writer.
        let found = std::fs::metadata(path).map_err(|error| Error::io("open", path, error))?;
        if !found.is_file() {
            return Err(Error::image(path, "not a squashfs image: it is not a regular file"));
        }
        let file = File::open(path).map_err(|error| Error::io("open", path, error))?;
        Self::from_file(file, path)
    }

    /// Reads from an open file; `label` names it in messages.
    pub fn from_file(file: File, label: &Path) -> Result<Self, Error> {
        let size = file.metadata().map_err(|error| Error::io("stat", label, error))?.len();
        Self::from_source(Box::new(file), size, label)
    }

    /// Reads from elsewhere, `size` bytes at most; `label` names it in messages.
    pub fn from_source(source: Box<dyn Source>, size: u64, label: &Path) -> Result<Self, Error> {
        let mut start = [0; superblock::SIZE];
        if size < start.len() as u64 {
            return Err(Error::image(label, format!("not a squashfs image: it has only {size} bytes")));
        }
        source.read_exact_at(&mut start, 0).map_err(|error| Error::io("read", label, error))?;
        let superblock = Superblock::decode(&start, size).map_err(|problem| Error::image(label, problem))?;
        let blocks = Blocks::new(source, label, &superblock)?;
        Ok(Self { blocks, superblock })
    }

    /// What the superblock says.
    pub fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// Every name, parents before children, in the order of the listings; the root is first. After an error it ends.
    pub fn walk(&self) -> Walk<'_> {
        Walk::new(self)
    }

    /// What is at `path`, if anything is. Symbolic links are not followed.
    pub fn find(&self, path: &[u8]) -> Result<Option<Item>, Error> {
        let mut found = self.inode(self.superblock.root)?;
        let mut inside = Vec::new();
        for name in components(path)? {
            let Found::Directory(directory) = found.found else { return Ok(None) };
            let mut listing = Directory::new(self, &directory);
            let reference = loop {
                match listing.next_name(&inside)? {
                    Some(entry) if entry.name == name => break entry.reference,
                    Some(_) => {}
                    None => return Ok(None),
                }
            };
            found = self.inode(reference)?;
            if !inside.is_empty() {
                inside.push(b'/');
            }
            inside.extend_from_slice(name);
        }
        self.item(inside, found).map(Some)
    }

    /// The bytes of the file at `path`, which may have 256 MiB at most.
    pub fn read(&self, path: &[u8]) -> Result<Vec<u8>, Error> {
        let item = self.find(path)?.ok_or_else(|| self.problem(path, "not in the image"))?;
        let Kind::File(data) = &item.kind else {
            return Err(self.problem(path, "not a regular file"));
        };
        if data.len() > READ_MAX {
            let problem = format!("{} bytes are too many to hold in memory: unpack the image", data.len());
            return Err(self.problem(path, &problem));
        }
        let mut bytes = Vec::new();
        self.reader(data).read_to_end(&mut bytes).map_err(|error| self.problem(path, &error.to_string()))?;
        Ok(bytes)
    }

    /// Reads the bytes of a file, one block after another.
    pub fn reader(&self, data: &FileData) -> FileReader<'_> {
        FileReader::new(self, data)
    }

    /// Reads the bytes of a file in any order.
    pub fn anywhere<'a>(&'a self, data: &'a FileData) -> AnywhereReader<'a> {
        AnywhereReader::new(self, data)
    }

    fn problem(&self, path: &[u8], problem: &str) -> Error {
        self.blocks.damaged(format!("{}: {problem}", crate::error::Printable(path)))
    }
}
