//! The inode and directory tables (`squashfs.rst`, sections 3.2 and 3.3).
//!
//! Children come before their directory, because a listing says where each child's inode is. All children of one directory
//! stand together, so that its listing needs few headers.

use super::WriteOptions;
use super::directory::{self, Listing, Name};
use super::metadata::{MetadataPosition, MetadataWriter};
use super::owners::Owners;
use super::pipeline::{Layouts, Tail};
use super::xattrs::XattrSets;
use crate::Error;
use crate::compressor::BlockCompressor;
use crate::entry::Kind;
use crate::inode::{EXTENDED, basic_type, encode_device};
use crate::superblock::NONE;
use crate::tree::{InodeId, ROOT, Tree};

/// The finished tables.
pub(super) struct InodeTables {
    /// The inode table, compressed.
    pub(super) inodes: Vec<u8>,
    /// The directory table, compressed.
    pub(super) directories_table: Vec<u8>,
    /// The reference of the root's inode.
    pub(super) root: u64,
    /// How many inodes there are, and how many of them are directories.
    pub(super) count: u32,
    pub(super) directories: u32,
    pub(super) owners: Owners,
    pub(super) xattrs: XattrSets,
    places: Vec<Option<MetadataPosition>>,
    numbers: Vec<u32>,
}

impl InodeTables {
    /// The reference of every inode, in the order of their numbers, which start at 1.
    pub(super) fn export_table(&self) -> Vec<u8> {
        let mut references = vec![0; self.count as usize];
        for (number, place) in self.numbers.iter().zip(&self.places) {
            if let Some(place) = place {
                references[*number as usize - 1] = place.reference();
            }
        }
        references.iter().flat_map(|reference: &u64| reference.to_le_bytes()).collect()
    }
}

/// Builds both tables from the tree and from where the files' bytes went.
pub(super) fn build(
    tree: &Tree,
    data: &Layouts,
    options: &WriteOptions,
    block_compressor: &mut BlockCompressor,
) -> Result<InodeTables, Error> {
    let numbering = Numbering::new(tree)?;
    let mut builder = Builder {
        tree,
        data,
        block_size: options.block_size,
        block_compressor,
        numbers: &numbering.numbers,
        places: vec![None; tree.arena()],
        inodes: MetadataWriter::default(),
        listings: MetadataWriter::default(),
        owners: Owners::default(),
        xattrs: XattrSets::default(),
    };
    let mut listed = vec![None; tree.arena()];
    for &(directory, _) in numbering.directories.iter().rev() {
        let listing = builder.children(directory, &mut listed)?;
        listed[directory] = Some(listing);
    }
    let listing = listed[ROOT].take().unwrap_or_default();
    // As mksquashfs has it: the root's parent is one more than the last inode.
    let root = builder.directory(ROOT, numbering.count + 1, &listing)?.reference();
    let Builder { inodes, listings, owners, xattrs, places, .. } = builder;
    Ok(InodeTables {
        inodes: inodes.finish(block_compressor)?,
        directories_table: listings.finish(block_compressor)?,
        root,
        count: numbering.count,
        directories: numbering.directories.len() as u32,
        owners,
        xattrs,
        places,
        numbers: numbering.numbers,
    })
}

/// Inode numbers: siblings are consecutive, which keeps the differences in a listing small.
struct Numbering {
    /// By arena place; 0 for what no name leads to.
    numbers: Vec<u32>,
    /// Every directory with its parent, parents before children.
    directories: Vec<(InodeId, InodeId)>,
    count: u32,
}

impl Numbering {
    fn new(tree: &Tree) -> Result<Self, Error> {
        let mut numbers = vec![0; tree.arena()];
        let mut directories = Vec::new();
        let mut count = 1u32;
        numbers[ROOT] = count;
        let mut waiting = vec![(ROOT, ROOT)];
        while let Some((directory, parent)) = waiting.pop() {
            directories.push((directory, parent));
            for &child in tree.inode(directory).children.values() {
                if numbers[child] == 0 {
                    count = count.checked_add(1).filter(|&count| count < u32::MAX).ok_or_else(|| {
                        Error::Limit("the tree has more than 2^32 - 2 inodes: split it".into())
                    })?;
                    numbers[child] = count;
                }
            }
            let children = tree.inode(directory).children.values().rev();
            waiting.extend(
                children
                    .filter(|&&child| tree.inode(child).entry.kind == Kind::Directory)
                    .map(|&child| (child, directory)),
            );
        }
        Ok(Self { numbers, directories, count })
    }
}

struct Builder<'a> {
    tree: &'a Tree,
    data: &'a Layouts,
    block_size: u32,
    block_compressor: &'a mut BlockCompressor,
    numbers: &'a [u32],
    /// Where the inodes written so far are.
    places: Vec<Option<MetadataPosition>>,
    inodes: MetadataWriter,
    listings: MetadataWriter,
    owners: Owners,
    xattrs: XattrSets,
}

