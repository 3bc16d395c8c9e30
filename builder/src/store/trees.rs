//! Whether a tree still is what its image says. It has no digest of its own: the image, which has one, is what it is compared with.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use squashfs::{FileData, Image, Item, Kind};

/// Of the mode, what [`super::Store::unpacked`] keeps: the owner is another, so that the bits that borrow his rights go.
const KEPT_MODE: u32 = 0o1777;
/// Bytes that are compared at a time.
const PIECE: u64 = 1 << 16;

/// Compares names, kinds, permissions, contents of files and targets of links. Not owners, times, extended attributes, and device
/// nodes, which are not unpacked as the image has them.
///
/// # Errors
/// A sentence about the first difference.
pub(super) fn compare(image: &Image, folder: &Path) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for item in image.walk() {
        let item = item.map_err(|error| error.to_string())?;
        if is_unpacked(&item.kind) {
            same(image, &item, folder).map_err(|why| told(&item.path, why))?;
            names.insert(item.path);
        }
    }
    nothing_else(folder, &[], &names)
}

fn told(path: &[u8], why: impl std::fmt::Display) -> String {
    format!("/{}: {why}", String::from_utf8_lossy(path))
}

/// Of device nodes only overlayfs's whiteouts are.
fn is_unpacked(kind: &Kind<FileData>) -> bool {
    match kind {
        Kind::CharDevice(device) => (device.major, device.minor) == (0, 0),
        Kind::BlockDevice(_) => false,
        _ => true,
    }
}

fn same(image: &Image, item: &Item, folder: &Path) -> Result<(), String> {
    let text = |error: io::Error| error.to_string();
    let path = folder.join(OsStr::from_bytes(&item.path));
    let found = fs::symlink_metadata(&path).map_err(text)?;
    let kind = found.file_type();
    let is_the_same_kind = match &item.kind {
        Kind::Directory => kind.is_dir(),
        Kind::File(_) => kind.is_file(),
        Kind::Symlink(_) => kind.is_symlink(),
        Kind::Fifo => kind.is_fifo(),
        Kind::Socket => kind.is_socket(),
        Kind::CharDevice(_) | Kind::BlockDevice(_) => kind.is_char_device() && found.rdev() == 0,
    };
    if !is_the_same_kind {
        return Err("is something else than in the image".to_owned());
    }
    if !kind.is_symlink() && found.mode() & 0o7777 != item.metadata.mode & KEPT_MODE {
        return Err("has other permissions than in the image".to_owned());
    }
    match &item.kind {
        Kind::Symlink(target) if fs::read_link(&path).map_err(text)?.as_os_str().as_bytes() != target => {
            Err("leads elsewhere than in the image".to_owned())
        }
        Kind::File(data) => {
            let file = File::open(&path).map_err(text)?;
            let equal = found.len() == data.len() && equal(image.reader(data), file).map_err(text)?;
            if equal { Ok(()) } else { Err("has other contents than in the image".to_owned()) }
        }
        _ => Ok(()),
    }
}

/// Both to their end.
fn equal(mut one: impl Read, mut other: impl Read) -> io::Result<bool> {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    loop {
        left.clear();
        right.clear();
        one.by_ref().take(PIECE).read_to_end(&mut left)?;
        other.by_ref().take(PIECE).read_to_end(&mut right)?;
        if left != right {
            return Ok(false);
        }
        if left.is_empty() {
            return Ok(true);
        }
    }
}

/// Whether every name below `inside` is one of these.
fn nothing_else(folder: &Path, inside: &[u8], names: &BTreeSet<Vec<u8>>) -> Result<(), String> {
    let here = folder.join(OsStr::from_bytes(inside));
    let entries = fs::read_dir(&here).map_err(|error| told(inside, error))?;
    for entry in entries {
        let entry = entry.map_err(|error| told(inside, error))?;
        let mut path = inside.to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(entry.file_name().as_bytes());
        if !names.contains(&path) {
            return Err(told(&path, "is not in the image"));
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            nothing_else(folder, &path, names)?;
        }
    }
    Ok(())
}
