//! The header of one entry: "070701" (or "070702", with a sum of the data) and 13 numbers of eight hexadecimal digits, then the name.

use std::io::{self, ErrorKind};

use crate::Archive;
use crate::input::Input;

/// Bytes before the name.
pub(crate) const LENGTH: usize = 110;
/// The longest name, the zero byte behind it included: PATH_MAX of linux/limits.h, above which the kernel skips an entry.
const LONGEST_NAME: usize = 4096;
const TRAILER: &str = "TRAILER!!!";

/// An entry of an archive: what its header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The archive that it is in.
    pub archive: Archive,
    /// As it stands there; bytes that are no UTF-8 as `\xNN`.
    pub path: String,
    /// Type and permission bits, as in `st_mode` (inode(7)).
    pub mode: u32,
    /// The owner's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: u32,
    /// How many names the file has.
    pub links: u32,
    /// What the names of one file have in common: inode number, and major and minor number of the device that it was on.
    pub inode: (u32, u32, u32),
    /// Bytes of data.
    pub size: u32,
    /// Of a device: its major and minor number.
    pub device: (u32, u32),
    /// The sum of the bytes of data, modulo 2^32; not in every archive.
    pub(crate) sum: Option<u32>,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link, whose data is its target.
    Link,
    /// A character or a block device.
    Device,
    /// A FIFO, a socket, or what has no type that is known.
    Other,
}

impl Entry {
    /// What it is, by its mode.
    pub fn kind(&self) -> Kind {
        match self.mode & 0o170_000 {
            0o100_000 => Kind::File,
            0o040_000 => Kind::Folder,
            0o120_000 => Kind::Link,
            0o020_000 | 0o060_000 => Kind::Device,
            _ => Kind::Other,
        }
    }

    pub(crate) fn is_trailer(&self) -> bool {
        self.path == TRAILER
    }
}

/// Reads a header, its name, and the padding behind it.
pub(crate) fn read(input: &mut Input<'_>, archive: Archive) -> io::Result<Entry> {
    let mut header = [0; LENGTH];
    input.exactly(&mut header)?;
    let sums = match &header[..6] {
        b"070701" => false,
        b"070702" => true,
        b"070707" => return Err(damaged("is in the old format of cpio, which the kernel does not unpack")),
        _ => return Err(damaged("there is no header of a newc archive")),
    };
    let mut numbers = [0; 13];
    for (number, digits) in numbers.iter_mut().zip(header[6..].chunks(8)) {
        *number = hexadecimal(digits).ok_or_else(|| damaged("a number in a header is not hexadecimal"))?;
    }
    let [ino, mode, uid, gid, links, mtime, size, dev_major, dev_minor, major, minor, name_size, sum] =
        numbers;
    let path = name(input, name_size as usize)?;
    let (inode, device, sum) = ((ino, dev_major, dev_minor), (major, minor), sums.then_some(sum));
    Ok(Entry { archive, path, mode, uid, gid, mtime, links, inode, size, device, sum })
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| Some(number << 4 | char::from(*digit).to_digit(16)?))
}

/// Some writers pad the name with zeros, to align what follows; the kernel reads it up to the first.
fn name(input: &mut Input<'_>, size: usize) -> io::Result<String> {
    if size > LONGEST_NAME {
        return Err(damaged("a name has more than 4095 bytes"));
    }
    let mut name = vec![0; size];
    input.exactly(&mut name)?;
    input.skip_padding(LENGTH as u64 + size as u64)?;
    if name.last() != Some(&0) {
        return Err(damaged("a name has no zero byte at its end"));
    }
    let length = name.iter().position(|byte| *byte == 0).unwrap_or(size);
    match length {
        0 => Err(damaged("an entry has no name")),
        _ => Ok(text(&name[..length])),
    }
}

/// Bytes that are no UTF-8 become `\xNN`, so that different names stay different.
fn text(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}

fn damaged(cause: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, cause)
}
