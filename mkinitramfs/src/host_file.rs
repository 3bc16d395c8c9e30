//! Files of this machine that go into the initramfs.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use decompress::Compression;

/// Opens a regular file.
///
/// # Errors
/// It cannot be opened, or may never end: a FIFO would wait for a writer, and a device such as /dev/zero has no end.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        // By this kind it gets its remedy: a path of a file.
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "is not a regular file"));
    }
    File::open(path)
}

/// The bytes of a regular file.
///
/// # Errors
/// As [`open`].
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What is in a regular file, which may be compressed, at most `most` bytes of it.
///
/// # Errors
/// As [`open`]; what it was compressed with finds it damaged.
pub(crate) fn read_unpacked(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut file = open(path)?;
    let mut first = Vec::new();
    file.by_ref().take(16).read_to_end(&mut first)?;
    let reader = Compression::of_magic(&first).reader(first.as_slice().chain(file))?;
    let mut bytes = Vec::new();
    reader.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text of a regular file.
///
/// # Errors
/// As [`open`]; the file is not UTF-8.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    io::read_to_string(open(path)?)
}
