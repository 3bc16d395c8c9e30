//! Tar archives of every age: tar(5) of libarchive, pax in POSIX.1-2024, and the GNU manual's "Basic Tar Format".
//!
//! The crate `tar` reads headers and writes files; it leaves entries out whose names lead outside, makes empty files of what it
//! does not know, and does not know the sparse files of the pax format. So every entry is looked at before it is written.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use decompress::Compression;
use tar::EntryType;

use crate::error::{Part, Problem, damaged, lossy, while_doing};
use crate::limits::{self, Bounded};

/// Keywords of pax headers that the crate acts on, or that say nothing about what a file holds.
const KNOWN_KEYWORDS: [&str; 12] = [
    "path", "linkpath", "size", "uid", "gid", "uname", "gname", "mtime", "atime", "ctime", "comment",
    "charset",
];
/// Attributes and origins: not unpacked, and no source is known to need them.
const LEFT_OUT: [&str; 9] = [
    "hdrcharset",
    "SCHILY.xattr.",
    "SCHILY.acl.",
    "SCHILY.fflags",
    "SCHILY.dev",
    "SCHILY.ino",
    "SCHILY.nlink",
    "LIBARCHIVE.",
    "RHT.security.",
];
/// In a header for the whole archive, these would give every file one name or one size.
const NOT_FOR_ALL: [&str; 3] = ["path", "linkpath", "size"];

/// Unpacks all of `file` into the empty folder `target` and returns the number of entries.
pub(crate) fn unpack(file: File, compression: Compression, target: &Path) -> Part<usize> {
    let reading = while_doing("reading it");
    let plain = compression.reader(BufReader::with_capacity(1 << 16, file)).map_err(&reading)?;
    let mut archive = tar::Archive::new(Bounded::new(plain));
    let mut entries = 0;
    let mut folders = Vec::new();
    for entry in archive.entries().map_err(&reading)? {
        let mut entry = entry.map_err(&reading)?;
        limits::count(&mut entries)?;
        check(&mut entry)?;
        match entry.header().entry_type() {
            EntryType::XGlobalHeader => {}
            // The mode of a folder comes last: it may not allow files inside.
            EntryType::Directory => folders.push(entry),
            _ => write(&mut entry, target)?,
        }
    }
    folders.sort_by(|a, b| b.path_bytes().cmp(&a.path_bytes()));
    for folder in &mut folders {
        write(folder, target)?;
    }
    drop(folders);
    check_end(archive.into_inner())?;
    Ok(entries)
}

fn write(entry: &mut tar::Entry<'_, impl Read>, target: &Path) -> Part<()> {
    match entry.unpack_in(target).map_err(while_doing("unpacking it"))? {
        true => Ok(()),
        false => lossy(format!("has the name '{}', which leads out of it", shown(&entry.path_bytes()))),
    }
}

/// Refuses what would not come out as it was put in.
fn check(entry: &mut tar::Entry<'_, impl Read>) -> Part<()> {
    let kind = entry.header().entry_type();
    let name = shown(&entry.path_bytes());
    if entry.path_bytes().contains(&0) {
        return damaged(format!("has the name '{name}' with a NUL byte"));
    }
    check_extensions(entry, kind == EntryType::XGlobalHeader, &name)?;
    match kind {
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            // Tar before POSIX marks folders so; with bytes it would be neither.
            let folder_of_old = entry.path_bytes().ends_with(b"/") && entry.header().as_ustar().is_some();
            match folder_of_old || (entry.path_bytes().ends_with(b"/") && entry.size() > 0) {
                true => damaged(format!("has the file '{name}', whose name is a folder's")),
                false => Ok(()),
            }
        }
        EntryType::Directory | EntryType::Symlink | EntryType::Link | EntryType::XGlobalHeader => Ok(()),
        EntryType::Char | EntryType::Block => lossy(format!("has the device '{name}'")),
        EntryType::Fifo => lossy(format!("has the FIFO '{name}'")),
        other => lossy(format!("has the entry '{name}' of the type {:?}", char::from(other.as_byte()))),
    }
}

/// Every record of a pax header must be one that is understood, and stand once. (The crate takes the first of several; POSIX, the
/// last. It also ends a record at a line's end; one with a newline inside is an error here.)
fn check_extensions(entry: &mut tar::Entry<'_, impl Read>, for_all: bool, name: &str) -> Part<()> {
    let Some(records) = entry.pax_extensions().map_err(while_doing("reading a pax header"))? else {
        return Ok(());
    };
    let mut seen: Vec<String> = Vec::new();
    for record in records {
        let key = record.and_then(|record| record.key().map(str::to_owned).map_err(io::Error::other));
        let Ok(key) = key else {
            return lossy(format!("has a pax header before '{name}' that is not understood"));
        };
        let known = KNOWN_KEYWORDS.contains(&key.as_str())
            || LEFT_OUT
                .iter()
                .any(|left_out| key == *left_out || (left_out.ends_with('.') && key.starts_with(left_out)));
        if key.starts_with("GNU.sparse.") || key == "SCHILY.realsize" || key == "SUN.holesdata" {
            return lossy(format!("has the sparse file '{name}' in the pax format"));
        }
        if !known || (for_all && NOT_FOR_ALL.contains(&key.as_str())) {
            return lossy(format!("has the pax keyword '{}' before '{name}'", shown(key.as_bytes())));
        }
        if seen.contains(&key) {
            return lossy(format!("has the pax keyword '{}' twice before '{name}'", shown(key.as_bytes())));
        }
        seen.push(key);
    }
    Ok(())
}

/// Reads to the end, for the sake of checksums: there must have been a mark of the end, and nothing but zeros behind it.
fn check_end(mut rest: Bounded<impl Read>) -> Part<()> {
    if rest.ended {
        return damaged("has no mark of its end: it is cut short");
    }
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = rest.read(&mut buffer).map_err(while_doing("reading what is behind its end"))?;
        if count == 0 {
            return Ok(());
        }
        if buffer[..count].iter().any(|byte| *byte != 0) {
            return Err(Problem::Lossy("has more behind its end, such as a second archive".into()));
        }
    }
}

fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
