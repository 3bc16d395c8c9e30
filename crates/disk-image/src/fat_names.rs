//! Entries of a FAT folder, 32 bytes each: Microsoft's FAT specification (fatgen103), "FAT Directory Structure" and "FAT Long Directory
//! Entries". A file has one short entry, and in front of it as many as its long name needs, the last part first.

use std::collections::HashSet;
use std::io;

use crate::SECTOR;
use crate::fat_table::strange;

/// Bytes of an entry.
pub(crate) const ENTRY: usize = 32;
/// ATTR_DIRECTORY.
pub(crate) const FOLDER: u8 = 0x10;
const VOLUME: u8 = 0x08;
/// ATTR_LONG_NAME.
const LONG: u8 = 0x0f;
/// The first byte of an entry that is free, and of the first one behind all that are used.
pub(crate) const FREE: u8 = 0xe5;
const END: u8 = 0;
/// LAST_LONG_ENTRY.
const LAST: u8 = 0x40;
/// Units of UTF-16 in an entry of a long name, and where they are.
const UNITS: [usize; 13] = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
/// DIR_WrtDate and DIR_CrtDate of 1980-01-01, the first one that there is.
const DATE: u16 = 0x21;

/// A file or a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its long name, else its short one.
    pub(crate) name: String,
    /// Its short name, without blanks between.
    pub(crate) short: [u8; 11],
    pub(crate) attributes: u8,
    pub(crate) cluster: u32,
    pub(crate) size: u32,
    /// Its entries, as places in the bytes of the folder.
    pub(crate) places: std::ops::Range<usize>,
}

impl Found {
    pub(crate) fn is_folder(&self) -> bool {
        self.attributes & FOLDER != 0
    }

    /// FAT does not know the case of letters.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name) || shown(&self.short).eq_ignore_ascii_case(name)
    }
}

/// All that a folder with these bytes has.
pub(crate) fn read(bytes: &[u8]) -> Vec<Found> {
    let mut all = Vec::new();
    let (mut units, mut sum, mut begin) = (Vec::<[u16; 13]>::new(), 0, 0);
    for (number, entry) in bytes.chunks_exact(ENTRY).enumerate() {
        let at = number * ENTRY;
        match (entry[0], entry[11]) {
            (END, _) => break,
            (FREE, _) => units.clear(),
            (_, attributes) if attributes & 0x3f == LONG => {
                if entry[0] & LAST != 0 {
                    units.clear();
                    (sum, begin) = (entry[13], at);
                }
                units.push(UNITS.map(|place| u16::from_le_bytes([entry[place], entry[place + 1]])));
            }
            (_, attributes) => {
                let short: [u8; 11] = std::array::from_fn(|at| entry[at]);
                let is_long = !units.is_empty() && checksum(&short) == sum;
                let long: Vec<u16> =
                    units.iter().rev().flatten().copied().take_while(|unit| *unit != 0).collect();
                let name = if is_long { String::from_utf16_lossy(&long) } else { in_case(&short, entry[12]) };
                let half = |place: usize| u32::from(u16::from_le_bytes([entry[place], entry[place + 1]]));
                if attributes & VOLUME == 0 {
                    all.push(Found {
                        name,
                        short,
                        attributes,
                        cluster: half(20) << 16 | half(26),
                        size: half(30) << 16 | half(28),
                        places: if is_long { begin } else { at }..at + ENTRY,
                    });
                }
                units.clear();
            }
        }
    }
    all
}

/// The entries of a file or a folder.
pub(crate) fn entries(name: &str, short: [u8; 11], attributes: u8, cluster: u32, size: u32) -> Vec<u8> {
    let mut units: Vec<u16> = name.encode_utf16().collect();
    let parts = units.len().div_ceil(UNITS.len());
    if units.len() < parts * UNITS.len() {
        units.push(0);
        units.resize(parts * UNITS.len(), 0xffff);
    }
    let mut bytes = Vec::new();
    for (number, part) in units.chunks(UNITS.len()).enumerate().rev() {
        let mut entry = [0; ENTRY];
        entry[0] = (number as u8 + 1) | if number + 1 == parts { LAST } else { 0 };
        (entry[11], entry[13]) = (LONG, checksum(&short));
        for (unit, place) in part.iter().zip(UNITS) {
            entry[place..place + 2].copy_from_slice(&unit.to_le_bytes());
        }
        bytes.extend(entry);
    }
    bytes.extend(short_entry(short, attributes, cluster, size));
    bytes
}

