//! Frames: a byte that says what it is, the length of what follows (4 bytes, little-endian), and that.

use std::io::{self, ErrorKind, Read, Write};

/// The longest frame, without its head, in bytes.
pub const LONGEST: usize = 1 << 16;

/// Bytes with a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is: a letter of ASCII, so that a recording can be read.
    pub kind: u8,
    /// At most [`LONGEST`] bytes.
    pub bytes: Vec<u8>,
}

impl Frame {
    /// Reads the next one; `None` where the other side has ended between two.
    ///
    /// # Errors
    /// It ends within one; one is longer than [`LONGEST`]; or reading fails.
    pub fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut kind = [0];
        loop {
            match from.read(&mut kind) {
                Ok(0) => return Ok(None),
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > LONGEST {
            let kind = kind.escape_ascii();
            let message = format!("a message '{kind}' of {length} bytes, where {LONGEST} are the most");
            return Err(io::Error::new(ErrorKind::InvalidData, message));
        }
        let mut bytes = vec![0; length];
        from.read_exact(&mut bytes)?;
        Ok(Some(Self { kind: kind[0], bytes }))
    }

    /// Writes it in one piece.
    ///
    /// # Errors
    /// It is longer than [`LONGEST`]; or writing fails.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let length = u32::try_from(self.bytes.len()).ok().filter(|_| self.bytes.len() <= LONGEST);
        let length =
            length.ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "a message is too long"))?;
        let mut whole = vec![self.kind];
        whole.extend(length.to_le_bytes());
        whole.extend(&self.bytes);
        to.write_all(&whole)?;
        to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in() {
        let frames = [(b'a', 0), (b'b', 1), (b'c', LONGEST)];
        let frames = frames.map(|(kind, length)| Frame { kind, bytes: vec![kind; length] });
        let mut stream = Vec::new();
        frames.iter().for_each(|frame| frame.write(&mut stream).unwrap());
        let mut from = stream.as_slice();
        for frame in &frames {
            assert_eq!(Frame::read(&mut from).unwrap().as_ref(), Some(frame));
        }
        assert_eq!(Frame::read(&mut from).unwrap(), None);
    }

    #[test]
    fn what_is_cut_or_too_long_is_refused_before_anything_is_taken() {
        let mut whole = Vec::new();
        Frame { kind: b'x', bytes: b"abc".to_vec() }.write(&mut whole).unwrap();
        for end in 1..whole.len() {
            assert_eq!(Frame::read(&mut &whole[..end]).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        }
        let long = [b'x', 0xff, 0xff, 0xff, 0xff];
        assert!(Frame::read(&mut &long[..]).unwrap_err().to_string().contains("of 4294967295 bytes"));
        let long = Frame { kind: b'x', bytes: vec![0; LONGEST + 1] };
        assert_eq!(long.write(&mut Vec::new()).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
