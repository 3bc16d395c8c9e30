//! A partition as a file of its own: reading, writing and seeking stay inside it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that are read at once while a folder is looked through.
const WINDOW: u64 = 4096;
/// Of [`Look::left`] while nothing is looked for.
const NO_LOOK: u64 = u64::MAX;

/// A look through folders, which ends: how much of a section it may read. fatfs reads a folder in words of 1 to 11 bytes, and a look reads
/// [`WINDOW`] bytes in their place; the next look reads them anew, for the disk may have been written to.
#[derive(Debug)]
pub(crate) struct Look {
    /// Bytes that may be read yet.
    left: AtomicU64,
    number: AtomicU64,
}

impl Look {
    /// None yet.
    pub(crate) fn new() -> Look {
        Look { left: AtomicU64::new(NO_LOOK), number: AtomicU64::new(0) }
    }

    /// Looks, and reads no more than so many bytes.
    pub(crate) fn through<T>(&self, most: u64, look: impl FnOnce() -> T) -> T {
        self.number.fetch_add(1, Ordering::Relaxed);
        self.left.store(most, Ordering::Relaxed);
        let found = look();
        self.left.store(NO_LOOK, Ordering::Relaxed);
        found
    }

    /// The number of the look that goes on.
    fn number(&self) -> Option<u64> {
        (self.left.load(Ordering::Relaxed) != NO_LOOK).then(|| self.number.load(Ordering::Relaxed))
    }

    fn spend(&self, bytes: u64) -> io::Result<()> {
        let left = self.left.load(Ordering::Relaxed);
        if left == NO_LOOK {
            return Ok(());
        }
        let rest = left.checked_sub(bytes);
        let rest = rest.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a folder has no end"))?;
        self.left.store(rest, Ordering::Relaxed);
        Ok(())
    }
}

/// What a look has read last.
#[derive(Debug, Default)]
struct Window {
    look: u64,
    begin: u64,
    bytes: Vec<u8>,
}

/// Bytes `start` to `start + length` of a file.
#[derive(Debug)]
pub struct Section {
    file: File,
    start: u64,
    length: u64,
    position: u64,
    look: Option<Arc<Look>>,
    window: Window,
}

impl Section {
    /// This part of a file.
    pub fn new(file: File, start: u64, length: u64) -> Section {
        Section { file, start, length, position: 0, look: None, window: Window::default() }
    }

    /// The same, for looks through its folders.
    pub(crate) fn for_looks(self, look: Arc<Look>) -> Section {
        Section { look: Some(look), ..self }
    }

    fn room(&self, wanted: usize) -> usize {
        usize::try_from(self.length.saturating_sub(self.position)).unwrap_or(usize::MAX).min(wanted)
    }

    fn read_here(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(look) = self.look.as_ref().and_then(|look| look.number()) else {
            return self.file.read_at(buffer, self.start + self.position);
        };
        let behind = self.window.begin + self.window.bytes.len() as u64;
        if self.window.look != look || !(self.window.begin..behind).contains(&self.position) {
            let begin = self.position / WINDOW * WINDOW;
            self.window.bytes.resize(WINDOW.min(self.length - begin) as usize, 0);
            let count = self.file.read_at(&mut self.window.bytes, self.start + begin)?;
            self.window.bytes.truncate(count);
            (self.window.look, self.window.begin) = (look, begin);
        }
        let inside = (self.position - self.window.begin) as usize;
        let found = self.window.bytes.get(inside..).unwrap_or_default();
        let count = found.len().min(buffer.len());
        buffer[..count].copy_from_slice(&found[..count]);
        Ok(count)
    }
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = self.room(buffer.len());
        if room == 0 {
            return Ok(0);
        }
        let count = self.read_here(&mut buffer[..room])?;
        if let Some(look) = &self.look {
            look.spend(count as u64)?;
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
    fn a_look_reads_less_often_and_each_sees_what_was_written_before() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[1; 6000], 100).unwrap();
        let look = Arc::new(Look::new());
        let section = Section::new(file.try_clone().unwrap(), 100, 5000).for_looks(Arc::clone(&look));
        let section = std::cell::RefCell::new(section);
        let sum = || {
            let (mut section, mut bytes) = (section.borrow_mut(), Vec::new());
            section.rewind().unwrap();
            section
                .read_to_end(&mut bytes)
                .map(|_| bytes.iter().map(|byte| usize::from(*byte)).sum::<usize>())
        };
        assert_eq!(look.through(5000, sum).unwrap(), 5000);
        file.write_all_at(&[3], 4500).unwrap();
        assert_eq!((look.through(5000, sum).unwrap(), sum().unwrap()), (5002, 5002));
        assert_eq!(look.through(4999, sum).unwrap_err().to_string(), "a folder has no end");
        assert_eq!(sum().unwrap(), 5002);
    }

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
