//! Listings (`squashfs.rst`, section 3.3), and the walk over all of them.

use std::collections::HashSet;

use super::cursor::{Cursor, MetadataPosition};
use super::inodes::{DirectoryData, Found};
use super::{Image, Item};
use crate::Error;
use crate::entry::NAME_MAX;

/// A walk ends with an error after this many names: a small hostile image can describe more than anyone can list.
const NAMES_MAX: u64 = 1 << 26;
/// The longest path that a walk follows: Linux takes no longer one.
const PATH_MAX: usize = 4095;

/// One entry of a listing.
pub(super) struct Name {
    pub(super) name: Vec<u8>,
    pub(super) reference: u64,
}

/// Reads one listing, entry by entry.
pub(super) struct Directory<'a> {
    image: &'a Image,
    cursor: Cursor<'a>,
    /// How many bytes of the listing are left.
    left: u64,
    /// How many entries of the current run are left, and the block of their inodes.
    run: u32,
    inode_block: u32,
}

impl<'a> Directory<'a> {
    pub(super) fn new(image: &'a Image, data: &DirectoryData) -> Self {
        let block = image.superblock.directory_table.saturating_add(data.block.into());
        let cursor = Cursor::new(image, MetadataPosition { block, offset: data.offset.into() });
        Self { image, cursor, left: u64::from(data.size).saturating_sub(3), run: 0, inode_block: 0 }
    }

    /// The next name in the directory at `path`.
    pub(super) fn next_name(&mut self, path: &[u8]) -> Result<Option<Name>, Error> {
        if self.run == 0 {
            if self.left == 0 {
                return Ok(None);
            }
            self.take(12, path)?;
            let (count, block, _number) = (self.cursor.word()?, self.cursor.word()?, self.cursor.word()?);
            if count >= 256 {
                return Err(self.damaged(path, "a run of more than 256 names"));
            }
            (self.run, self.inode_block) = (count + 1, block);
        }
        self.take(8, path)?;
        let (offset, _number) = (self.cursor.half()?, self.cursor.half()?);
        let (_type, len) = (self.cursor.half()?, usize::from(self.cursor.half()?) + 1);
        if len > NAME_MAX {
            return Err(self.damaged(path, "a name longer than 255 bytes"));
        }
        self.take(len as u64, path)?;
        let name = self.cursor.bytes(len)?;
        if name == b"." || name == b".." || name.iter().any(|&byte| byte == b'/' || byte == 0) {
            return Err(self.damaged(path, "a name that is `.` or `..`, or contains `/` or NUL"));
        }
        self.run -= 1;
        Ok(Some(Name { name, reference: u64::from(self.inode_block) << 16 | u64::from(offset) }))
    }

    fn take(&mut self, bytes: u64, path: &[u8]) -> Result<(), Error> {
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or_else(|| self.damaged(path, "its size is wrong"))?;
        Ok(())
    }

    fn damaged(&self, path: &[u8], problem: &str) -> Error {
        let path = crate::error::Printable(path);
        self.image.blocks.damaged(format!("damaged directory {path}: {problem}"))
    }
}

/// Walks over all names of an image; see [`Image::walk`].
pub struct Walk<'a> {
    image: &'a Image,
    /// The directories above the next name, with their paths' lengths.
    open: Vec<(Directory<'a>, usize)>,
    path: Vec<u8>,
    /// Directories that were entered: a second name for one would let the walk go round for ever.
    entered: HashSet<u64>,
    names: u64,
    state: State,
}

#[derive(PartialEq)]
enum State {
    Fresh,
    Walking,
    Ended,
}

impl<'a> Walk<'a> {
    pub(super) fn new(image: &'a Image) -> Self {
        let (open, path, entered) = (Vec::new(), Vec::new(), HashSet::new());
        Self { image, open, path, entered, names: 0, state: State::Fresh }
    }

    fn step(&mut self) -> Result<Option<Item>, Error> {
        if self.state == State::Fresh {
            self.state = State::Walking;
            let root = self.enter(self.image.superblock.root)?;
            if self.open.is_empty() {
                return Err(self.image.blocks.damaged("damaged: the root is not a directory"));
            }
            return Ok(Some(root));
        }
        while let Some((directory, length)) = self.open.last_mut() {
            self.path.truncate(*length);
            match directory.next_name(&self.path)? {
                Some(name) => {
                    self.append(&name.name)?;
                    return self.enter(name.reference).map(Some);
                }
                None => {
                    self.open.pop();
                }
            }
        }
        Ok(None)
    }

    fn append(&mut self, name: &[u8]) -> Result<(), Error> {
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name);
        self.names += 1;
        if self.path.len() > PATH_MAX {
            let problem = format!("a path is longer than the {PATH_MAX} bytes that Linux takes");
            return Err(self.image.blocks.damaged(problem));
        }
        if self.names > NAMES_MAX {
            let problem = format!("more than {NAMES_MAX} names, which no honest image has");
            return Err(self.image.blocks.damaged(problem));
        }
        Ok(())
    }

    fn enter(&mut self, reference: u64) -> Result<Item, Error> {
        let inode = self.image.inode(reference)?;
        if let Found::Directory(data) = &inode.found {
            if !self.entered.insert(reference) {
                let path = crate::error::Printable(&self.path);
                let problem = format!("damaged directory {path}: it has a second name");
                return Err(self.image.blocks.damaged(problem));
            }
            self.open.push((Directory::new(self.image, data), self.path.len()));
        }
        self.image.item(self.path.clone(), inode)
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<Item, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Ended {
            return None;
        }
        let step = self.step().transpose();
        if !matches!(step, Some(Ok(_))) {
            self.state = State::Ended;
        }
        step
    }
}
