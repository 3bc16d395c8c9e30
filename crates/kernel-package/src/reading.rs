//! Reading within limits: what a kernel consists of may come from anywhere.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use fault::Error;

/// A kernel image or a module is far smaller; more is damage or an attack.
pub(crate) const MOST_FILE_BYTES: u64 = 1 << 30;

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
    let mut bytes = Vec::new();
    if source.take(MOST_FILE_BYTES).read_to_end(&mut bytes)? as u64 == MOST_FILE_BYTES {
        return Err(too_large());
    }
    Ok(bytes)
}

pub(crate) fn too_large() -> io::Error {
    io::Error::other("it is larger than 1 GiB")
}