/// How many bytes the entries of a name take: all of them lie in one sector.
///
/// # Errors
/// It is too long for that, or no name of a FAT (fatgen103, "Long Directory Entries").
pub(crate) fn entries_length(name: &str) -> io::Result<usize> {
    let is_strange = |it: char| it.is_control() || "\"*/:<>?\\|".contains(it);
    if matches!(name, "" | "." | "..") || name.ends_with(['.', ' ']) || name.contains(is_strange) {
        return Err(strange("no file of a FAT can have its name"));
    }
    let length = (name.encode_utf16().count().div_ceil(UNITS.len()) + 1) * ENTRY;
    match length <= SECTOR as usize {
        true => Ok(length),
        false => Err(strange("its name is too long")),
    }
}

/// Lets a short entry lead to another cluster, and gives it a length.
pub(crate) fn point(entry: &mut [u8], cluster: u32, size: u32) {
    entry[20..22].copy_from_slice(&((cluster >> 16) as u16).to_le_bytes());
    entry[26..28].copy_from_slice(&(cluster as u16).to_le_bytes());
    entry[28..32].copy_from_slice(&size.to_le_bytes());
}

/// The short entry alone, as `.` and `..` have it.
pub(crate) fn short_entry(short: [u8; 11], attributes: u8, cluster: u32, size: u32) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    entry[..11].copy_from_slice(&short);
    entry[11] = attributes;
    for place in [16, 18, 24] {
        entry[place..place + 2].copy_from_slice(&DATE.to_le_bytes());
    }
    point(&mut entry, cluster, size);
    entry
}

/// A short name that none of these has: letters of the long one and a number, as in `LAMIN~12CON`.
pub(crate) fn short_name(name: &str, taken: &[Found]) -> [u8; 11] {
    let plain = |text: &str, most: usize| -> Vec<u8> {
        text.bytes().filter(u8::is_ascii_alphanumeric).map(|it| it.to_ascii_uppercase()).take(most).collect()
    };
    let (stem, end) = name.rsplit_once('.').unwrap_or((name, ""));
    let end = plain(end, 3);
    let taken: HashSet<[u8; 11]> = taken.iter().map(|it| it.short).collect();
    let mut number = 1_u32;
    loop {
        let tail = format!("~{number}");
        let mut short = [b' '; 11];
        let stem = plain(stem, 8 - tail.len().min(7));
        for (to, from) in short.iter_mut().zip(stem.iter().copied().chain(tail.bytes())) {
            *to = from;
        }
        for (to, from) in short[8..].iter_mut().zip(&end) {
            *to = *from;
        }
        if !taken.contains(&short) || number > 999_999 {
            return short;
        }
        number += 1;
    }
}

fn shown(short: &[u8; 11]) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    let (stem, end) = (text(&short[..8]), text(&short[8..]));
    if end.is_empty() { stem } else { format!("{stem}.{end}") }
}

/// A short name in the letters in which its file was called: DIR_NTRes has a bit for each part that is all in small ones (Windows NT and
/// Linux; `fs/fat/dir.c`).
fn in_case(short: &[u8; 11], flags: u8) -> String {
    let (mut cased, parts) = (*short, [(0x08, 0..8), (0x10, 8..11)]);
    for (flag, part) in parts {
        if flags & flag != 0 {
            cased[part].make_ascii_lowercase();
        }
    }
    shown(&cased)
}

fn checksum(short: &[u8; 11]) -> u8 {
    short.iter().fold(0_u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut folder = vec![0; 2048];
        let mut at = 0;
        let names = ["a", "thirteen.conf", "lamina-web-2_-1a2b3c4d+3-0.conf", "Größe.txt"];
        for name in names {
            let short = short_name(name, &read(&folder));
            let bytes = entries(name, short, FOLDER, 0x0012_3456, 77);
            folder[at..at + bytes.len()].copy_from_slice(&bytes);
            at += bytes.len();
        }
        let found = read(&folder);
        assert_eq!(found.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), names);
        assert!(found.iter().all(|it| it.cluster == 0x0012_3456 && it.size == 77 && it.is_folder()));
        assert!(found[1].is_called("THIRTEEN.CONF") && found[1].is_called("thirte~1.con"));
        assert_eq!(found[1].places, 64..64 + 64);
    }

    #[test]
    fn a_short_name_is_told_in_its_letters() {
        let mut entry = short_entry(*b"README  TXT", 0, 3, 3);
        let told = [(0, "README.TXT"), (0x08, "readme.TXT"), (0x10, "README.txt"), (0x18, "readme.txt")];
        for (flags, name) in told {
            entry[12] = flags;
            assert_eq!(read(&entry)[0].name, name);
        }
    }

    #[test]
    fn short_names_are_of_one_file() {
        let mut all: Vec<Found> = Vec::new();
        for number in 0..120 {
            let short = short_name("lamina-web-2.conf", &all);
            assert!(all.iter().all(|it| it.short != short), "{number}");
            all.push(Found { name: String::new(), short, attributes: 0, cluster: 0, size: 0, places: 0..0 });
        }
        assert_eq!(&all[0].short, b"LAMINA~1CON");
        assert_eq!(&all[119].short, b"LAMI~120CON");
    }
}
