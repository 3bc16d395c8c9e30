//! Tar archives of every age: tar(5) of libarchive, pax in POSIX.1-2024, and the GNU manual's "Basic Tar Format".
//!
//! The crate `tar` reads headers; it does not know the sparse files of the pax format, and takes what it does not know for files. So
//! every entry is looked at before it is written.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use decompress::Compression;
use tar::EntryType;

use crate::beneath::{self, Root, Seat, below};
use crate::error::{Part, Problem, damaged, lossy, while_doing};
use crate::limits::{self, Bounded, MOST_BYTES};

/// Keywords of pax headers that the crate acts on, or that say nothing about what a file holds.
const KNOWN_KEYWORDS: [&str; 12] = [
    "path", "linkpath", "size", "uid", "gid", "uname", "gname", "mtime", "atime", "ctime", "comment",
    "charset",
];
/// Attributes and origins: not unpacked, and no source is known to need them.
const LEFT_OUT: [&str; 10] = [
    "hdrcharset",
    "SCHILY.xattr.",
    "SCHILY.acl.",
    "SCHILY.fflags",
    "SCHILY.dev",
    "SCHILY.ino",
    "SCHILY.nlink",
    "LIBARCHIVE.",
    "RHT.security.",
    "GNU.volume.label",
];
/// In a header for the whole archive, these would give every file one name or one size.
const NOT_FOR_ALL: [&str; 3] = ["path", "linkpath", "size"];

/// What `tar --label` puts first (GNU manual, "Extensions to tar Archive Format"): a name for a tape, and no file.
const VOLUME_LABEL: u8 = b'V';

/// Unpacks all of `file` into the empty folder `target` and returns the number of entries.
pub(crate) fn unpack(file: File, compression: Compression, target: &Path) -> Part<usize> {
    let reading = while_doing("reading it");
    let plain = compression.reader(BufReader::with_capacity(1 << 16, file)).map_err(&reading)?;
    let mut archive = tar::Archive::new(Bounded::new(without_label(plain).map_err(&reading)?));
    let mut entries = 0;
    let mut writer = Writer { root: Root::open(target)?, folders: Vec::new(), left: MOST_BYTES };
    for entry in archive.entries().map_err(&reading)? {
        let mut entry = entry.map_err(&reading)?;
        limits::count(&mut entries)?;
        check(&mut entry)?;
        writer.entry(&mut entry)?;
    }
    writer.finish()?;
    check_end(archive.into_inner())?;
    Ok(entries)
}

/// The archive behind the label, if it begins with one. GNU tar leaves its size blank, which the crate takes for damage.
fn without_label(mut plain: impl Read) -> io::Result<impl Read> {
    let mut first = Vec::new();
    plain.by_ref().take(512).read_to_end(&mut first)?;
    let is_label = first.get(156) == Some(&VOLUME_LABEL);
    if is_label
        && first.get(124..136).unwrap_or_default().iter().all(|digit| matches!(digit, 0 | b' ' | b'0'))
    {
        first.clear();
    }
    Ok(io::Cursor::new(first).chain(plain))
}

struct Writer {
    root: Root,
    /// Folders with their modes, which come last: they may not allow files inside.
    folders: Vec<(PathBuf, Option<u32>)>,
    /// How many more bytes sparse files may have, whose holes are not in the archive.
    left: u64,
}

impl Writer {
    fn entry(&mut self, entry: &mut tar::Entry<'_, impl Read>) -> Part<()> {
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            return Ok(());
        }
        let name = entry.path_bytes().into_owned();
        let Some(path) = below(&name) else {
            return lossy(format!("has the name '{}', which leads out of it", shown(&name)));
        };
        let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
        let is_folder = kind == EntryType::Directory || (name.ends_with(b"/") && !is_link);
        match (is_folder, path.as_os_str().is_empty()) {
            // The folder that everything goes to.
            (true, true) => Ok(()),
            (true, false) => {
                self.folders.push((path, mode_of(entry)));
                Ok(())
            }
            (false, true) => damaged(format!("has a file with the name '{}'", shown(&name))),
            (false, false) => {
                let seat = self.root.seat(&path)?;
                match kind {
                    EntryType::Symlink => symlink(entry, &seat),
                    EntryType::Link => self.root.hard_link(&seat, &link_target(entry)?),
                    _ => self.file(entry, &seat),
                }
            }
        }
    }

    fn file(&mut self, entry: &mut tar::Entry<'_, impl Read>, seat: &Seat) -> Part<()> {
        let unpacking = while_doing("unpacking it");
        let mut file = seat.file(true)?;
        let size = entry.size();
        let written = match entry.header().entry_type() {
            EntryType::GNUSparse => match self.left.checked_sub(size) {
                Some(left) => {
                    self.left = left;
                    copy_with_holes(entry, &mut file)
                }
                None => return damaged(format!("holds more than {} GiB", MOST_BYTES >> 30)),
            },
            _ => io::copy(entry, &mut file),
        };
        if written.map_err(&unpacking)? != size {
            let name = shown(&entry.path_bytes());
            return Err(unpacking(io::Error::new(
                ErrorKind::UnexpectedEof,
                format!("it ends within '{name}'"),
            )));
        }
        if let Some(time) = time_of(entry) {
            beneath::set_times(&file, time).map_err(&unpacking)?;
        }
        match mode_of(entry) {
            Some(mode) => file.set_permissions(Permissions::from_mode(mode)).map_err(&unpacking),
            None => Ok(()),
        }
    }

    /// Makes the folders, and gives those inside their modes before those around them.
    fn finish(mut self) -> Part<()> {
        self.folders.sort_by(|a, b| b.0.cmp(&a.0));
        for (path, mode) in &self.folders {
            let seat = self.root.seat(path)?;
            seat.folder()?;
            if let Some(mode) = mode {
                seat.set_mode(*mode)?;
            }
        }
        Ok(())
    }
}

fn symlink(entry: &tar::Entry<'_, impl Read>, seat: &Seat) -> Part<()> {
    seat.symlink(&link_target(entry)?, true)?;
    match time_of(entry) {
        Some(time) => seat.set_times(time),
        None => Ok(()),
    }
}

fn link_target(entry: &tar::Entry<'_, impl Read>) -> Part<PathBuf> {
    match entry.link_name_bytes() {
        Some(target) if !target.is_empty() && !target.contains(&0) => {
            Ok(PathBuf::from(OsStr::from_bytes(&target)))
        }
        _ => damaged(format!("has the link '{}' to nothing that a path can be", shown(&entry.path_bytes()))),
    }
}

fn mode_of(entry: &tar::Entry<'_, impl Read>) -> Option<u32> {
    entry.header().mode().ok().map(|mode| mode & 0o777)
}

/// Seconds since 1970. Some programs take 0 for "unknown"; it was always 1 here.
fn time_of(entry: &tar::Entry<'_, impl Read>) -> Option<i64> {
    entry.header().mtime().ok().map(|time| time.max(1).cast_signed())
}

/// Writes what is not zero.
fn copy_with_holes(from: &mut impl Read, file: &mut File) -> io::Result<u64> {
    let (mut buffer, mut length) = (vec![0; 1 << 16], 0);
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        length += count as u64;
        match buffer[..count].iter().all(|byte| *byte == 0) {
            true => drop(file.seek(SeekFrom::Start(length))?),
            false => file.write_all(&buffer[..count])?,
        }
    }
    file.set_len(length)?;
    Ok(length)
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
    beneath::shown(Path::new(OsStr::from_bytes(bytes)))
}
