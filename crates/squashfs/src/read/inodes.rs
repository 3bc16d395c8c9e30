//! One inode (`squashfs.rst`, section 3.2; the structures of the kernel's `squashfs_fs.h`).

use super::cursor::{Cursor, MetadataPosition};
use super::file::{FileData, FragmentPlace};
use super::{Image, Item};
use crate::Error;
use crate::entry::{Kind, Metadata, TARGET_MAX};
use crate::inode::{
    BLOCK_DEVICE, CHAR_DEVICE, DIRECTORY, EXTENDED, FIFO, FILE, SOCKET, SYMLINK, decode_device,
};
use crate::superblock::NONE;

/// Where a directory's listing is.
#[derive(Clone, Debug)]
pub(super) struct DirectoryData {
    /// The position of its metadata block, relative to the directory table.
    pub(super) block: u32,
    pub(super) offset: u16,
    /// With the 3 bytes that stand for `.` and `..`.
    pub(super) size: u32,
}

/// What an inode is.
pub(super) enum Found {
    Directory(DirectoryData),
    Other(Kind<FileData>),
}

/// An inode, read but for its owners' ids and its extended attributes.
pub(super) struct Inode {
    pub(super) found: Found,
    reference: u64,
    links: u32,
    mode: u16,
    uid: u16,
    gid: u16,
    mtime: u32,
    xattrs: u32,
}

impl Image {
    pub(super) fn inode(&self, reference: u64) -> Result<Inode, Error> {
        let table = self.superblock.inode_table;
        let place = MetadataPosition::from_reference(reference, table)
            .filter(|place| place.block < self.superblock.directory_table)
            .ok_or_else(|| self.blocks.damaged("damaged: an inode lies outside the inode table"))?;
        let mut cursor = Cursor::new(self, place);
        let number = cursor.half()?;
        let (mode, uid, gid) = (cursor.half()?, cursor.half()?, cursor.half()?);
        let (mtime, _number) = (cursor.word()?, cursor.word()?);
        let extended = number > EXTENDED;
        let body = match number - if extended { EXTENDED } else { 0 } {
            DIRECTORY => directory(&mut cursor, extended)?,
            FILE => self.file(&mut cursor, extended)?,
            basic @ (SYMLINK | BLOCK_DEVICE | CHAR_DEVICE | FIFO | SOCKET) => {
                self.special(&mut cursor, basic, extended)?
            }
            _ => return Err(self.blocks.damaged(format!("damaged: an inode of type {number}"))),
        };
        let Body { found, links, xattrs } = body;
        Ok(Inode { found, reference, links, mode, uid, gid, mtime, xattrs })
    }

    /// Completes an inode to what the outside sees.
    pub(super) fn item(&self, path: Vec<u8>, inode: Inode) -> Result<Item, Error> {
        let metadata = Metadata {
            mode: u32::from(inode.mode & 0o7777),
            uid: self.owner(inode.uid)?,
            gid: self.owner(inode.gid)?,
            mtime: inode.mtime.into(),
            xattrs: self.xattrs(inode.xattrs)?,
        };
        let kind = match inode.found {
            Found::Directory(_) => Kind::Directory,
            Found::Other(kind) => kind,
        };
        Ok(Item { path, metadata, kind, identity: inode.reference, links: inode.links })
    }

    fn owner(&self, number: u16) -> Result<u32, Error> {
        if number >= self.superblock.ids {
            return Err(self.blocks.damaged(format!("damaged: owner {number} is not in the id table")));
        }
        self.table_entry(self.superblock.id_table, number.into(), 4)?.word()
    }

    fn file(&self, cursor: &mut Cursor<'_>, extended: bool) -> Result<Body, Error> {
        let (start, fragment, offset, size, links, xattrs);
        if extended {
            (start, size) = (cursor.long()?, cursor.long()?);
            let _sparse = cursor.long()?;
            (links, fragment, offset, xattrs) =
                (cursor.word()?, cursor.word()?, cursor.word()?, cursor.word()?);
        } else {
            start = u64::from(cursor.word()?);
            (fragment, offset) = (cursor.word()?, cursor.word()?);
            size = u64::from(cursor.word()?);
            (links, xattrs) = (1, NONE);
        }
        let fragment = (fragment != NONE).then_some(FragmentPlace { number: fragment, offset });
        if fragment.is_some_and(|fragment| fragment.number >= self.superblock.fragments) {
            return Err(self.blocks.damaged("damaged: a file names a fragment that does not exist"));
        }
        let data = FileData::new(size, start, fragment, cursor.place());
        Ok(Body { found: Found::Other(Kind::File(data)), links, xattrs })
    }

    fn special(&self, cursor: &mut Cursor<'_>, basic: u16, extended: bool) -> Result<Body, Error> {
        let links = cursor.word()?;
        let kind = match basic {
            SYMLINK => {
                let len = cursor.word()? as usize;
                if len == 0 || len > TARGET_MAX {
                    let problem = format!("damaged: a symbolic link with a target of {len} bytes");
                    return Err(self.blocks.damaged(problem));
                }
                let target = cursor.bytes(len)?;
                if target.contains(&0) {
                    return Err(self.blocks.damaged("damaged: a symbolic link's target contains NUL"));
                }
                Kind::Symlink(target)
            }
            BLOCK_DEVICE => Kind::BlockDevice(decode_device(cursor.word()?)),
            CHAR_DEVICE => Kind::CharDevice(decode_device(cursor.word()?)),
            FIFO => Kind::Fifo,
            _ => Kind::Socket,
        };
        let xattrs = if extended { cursor.word()? } else { NONE };
        Ok(Body { found: Found::Other(kind), links, xattrs })
    }
}

/// What follows the header that all inodes share.
struct Body {
    found: Found,
    links: u32,
    xattrs: u32,
}

fn directory(cursor: &mut Cursor<'_>, extended: bool) -> Result<Body, Error> {
    let (data, links, xattrs);
    if extended {
        links = cursor.word()?;
        let (size, block) = (cursor.word()?, cursor.word()?);
        let (_parent, _index) = (cursor.word()?, cursor.half()?);
        data = DirectoryData { block, offset: cursor.half()?, size };
        xattrs = cursor.word()?;
    } else {
        let block = cursor.word()?;
        links = cursor.word()?;
        let size = u32::from(cursor.half()?);
        data = DirectoryData { block, offset: cursor.half()?, size };
        xattrs = NONE;
    }
    Ok(Body { found: Found::Directory(data), links, xattrs })
}
