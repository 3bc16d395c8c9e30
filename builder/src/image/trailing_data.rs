//! What lies behind the file system of an image file: an own hash tree, which can be made again; zeros, which say nothing; or
//! something of somebody's, which is not dropped without a word.

use std::fs::File;
use std::io;
use std::num::NonZero;
use std::os::unix::fs::FileExt;
use std::path::Path;

use cli::progress::Progress;
use nix::errno::Errno;
use nix::unistd::{Whence, lseek};
use verified_store::hash_tree_of;
use verity::{BLOCK, Part, Work};

use crate::error::{Error, Result};
use crate::image::file_system::FileSystem;
use crate::image::hash_tree;

/// Refuses a file in which more than a file system of `length` bytes would be lost: data that somebody appended, a hash tree of
/// another kind, or the tree that shows that the data is no longer what was protected. `path` is for messages.
///
/// # Errors
/// These; and what the system says when the file is read.
pub fn refuse_loss(
    path: &Path,
    file: &File,
    (kind, length): (FileSystem, u64),
    jobs: NonZero<usize>,
    progress: Progress,
) -> Result<()> {
    let blocks = length.next_multiple_of(BLOCK);
    let cut =
        || format!("if it is not wanted, `truncate -s {length} FILE` cuts it off a copy; then protect that");
    let tree = hash_tree::claimed(path, file);
    let tree = tree.map_err(|error| error.remedy(format!("this hash tree cannot be checked; {}", cut())))?;
    let end = if tree.is_some() { blocks } else { u64::MAX };
    let stray = first_other_than_zero(file, length, end).map_err(Error::on(path.display()))?;
    if let Some(at) = stray {
        let cause = format!(
            "something lies behind its {kind} of {length} bytes, from byte {at} on, and would stand in the way of a hash tree"
        );
        return Err(
            Error::new(path.display(), cause).remedy(format!("keep it in a file of its own; {}", cut()))
        );
    }
    let Some(tree) = tree else { return Ok(()) };
    let layout = hash_tree_of(&tree).map_err(Error::on(path.display()))?.layout;
    let meter =
        progress.passes(format_args!("checking {}", path.display()), layout.total_len, Work::bytes(&layout));
    let work = Work { jobs, progress: &|bytes| meter.advance(bytes) };
    match hash_tree::check(file, &tree, work) {
        // Data and tree are right, and the error correction is made again.
        Ok(()) | Err(verity::Error::Mismatch(Part::Parity { .. })) => Ok(()),
        Err(error) => Err(Error::caused(path.display(), error).remedy(format!(
            "it was changed or damaged since it was protected: get it again. To protect it as it is: `truncate -s {length} FILE` first"
        ))),
    }
}

/// The first byte from `from` on, and before `to`, that is not zero. The file is read from its beginning afterwards.
fn first_other_than_zero(file: &File, from: u64, to: u64) -> io::Result<Option<u64>> {
    let found = search(file, from, to);
    lseek(file, 0, Whence::SeekSet)?;
    found
}

/// Holes are passed over (lseek(2), SEEK_DATA).
fn search(file: &File, from: u64, to: u64) -> io::Result<Option<u64>> {
    let end = file.metadata()?.len().min(to);
    let mut buffer = vec![0; 1 << 16];
    let mut at = from;
    while at < end {
        at = match lseek(file, at.try_into().map_err(io::Error::other)?, Whence::SeekData) {
            Ok(data) => at.max(data as u64),
            Err(Errno::ENXIO) => return Ok(None),
            // A file system that does not know its holes.
            Err(_) => at,
        };
        let length = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX).min(buffer.len());
        let read = file.read_at(&mut buffer[..length], at)?;
        if read == 0 {
            return Ok(None);
        }
        if let Some(found) = buffer[..read].iter().position(|&byte| byte != 0) {
            return Ok(Some(at + found as u64));
        }
        at += read as u64;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

    use super::*;

    #[test]
    fn the_first_byte_behind_zeros_and_holes_is_found() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[1; 10]).unwrap();
        file.set_len(1 << 40).unwrap();
        assert_eq!(first_other_than_zero(&file, 10, u64::MAX).unwrap(), None);
        file.seek(SeekFrom::Start((1 << 39) + 5)).unwrap();
        file.write_all(&[0, 0, 7]).unwrap();
        assert_eq!(first_other_than_zero(&file, 10, u64::MAX).unwrap(), Some((1 << 39) + 7));
        assert_eq!(first_other_than_zero(&file, 10, 1 << 20).unwrap(), None);
        assert_eq!(first_other_than_zero(&file, 9, u64::MAX).unwrap(), Some(9));
        assert_eq!(first_other_than_zero(&file, 1 << 41, u64::MAX).unwrap(), None);
    }
}
