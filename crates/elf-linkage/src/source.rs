//! Where the bytes of a file come from.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// What every ELF file begins with.
pub const MAGIC: [u8; 4] = *b"\x7fELF";

/// The bytes of one file, in any order.
pub trait Source {
    /// How many there are.
    ///
    /// # Errors
    /// Nobody can tell.
    fn length(&self) -> io::Result<u64>;

    /// Fills `room` from `offset`, in bytes.
    ///
    /// # Errors
    /// They cannot be read; the file ends before.
    fn read_exact_at(&mut self, room: &mut [u8], offset: u64) -> io::Result<()>;
}

impl Source for &[u8] {
    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_exact_at(&mut self, room: &mut [u8], offset: u64) -> io::Result<()> {
        let end = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let start = usize::try_from(offset).map_err(|_| end())?;
        let rest = self.get(start..).and_then(|rest| rest.get(..room.len()));
        room.copy_from_slice(rest.ok_or_else(end)?);
        Ok(())
    }
}

impl Source for File {
    fn length(&self) -> io::Result<u64> {
        self.metadata().map(|found| found.len())
    }

    fn read_exact_at(&mut self, room: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, room, offset)
    }
}
