//! A partition as a file of its own: reading, writing and seeking stay inside it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes `start` to `start + length` of a file.
#[derive(Debug)]
pub struct Section {
    file: File,
    start: u64,
    length: u64,
    position: u64,
    /// How much may be read yet, in bytes.
    left: Option<Arc<AtomicU64>>,
}

impl Section {
    /// This part of a file.
    pub fn new(file: File, start: u64, length: u64) -> Section {
        Section { file, start, length, position: 0, left: None }
    }

    /// The same, of which no more bytes are read than this says: whoever holds it too says it anew before each piece of work.
    pub(crate) fn limited(self, left: Arc<AtomicU64>) -> Section {
        Section { left: Some(left), ..self }
    }

    fn room(&self, wanted: usize) -> usize {
        usize::try_from(self.length.saturating_sub(self.position)).unwrap_or(usize::MAX).min(wanted)
    }
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = self.room(buffer.len());
        let count = self.file.read_at(&mut buffer[..room], self.start + self.position)?;
        if let Some(left) = &self.left {
            let now = left.load(Ordering::Relaxed);
            let rest = now.checked_sub(count as u64);
            let rest =
                rest.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a folder has no end"))?;
            left.store(rest, Ordering::Relaxed);
        }
        self.position += count as u64;
        Ok(count)
    }
}

impl Write for Section {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.room(bytes.len());
        let count = self.file.write_at(&bytes[..room], self.start + self.position)?;
        self.position += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Section {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        let outside = || io::Error::new(io::ErrorKind::InvalidInput, "a place before the partition");
        self.position = position.ok_or_else(outside)?;
        Ok(self.position)
    }
}

impl ext4_view::Ext4Read for Section {
    fn read(
        &mut self,
        start_byte: u64,
        buffer: &mut [u8],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync + 'static>> {
        let end = start_byte.checked_add(buffer.len() as u64).filter(|end| *end <= self.length);
        end.ok_or("a place behind the partition")?;
        Ok(self.file.read_exact_at(buffer, self.start + start_byte)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_the_partition() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"0123456789", 0).unwrap();
        let mut section = Section::new(file.try_clone().unwrap(), 2, 4);
        section.seek(SeekFrom::End(-2)).unwrap();
        assert_eq!(section.write(b"abcd").unwrap(), 2);
        assert!(section.write_all(b"x").is_err());
        section.seek(SeekFrom::Start(0)).unwrap();
        let mut all = String::new();
        section.read_to_string(&mut all).unwrap();
        assert_eq!(all, "23ab");
        assert!(section.seek(SeekFrom::Current(-9)).is_err());
        assert!(ext4_view::Ext4Read::read(&mut section, 3, &mut [0; 2]).is_err());
    }
}
