//! Zip archives: APPNOTE.TXT of PKWARE, and what Info-ZIP keeps of Unix in them.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use zip::ZipArchive;
use zip::read::ZipFile;
use zip::result::ZipError;

use crate::beneath::{self, Root, Seat, below};
use crate::error::{Part, Problem, damaged, lossy, while_doing};
use crate::limits::{self, MOST_BYTES};

/// The kind of a file in its mode (inode(7)).
const KIND: u32 = 0o170_000;
/// PATH_MAX: no link can be longer.
const LONGEST_LINK: u64 = 4096;

type Entry<'a> = ZipFile<'a, BufReader<File>>;

/// Unpacks all of `file` into the empty folder `target` and returns the number of entries.
pub(crate) fn unpack(file: File, target: &Path) -> Part<usize> {
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(not_read("reading its directory"))?;
    if archive.offset() != 0 {
        return lossy("has other data before its first file, such as another archive");
    }
    if archive.has_duplicate_names() {
        return lossy("has two files of one name");
    }
    if archive.has_overlapping_entries().map_err(not_read("reading its directory"))? {
        return damaged("has files that overlap, as only bombs have");
    }
    let mut writer = Writer { root: Root::open(target)?, links: Vec::new(), left: MOST_BYTES };
    let mut entries = 0;
    for index in 0..archive.len() {
        limits::count(&mut entries)?;
        let entry = archive.by_index(index).map_err(not_read("reading a file"))?;
        writer.entry(entry)?;
    }
    // Links last: until then every folder on the way to a file is one that was made here.
    for (seat, link_target) in &writer.links {
        seat.symlink(link_target, false)?;
    }
    Ok(entries)
}

struct Writer {
    root: Root,
    /// Symbolic links to make, with what they lead to.
    links: Vec<(Seat, PathBuf)>,
    /// How many more bytes the archive may hold.
    left: u64,
}

impl Writer {
    fn entry(&mut self, mut entry: Entry<'_>) -> Part<()> {
        let name = shown(entry.name_raw());
        let path = path_of(&entry)?;
        if entry.is_dir() && entry.size() > 0 {
            return damaged(format!("has the folder '{name}' with {} bytes of its own", entry.size()));
        }
        if path.as_os_str().is_empty() {
            return match entry.is_dir() {
                true => Ok(()),
                false => damaged(format!("has a file with the name '{name}'")),
            };
        }
        let seat = self.root.seat(&path)?;
        if entry.is_dir() {
            return seat.folder();
        }
        match entry.unix_mode().unwrap_or(0) & KIND {
            0 | 0o100_000 => self.file(&mut entry, &seat),
            0o120_000 => self.link(&mut entry, seat),
            _ => lossy(format!("has '{name}', which is neither file, folder nor link")),
        }
    }

    fn file(&mut self, entry: &mut Entry<'_>, seat: &Seat) -> Part<()> {
        let mode = entry.unix_mode().map_or(0, |mode| mode & 0o777);
        let time = entry.last_modified().and_then(since_1970);
        let mut file = seat.file(false)?;
        let count = io::copy(&mut entry.take(self.left.saturating_add(1)), &mut file)
            .map_err(while_doing("unpacking a file"))?;
        match self.left.checked_sub(count) {
            Some(left) => self.left = left,
            None => return damaged(format!("holds more than {} GiB", MOST_BYTES >> 30)),
        }
        let finishing = while_doing("finishing a file");
        if let Some(time) = time {
            file.set_modified(time).map_err(&finishing)?;
        }
        // Archives made elsewhere than on Unix have no modes.
        let mode = if mode == 0 { 0o644 } else { mode };
        file.set_permissions(fs::Permissions::from_mode(mode)).map_err(&finishing)
    }

    fn link(&mut self, entry: &mut Entry<'_>, seat: Seat) -> Part<()> {
        let mut target = Vec::new();
        entry
            .take(LONGEST_LINK)
            .read_to_end(&mut target)
            .map_err(while_doing("reading what a link leads to"))?;
        if target.is_empty() || target.len() as u64 == LONGEST_LINK || target.contains(&0) {
            return damaged(format!(
                "has the link '{}' to nothing that a path can be",
                shown(entry.name_raw())
            ));
        }
        self.links.push((seat, PathBuf::from(OsStr::from_bytes(&target))));
        Ok(())
    }
}

/// Where an entry goes. Its name is taken as bytes: no encoding is guessed.
fn path_of(entry: &Entry<'_>) -> Part<PathBuf> {
    let raw = entry.name_raw();
    if raw.contains(&0) {
        return damaged(format!("has the name '{}' with a NUL byte", shown(raw)));
    }
    if raw.contains(&b'\\') {
        return lossy(format!("has the name '{}', written for Windows", shown(raw)));
    }
    match below(raw) {
        Some(path) => Ok(path),
        None => lossy(format!("has the name '{}', which leads out of it", shown(raw))),
    }
}

/// The time of a file, which zip keeps without a zone: taken for UTC, as everything in a build is.
fn since_1970(time: zip::DateTime) -> Option<SystemTime> {
    let (year, month, day) = (u64::from(time.year()), u64::from(time.month()), u64::from(time.day()));
    // Years that begin in March have their odd day at the end. Zip begins with 1980.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days_to_year = year * 365 + year / 4 - year / 100 + year / 400;
    let days = (days_to_year + (month * 153 + 2) / 5 + day).checked_sub(719_469)?;
    let seconds = u64::from(time.hour()) * 3600 + u64::from(time.minute()) * 60 + u64::from(time.second());
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400 + seconds))
}

fn not_read(action: &'static str) -> impl Fn(ZipError) -> Problem {
    move |error| match error {
        ZipError::Io(error) => Problem::Io(action, error),
        ZipError::UnsupportedArchive(what) => Problem::Lossy(format!("has what is not supported: {what}")),
        ZipError::CompressionMethodNotSupported(method) => {
            Problem::Lossy(format!("has a file of compression method {method}; 0 and 8 are supported"))
        }
        other => Problem::Damaged(format!("{action}: {other}")),
    }
}

fn shown(bytes: &[u8]) -> String {
    beneath::shown(Path::new(OsStr::from_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_date() {
        for (year, month, day, hour, expected) in [
            (1980, 1, 1, 0, 315_532_800),
            (2000, 2, 29, 12, 951_825_600),
            (2000, 3, 1, 0, 951_868_800),
            (2026, 11, 26, 13, 1_795_698_000),
            (2100, 3, 1, 0, 4_107_542_400),
        ] {
            let time = zip::DateTime::from_date_and_time(year, month, day, hour, 0, 0).unwrap();
            let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(expected);
            assert_eq!(since_1970(time), Some(expected), "{year}-{month}-{day}");
        }
    }
}
