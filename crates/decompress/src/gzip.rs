//! gzip (RFC 1952): one member behind the other, and zeros behind the last, to which tapes and some writers fill up. gzip(1) and
//! tar(1) take them; the decoder of `flate2` does not.

use std::io::{self, BufRead, ErrorKind, Read};

use flate2::bufread::GzDecoder;

/// The bytes of all members.
pub(crate) struct Members<R> {
    /// `None` behind the last.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Members<R> {
    pub fn new(compressed: R) -> Self {
        Members { member: Some(GzDecoder::new(compressed)) }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let count = member.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            if let Some(member) = self.member.take() {
                self.member = next(member.into_inner())?;
            }
        }
        Ok(0)
    }
}

/// The next member, or none where only zeros follow.
fn next<R: BufRead>(mut rest: R) -> io::Result<Option<GzDecoder<R>>> {
    let mut zeros = 0;
    loop {
        let bytes = match rest.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            filled => filled?,
        };
        if bytes.is_empty() {
            return Ok(None);
        }
        match bytes.iter().position(|byte| *byte != 0) {
            Some(0) if zeros == 0 => return Ok(Some(GzDecoder::new(rest))),
            Some(_) => {
                return Err(io::Error::new(ErrorKind::InvalidData, "there is something behind its zeros"));
            }
            None => {
                let count = bytes.len();
                rest.consume(count);
                zeros += count;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write};

    use super::*;

    fn packed(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> io::Result<String> {
        let mut text = String::new();
        // Small, so that zeros reach over the buffer's end.
        Members::new(BufReader::with_capacity(7, bytes)).read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn members_follow_each_other_and_zeros_the_last() {
        let two = [packed("one "), packed(""), packed("two")].concat();
        for zeros in [0, 1, 7, 10_000] {
            assert_eq!(read(&[&two[..], &vec![0; zeros]].concat()).unwrap(), "one two", "{zeros}");
        }
        for behind in [&b"x"[..], b"\0x", b"\0\x1f\x8b", b"\x1f\x8b"] {
            assert!(read(&[&two[..], behind].concat()).is_err(), "{behind:?}");
        }
        assert!(read(&two[..two.len() - 1]).is_err() && read(b"").is_err());
    }
}
