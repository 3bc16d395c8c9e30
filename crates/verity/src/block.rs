//! One block of the file.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use stack::verity_layout::BLOCK_BYTES;

use crate::Error;

/// A block of the file.
pub(crate) type Block = Arc<[u8; BLOCK_BYTES]>;

/// Reads; what the file does not have, because it was cut short, is zeros, whose hash is not the wanted one.
pub(crate) fn read_what_is_there(file: &File, bytes: &mut [u8], offset: u64) -> Result<(), Error> {
    let mut done = 0;
    while done < bytes.len() {
        let at = offset + done as u64;
        match file.read_at(&mut bytes[done..], at) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("read", at)(error)),
        }
    }
    bytes[done..].fill(0);
    Ok(())
}
