//! Reading within limits: what a kernel consists of may come from anywhere.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use fault::Error;

/// A kernel image or a module is far smaller; more is damage or an attack.
pub(crate) const MOST_FILE_BYTES: u64 = 1 << 30;

/// No module is larger; a file of holes may say that it is.
const MOST_ROOM: u64 = 64 << 20;

/// Refuses what may never end: a FIFO would wait for a writer, and a device such as /dev/zero has no end.
///
/// # Errors
/// Something lies at `path` that is not a regular file.
pub fn refuse_special(path: &Path) -> Result<(), Error> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => {
            Err(Error::new(path.display(), "is neither a regular file nor a folder")
                .remedy("give a kernel package, or the folder where one was unpacked"))
        }
        // What cannot be looked at is told when it is opened.
        _ => Ok(()),
    }
}

/// Reads all of `source`, and refuses more than a kernel's file can have.
///
/// # Errors
/// It cannot be read, or has 1 GiB and more.
pub fn read_limited(source: impl Read) -> io::Result<Vec<u8>> {
    read_into(Vec::new(), source)
}

/// The same of a file, whose length says how much room it takes: it is read at once.
pub(crate) fn read_file(file: &File) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len().min(MOST_ROOM);
    // One more, in which the end shows.
    read_into(Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1), file)
}

fn read_into(mut bytes: Vec<u8>, source: impl Read) -> io::Result<Vec<u8>> {
    if source.take(MOST_FILE_BYTES).read_to_end(&mut bytes)? as u64 == MOST_FILE_BYTES {
        return Err(too_large());
    }
    Ok(bytes)
}

pub(crate) fn too_large() -> io::Error {
    io::Error::other("it is larger than 1 GiB")
}
