//! A tree from a directory of this machine.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{lgetxattr, llistxattr};

use crate::Error;
use crate::entry::{Content, Device, Entry, Kind, Metadata, Xattr};
use crate::tree::Tree;

/// Whose the entries will be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Owners {
    /// As on disk.
    #[default]
    Keep,
    /// Everything is root's.
    AllRoot,
}

/// When the entries will have been changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Times {
    /// As on disk.
    #[default]
    Keep,
    /// As on disk, but never later than this (seconds since 1970), as `SOURCE_DATE_EPOCH` asks.
    Clamp(u32),
    /// All at this time (seconds since 1970).
    Set(u32),
}

/// What to do with extended attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Xattrs {
    /// Keep all; one that squashfs cannot hold (as a POSIX ACL) is an error.
    #[default]
    Keep,
    /// Keep those that squashfs can hold and leave out the rest.
    KeepStorable,
    /// Leave all out.
    Drop,
}

/// How to make a tree from a directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanOptions {
    /// Whose the entries will be.
    pub owners: Owners,
    /// When they will have been changed.
    pub times: Times,
    /// Which extended attributes stay.
    pub xattrs: Xattrs,
}

impl Tree {
    /// Everything below `directory`, which becomes the root. Files are not read yet, only named. Hard links are kept
    /// among the names below `directory`. Mount points are entered.
    pub fn from_directory(directory: &Path, options: &ScanOptions) -> Result<Self, Error> {
        Self::from_directory_choosing(directory, options, &mut |_, _| true)
    }

    /// The same with those extended attributes alone that `choose` wants, which gets the path of an entry and the attribute's
    /// full name. It is asked before [`Xattrs`], and no value is read that it does not want.
    pub fn from_directory_choosing(
        directory: &Path,
        options: &ScanOptions,
        choose: &mut dyn FnMut(&Path, &[u8]) -> bool,
    ) -> Result<Self, Error> {
        let mut tree = Self::new();
        let mut linked = HashMap::new();
        let stat = |path: &Path| fs::symlink_metadata(path).map_err(|error| Error::io("stat", path, error));
        // Links are kept as links below, but a link given as `directory` stands for what it points to.
        let directory = fs::canonicalize(directory).map_err(|error| Error::io("find", directory, error))?;
        let root = stat(&directory)?;
        if !root.is_dir() {
            let problem = std::io::Error::from(std::io::ErrorKind::NotADirectory);
            return Err(Error::io("scan", directory, problem));
        }
        tree.insert(b"/", Entry::new(metadata(&directory, &root, options, choose)?, Kind::Directory))?;
        let mut waiting = vec![(directory, Vec::new())];
        while let Some((folder, inside)) = waiting.pop() {
            for found in fs::read_dir(&folder).map_err(|error| Error::io("list", &folder, error))? {
                let path = found.map_err(|error| Error::io("list", &folder, error))?.path();
                let name = path.file_name().expect("an entry of a directory has a name").as_bytes();
                let place = [&inside[..], b"/", name].concat();
                let stat = stat(&path)?;
                if !stat.is_dir() && stat.nlink() > 1 {
                    let first = linked.entry((stat.dev(), stat.ino())).or_insert_with(|| place.clone());
                    if *first != place {
                        tree.link(&place, first)?;
                        continue;
                    }
                }
                let kind = kind(&path, &stat)?;
                tree.insert(&place, Entry::new(metadata(&path, &stat, options, choose)?, kind))?;
                if stat.is_dir() {
                    waiting.push((path, place));
                }
            }
        }
        Ok(tree)
    }
}

fn kind(path: &Path, stat: &fs::Metadata) -> Result<Kind, Error> {
    let file_type = stat.file_type();
    let device = || Device { major: rustix::fs::major(stat.rdev()), minor: rustix::fs::minor(stat.rdev()) };
    Ok(if file_type.is_dir() {
        Kind::Directory
    } else if file_type.is_file() {
        Kind::File(Content::HostFile { path: path.to_owned(), len: stat.len() })
    } else if file_type.is_symlink() {
        let target = fs::read_link(path).map_err(|error| Error::io("read the link", path, error))?;
        Kind::Symlink(target.into_os_string().into_vec())
    } else if file_type.is_block_device() {
        Kind::BlockDevice(device())
    } else if file_type.is_char_device() {
        Kind::CharDevice(device())
    } else if file_type.is_fifo() {
        Kind::Fifo
    } else {
        Kind::Socket
    })
}

fn metadata(
    path: &Path,
    stat: &fs::Metadata,
    options: &ScanOptions,
    choose: &mut dyn FnMut(&Path, &[u8]) -> bool,
) -> Result<Metadata, Error> {
    let (uid, gid) = match options.owners {
        Owners::Keep => (stat.uid(), stat.gid()),
        Owners::AllRoot => (0, 0),
    };
    let mtime = match options.times {
        Times::Keep => stat.mtime(),
        Times::Clamp(latest) => stat.mtime().min(latest.into()),
        Times::Set(time) => time.into(),
    };
    Ok(Metadata {
        mode: stat.mode() & 0o7777,
        uid,
        gid,
        mtime,
        xattrs: xattrs(path, options.xattrs, choose)?,
    })
}

fn xattrs(
    path: &Path,
    wanted: Xattrs,
    choose: &mut dyn FnMut(&Path, &[u8]) -> bool,
) -> Result<Vec<Xattr>, Error> {
    if wanted == Xattrs::Drop {
        return Ok(Vec::new());
    }
    let mut names = Vec::with_capacity(256);
    if !list_names(path, &mut names)? {
        return Ok(Vec::new());
    }
    let mut xattrs = Vec::new();
    for name in names.split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        let storable =
            [&b"user."[..], b"trusted.", b"security."].iter().any(|family| name.starts_with(family));
        if !choose(path, name) || (!storable && wanted == Xattrs::KeepStorable) {
            continue;
        }
        if !storable {
            let problem = format!(
                "squashfs cannot hold the extended attribute {}: remove it (an ACL with `setfacl -b`), or leave such \
                 attributes out",
                name.escape_ascii()
            );
            return Err(Error::io("store", path, std::io::Error::other(problem)));
        }
        let mut value = Vec::with_capacity(1 << 16);
        lgetxattr(path, OsStr::from_bytes(name), rustix::buffer::spare_capacity(&mut value))
            .map_err(|error| Error::io("read the extended attributes of", path, error))?;
        value.shrink_to_fit();
        xattrs.push(Xattr { name: name.to_vec(), value });
    }
    Ok(xattrs)
}

/// Fills `names` with the NUL-terminated names; false where the file system has no extended attributes.
fn list_names(path: &Path, names: &mut Vec<u8>) -> Result<bool, Error> {
    loop {
        names.clear();
        match llistxattr(path, rustix::buffer::spare_capacity(names)) {
            Ok(_) => return Ok(true),
            Err(rustix::io::Errno::RANGE) => names.reserve(names.capacity() * 4),
            Err(rustix::io::Errno::NOTSUP) => return Ok(false),
            Err(error) => {
                return Err(Error::io("list the extended attributes of", PathBuf::from(path), error));
            }
        }
    }
}
