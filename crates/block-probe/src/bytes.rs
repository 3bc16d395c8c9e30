//! Where the readers of this crate read from: a device, a file, or a slice in a test.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt;

/// Bytes that can be read at any offset, in any order.
pub trait ByteSource {
    /// Fills `buffer` from `offset`; an error when the source ends before.
    fn fill(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// The number of bytes.
    fn length(&self) -> io::Result<u64>;

    /// `LEN` bytes at `offset`, or `None` when they cannot be read: to a prober, unreadable is "not mine".
    fn array<const LEN: usize>(&self, offset: u64) -> Option<[u8; LEN]>
    where
        Self: Sized,
    {
        let mut buffer = [0; LEN];
        self.fill(&mut buffer, offset).ok()?;
        Some(buffer)
    }

    /// `len` bytes at `offset`, or `None`. The caller bounds `len`.
    fn vec(&self, offset: u64, len: usize) -> Option<Vec<u8>> {
        let mut buffer = vec![0; len];
        self.fill(&mut buffer, offset).ok()?;
        Some(buffer)
    }
}

impl ByteSource for File {
    fn fill(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }

    fn length(&self) -> io::Result<u64> {
        // Of a device too, whose metadata say 0. The position is nobody's: all reads are at an offset.
        let mut file = self;
        file.seek(SeekFrom::End(0))
    }
}

impl ByteSource for Vec<u8> {
    fn fill(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).ok();
        let range = start.and_then(|start| Some(start..start.checked_add(buffer.len())?));
        let bytes = range.and_then(|range| self.get(range)).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

/// Big-endian 32 bits at `at`; the caller has checked the length.
pub(crate) fn be32(bytes: &[u8], at: usize) -> u32 {
    le32(bytes, at).swap_bytes()
}

/// Little-endian 16 bits at `at`; the caller has checked the length.
pub(crate) fn le16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// Little-endian 32 bits at `at`; the caller has checked the length.
pub(crate) fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from(le16(bytes, at)) | u32::from(le16(bytes, at + 2)) << 16
}

/// Little-endian 64 bits at `at`; the caller has checked the length.
pub(crate) fn le64(bytes: &[u8], at: usize) -> u64 {
    u64::from(le32(bytes, at)) | u64::from(le32(bytes, at + 4)) << 32
}

/// Text in a fixed field: up to the first NUL, trailing blanks cut, `None` when nothing is left.
pub(crate) fn field_text(field: &[u8]) -> Option<String> {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    let text = String::from_utf8_lossy(&field[..end]);
    let text = text.trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_ends_where_it_ends() {
        let source = vec![1, 2, 3, 4];
        assert_eq!(source.array::<2>(2), Some([3, 4]));
        assert_eq!(source.array::<2>(3), None);
        assert_eq!(source.array::<2>(u64::MAX), None);
    }

    #[test]
    fn fields_end_at_nul_or_blanks() {
        assert_eq!(field_text(b"data\0\0junk"), Some("data".into()));
        assert_eq!(field_text(b"DATA   "), Some("DATA".into()));
        assert_eq!(field_text(b"   \0"), None);
    }

    #[test]
    fn little_endian() {
        assert_eq!(le64(&[0, 1, 2, 3, 4, 5, 6, 7, 8], 1), 0x0807_0605_0403_0201);
    }
}
