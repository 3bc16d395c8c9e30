//! Which parts of an image must be written to a device that has held something else.
//!
//! What is a hole in the image need not be zero on the device: file systems have their free blocks there. Zero must be what the makers
//! of file systems left out because a new file is zero (the journal of an ext4, [`AFTER_DATA`]), and where something old would be found
//! and taken for what it was: superblocks at the beginning of a disk or partition, RAID members and tables at the end of one.

use std::fs::File;
use std::io;
use std::ops::Range;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use crate::MIB;

/// Of a hole, so much becomes zero at its beginning: the journal, 4 MiB, lies behind its own first block, which is data; and the first
/// superblocks of file systems, md, LVM, LUKS, ZFS and bcachefs lie in the first MiB.
const AFTER_DATA: u64 = 8 * MIB;
/// And so much at its end: the second copy of a GPT, md of version 0.9 and 1.0, the last labels of ZFS, backups of bcachefs.
const BEFORE_DATA: u64 = MIB;

/// A part of a disk that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// These bytes of the image.
    Data(Range<u64>),
    /// Zeros.
    Zeros(Range<u64>),
}

impl Extent {
    /// Where it lies.
    pub fn range(&self) -> &Range<u64> {
        let (Extent::Data(range) | Extent::Zeros(range)) = self;
        range
    }

    /// Its bytes.
    pub fn length(&self) -> u64 {
        self.range().end - self.range().start
    }
}

/// What to write of an image of `length` bytes that has data here, ascending.
pub fn extents(data: &[Range<u64>], length: u64) -> Vec<Extent> {
    let mut all = Vec::new();
    let mut end = 0;
    for part in data.iter().cloned().chain(std::iter::once(length..length)) {
        let hole = end..part.start;
        if hole.end - hole.start <= AFTER_DATA + BEFORE_DATA {
            all.push(Extent::Zeros(hole));
        } else {
            all.push(Extent::Zeros(hole.start..hole.start + AFTER_DATA));
            all.push(Extent::Zeros(hole.end - BEFORE_DATA..hole.end));
        }
        end = part.end;
        all.push(Extent::Data(part));
    }
    all.retain(|extent| extent.length() > 0);
    all
}

/// The parts of a file that are no holes (lseek(2), SEEK_DATA); all of it where the file system knows of none.
///
/// # Errors
/// The file cannot be read.
pub fn data_of(file: &File) -> io::Result<Vec<Range<u64>>> {
    let length = file.metadata()?.len();
    let (mut parts, mut at) = (Vec::new(), 0);
    while at < length {
        let start = match seek(file, SeekFrom::Data(at)) {
            // Nothing but a hole to the end.
            Err(Errno::NXIO) => break,
            Err(Errno::INVAL) => at,
            found => found?,
        };
        let end = match seek(file, SeekFrom::Hole(start)) {
            Err(Errno::INVAL) => length,
            found => found?,
        };
        parts.push(start..end.min(length));
        at = end;
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn holes_are_left_out_but_for_their_ends() {
        let gib = 1 << 30;
        let found = extents(&[0..MIB, 3 * MIB..4 * MIB, gib..gib + MIB], 2 * gib);
        assert_eq!(
            found,
            [
                Extent::Data(0..MIB),
                Extent::Zeros(MIB..3 * MIB),
                Extent::Data(3 * MIB..4 * MIB),
                Extent::Zeros(4 * MIB..12 * MIB),
                Extent::Zeros(gib - MIB..gib),
                Extent::Data(gib..gib + MIB),
                Extent::Zeros(gib + MIB..gib + 9 * MIB),
                Extent::Zeros(2 * gib - MIB..2 * gib),
            ]
        );
        assert_eq!(extents(&[], MIB), [Extent::Zeros(0..MIB)]);
        assert_eq!(extents(std::slice::from_ref(&(0..MIB)), MIB), [Extent::Data(0..MIB)]);
    }

    #[test]
    fn holes_of_a_file_are_found() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4 * MIB).unwrap();
        assert_eq!(data_of(&file).unwrap(), []);
        file.write_all_at(&[1; 10], MIB).unwrap();
        let found = data_of(&file).unwrap();
        assert!(found.len() == 1 && found[0].contains(&MIB) && found[0].end < 2 * MIB, "{found:?}");
    }
}
