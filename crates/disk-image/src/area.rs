//! A part of a disk, by places that count from its beginning: nothing outside of it is read or written, whatever what lies in it says.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// What a disk is for those who change it in place: a file, a device, or what a test or a fuzz target puts there.
pub trait Storage: fmt::Debug + Send + Sync {
    /// Fills the buffer from this byte on.
    ///
    /// # Errors
    /// The disk ends before, or cannot be read.
    fn fill(&self, buffer: &mut [u8], at: u64) -> io::Result<()>;

    /// Writes all bytes, from this one of the disk on.
    ///
    /// # Errors
    /// The disk ends before, or cannot be written to.
    fn put(&self, bytes: &[u8], at: u64) -> io::Result<()>;

    /// Waits until all that was written is on the disk.
    ///
    /// # Errors
    /// Something could not be written.
    fn sync(&self) -> io::Result<()>;
}

impl Storage for File {
    fn fill(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, at)
    }

    fn put(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Bytes `start` to `start + length` of a disk.
#[derive(Debug)]
pub(crate) struct Area {
    disk: Box<dyn Storage>,
    start: u64,
    length: u64,
    is_synced: bool,
}

impl Area {
    pub(crate) fn new(disk: Box<dyn Storage>, start: u64, length: u64) -> Area {
        Area { disk, start, length, is_synced: true }
    }

    /// The same without waiting for the disk after each step.
    pub(crate) fn unsynced(self) -> Area {
        Area { is_synced: false, ..self }
    }

    pub(crate) fn read(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self.disk.fill(buffer, self.place(at, buffer.len())?)
    }

    pub(crate) fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.disk.put(bytes, self.place(at, bytes.len())?)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        if self.is_synced { self.disk.sync() } else { Ok(()) }
    }

    fn place(&self, at: u64, length: usize) -> io::Result<u64> {
        let end = at.checked_add(length as u64).filter(|end| *end <= self.length);
        let place = end.and_then(|_| self.start.checked_add(at));
        place.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "lies outside of its partition"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_is_touched() {
        let file = tempfile::tempfile().unwrap();
        FileExt::write_all_at(&file, b"0123456789", 0).unwrap();
        let area = Area::new(Box::new(file.try_clone().unwrap()), 2, 4);
        area.write(b"cd", 2).unwrap();
        for (at, length) in [(3, 2), (4, 1), (u64::MAX, 1)] {
            assert!(area.write(&vec![b'x'; length], at).is_err(), "{at}");
            assert!(area.read(&mut vec![0; length], at).is_err(), "{at}");
        }
        let mut all = [0; 10];
        FileExt::read_exact_at(&file, &mut all, 0).unwrap();
        assert_eq!(&all, b"0123cd6789");
    }
}
