//! SHA-256 digests as they are written in profiles, recipes and file names.

use std::fmt::{self, Write as _};
use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

/// Bytes read and hashed at a time.
const CHUNK: usize = 1 << 18;

/// A SHA-256 digest: 32 bytes, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Reads `sha256:HEX` or `HEX`.
    ///
    /// # Errors
    /// Says how the text differs from 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Result<Digest, DigestError> {
        let hex = match text.split_once(':') {
            None => text,
            Some(("sha256", hex)) => hex,
            Some((algorithm, _)) => return Err(DigestError::Algorithm(algorithm.to_owned())),
        };
        bytes_of(hex).map(Digest).ok_or_else(|| {
            let bad = hex.chars().find(|c| !matches!(c, '0'..='9' | 'a'..='f'));
            bad.map_or(DigestError::Length(hex.len()), DigestError::Character)
        })
    }

    /// The SHA-256 (FIPS 180-4) of all that is left to read of `bytes`, and its length in bytes.
    ///
    /// # Errors
    /// The first error of reading that is not an interruption.
    pub fn of(mut bytes: impl Read) -> io::Result<(Digest, u64)> {
        let (mut hasher, mut buffer, mut length) = (Sha256::new(), vec![0; CHUNK], 0);
        loop {
            match bytes.read(&mut buffer) {
                Ok(0) => return Ok((Digest(hasher.finalize().into()), length)),
                Ok(count) => {
                    hasher.update(&buffer[..count]);
                    length += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The SHA-256 of bytes in memory.
    pub fn of_bytes(bytes: impl AsRef<[u8]>) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// Takes the 32 bytes that a hash function gave.
    pub fn from_bytes(bytes: [u8; 32]) -> Digest {
        Digest(bytes)
    }

    /// The 32 bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 lower-case hexadecimal digits, without a prefix: the form of file names.
    pub fn hex(&self) -> String {
        let mut text = String::with_capacity(64);
        // A string takes everything.
        let _ = write!(text, "{self:x}");
        text
    }
}

/// The 64 digits, without a prefix.
impl fmt::LowerHex for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 64];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]));
        }
        f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The values of the digits, and what is no digit: a profile of 500 images has 96,000 of them.
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < DIGITS.len() {
        values[DIGITS[value] as usize] = value as u8;
        value += 1;
    }
    values
};

const NO_DIGIT: u8 = 0xff;

/// The bytes that 64 digits mean.
fn bytes_of(hex: &str) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = hex.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    let mut all = 0;
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (VALUES[usize::from(pair[0])], VALUES[usize::from(pair[1])]);
        (*byte, all) = (high << 4 | low & 15, all | high | low);
    }
    (all < 16).then_some(bytes)
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{self:x}")
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a text differs from a SHA-256 digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DigestError {
    /// Names another hash function.
    Algorithm(String),
    /// Holds a character that is no lower-case hexadecimal digit.
    Character(char),
    /// Has another number of digits than 64.
    Length(usize),
}

impl fmt::Display for DigestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DigestError::Algorithm(name) => write!(f, "the digest is of kind '{name}', only sha256 is known"),
            DigestError::Character(c) => write!(f, "the digest holds '{}'", c.escape_default()),
            DigestError::Length(digits) => write!(f, "the digest has {digits} digits, a SHA-256 has 64"),
        }
    }
}

impl std::error::Error for DigestError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms_and_writes_the_long_one() {
        let hex = "00ff10".to_owned() + &"a5".repeat(29);
        let digest = Digest::parse(&hex).expect("bare form");
        assert_eq!(Digest::parse(&format!("sha256:{hex}")), Ok(digest));
        assert_eq!((digest.bytes()[1], digest.bytes()[2], digest.bytes()[31]), (0xff, 0x10, 0xa5));
        assert_eq!(digest.hex(), hex);
        assert_eq!(digest.to_string(), format!("sha256:{hex}"));
        assert_eq!(Digest::from_bytes(*digest.bytes()), digest);
    }

    /// The example "abc" of FIPS 180-2, B.1.
    #[test]
    fn bytes_are_hashed_the_same_in_memory_and_from_a_reader() {
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of_bytes("abc").hex(), hex);
        assert_eq!(Digest::of(&b"abc"[..]).expect("bytes in memory"), (Digest::of_bytes("abc"), 3));
    }

    #[test]
    fn refuses_everything_else() {
        assert_eq!(Digest::parse("sha512:00"), Err(DigestError::Algorithm("sha512".into())));
        assert_eq!(Digest::parse("abc"), Err(DigestError::Length(3)));
        assert_eq!(Digest::parse(&"A".repeat(64)), Err(DigestError::Character('A')));
        assert_eq!(Digest::parse(&"\u{e9}".repeat(32)), Err(DigestError::Character('\u{e9}')));
    }
}