impl Builder<'_> {
    /// Writes the inodes of a directory's children, then its listing. `listed` holds those of its subdirectories.
    fn children(&mut self, directory: InodeId, listed: &mut [Option<Listing>]) -> Result<Listing, Error> {
        let tree = self.tree;
        let mut names = Vec::with_capacity(tree.inode(directory).children.len());
        for (name, &child) in &tree.inode(directory).children {
            let kind = &tree.inode(child).entry.kind;
            let inode = match (self.places[child], kind) {
                (Some(place), _) => place,
                (None, Kind::Directory) => {
                    let listing = listed[child].take().unwrap_or_default();
                    self.directory(child, self.numbers[directory], &listing)?
                }
                (None, Kind::File(_)) => self.file(child)?,
                (None, _) => self.special(child)?,
            };
            names.push(Name { name, inode, number: self.numbers[child], basic_type: basic_type(kind) });
        }
        let listing = directory::write(&names, &mut self.listings, self.block_compressor);
        if u32::try_from(listing.size + 3).is_err() {
            let path = tree.path_of(directory);
            return Err(Error::entry(&path, "the directory's listing is over 4 GiB: split it"));
        }
        Ok(listing)
    }

    fn directory(&mut self, id: InodeId, parent: u32, listing: &Listing) -> Result<MetadataPosition, Error> {
        let xattrs = self.xattr_number(id)?;
        // `.` in itself, `..` in each subdirectory, and its own name.
        let below = self.tree.inode(id).children.values();
        let subdirectories =
            below.filter(|&&child| self.tree.inode(child).entry.kind == Kind::Directory).count() as u32;
        let links = 2 + subdirectories;
        let size = (listing.size + 3) as u32;
        let mut body = Vec::new();
        let extended = xattrs != NONE || size > u32::from(u16::MAX);
        if extended {
            words(&mut body, &[links, size, listing.place.block, parent]);
            halves(&mut body, &[listing.index_count, listing.place.offset]);
            words(&mut body, &[xattrs]);
            body.extend_from_slice(&listing.index);
        } else {
            words(&mut body, &[listing.place.block, links]);
            halves(&mut body, &[size as u16, listing.place.offset]);
            words(&mut body, &[parent]);
        }
        self.inode(id, extended, &body)
    }

    fn file(&mut self, id: InodeId) -> Result<MetadataPosition, Error> {
        let xattrs = self.xattr_number(id)?;
        let inode = self.tree.inode(id);
        let Kind::File(content) = &inode.entry.kind else { unreachable!("only files come here") };
        let len = content.len();
        let layout = self.data.of(id);
        let tail = layout.tail.unwrap_or(Tail { fragment: NONE, offset: 0 });
        let basic = (u32::try_from(layout.start).ok()).zip(u32::try_from(len).ok());
        let mut body = Vec::with_capacity(48 + layout.blocks.len() * 4);
        let extended = match basic {
            Some((start, len)) if xattrs == NONE && inode.names == 1 && layout.sparse == 0 => {
                words(&mut body, &[start, tail.fragment, tail.offset, len]);
                false
            }
            _ => {
                // Linux shows `len - sparse` as the room taken, and would round nothing at all up to something absurd.
                let sparse = layout.sparse.min(len.saturating_sub(1));
                for long in [layout.start, len, sparse] {
                    body.extend_from_slice(&long.to_le_bytes());
                }
                words(&mut body, &[inode.names, tail.fragment, tail.offset, xattrs]);
                true
            }
        };
        debug_assert_eq!(layout.blocks.len() as u64, len / u64::from(self.block_size));
        words(&mut body, &layout.blocks);
        self.inode(id, extended, &body)
    }

    /// Symbolic links, devices, fifos, sockets.
    fn special(&mut self, id: InodeId) -> Result<MetadataPosition, Error> {
        let xattrs = self.xattr_number(id)?;
        let inode = self.tree.inode(id);
        let mut body = Vec::new();
        words(&mut body, &[inode.names]);
        match &inode.entry.kind {
            Kind::Symlink(target) => {
                words(&mut body, &[target.len() as u32]);
                body.extend_from_slice(target);
            }
            Kind::BlockDevice(device) | Kind::CharDevice(device) => {
                words(&mut body, &[encode_device(*device)]);
            }
            _ => {}
        }
        if xattrs != NONE {
            words(&mut body, &[xattrs]);
        }
        self.inode(id, xattrs != NONE, &body)
    }

    fn xattr_number(&mut self, id: InodeId) -> Result<u32, Error> {
        let tree = self.tree;
        self.xattrs.number(&tree.inode(id).entry.metadata.xattrs, || tree.path_of(id))
    }

    /// The header that all inodes share, then `body`.
    fn inode(&mut self, id: InodeId, extended: bool, body: &[u8]) -> Result<MetadataPosition, Error> {
        let entry = &self.tree.inode(id).entry;
        let metadata = &entry.metadata;
        let number = basic_type(&entry.kind) + if extended { EXTENDED } else { 0 };
        let (uid, gid) = (self.owners.number(metadata.uid)?, self.owners.number(metadata.gid)?);
        let mut header = Vec::with_capacity(16);
        halves(&mut header, &[number, (metadata.mode & 0o7777) as u16, uid, gid]);
        let mtime = metadata.mtime.clamp(0, u32::MAX.into()) as u32;
        words(&mut header, &[mtime, self.numbers[id]]);
        let place = self.inodes.place();
        self.inodes.write(&header, self.block_compressor);
        self.inodes.write(body, self.block_compressor);
        self.places[id] = Some(place);
        Ok(place)
    }
}

fn words(body: &mut Vec<u8>, words: &[u32]) {
    body.extend(words.iter().flat_map(|word| word.to_le_bytes()));
}

fn halves(body: &mut Vec<u8>, halves: &[u16]) {
    body.extend(halves.iter().flat_map(|half| half.to_le_bytes()));
}
