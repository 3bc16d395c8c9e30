//! SSH public keys, as they stand in a line of `authorized_keys` (sshd(8)): the kind, the key in base64, and a comment.

use crate::decode::{KdlValue, Problem, Value, text};

/// The kinds that today's servers take, and the parts of each behind its name (RFC 4253, 5656 and 8709; PROTOCOL.u2f of OpenSSH).
const KINDS: [(&str, &[Part]); 7] = [
    ("ssh-ed25519", &[Part::Bytes(32)]),
    ("ssh-rsa", &[Part::Any, Part::Modulus]),
    ("ecdsa-sha2-nistp256", &[Part::Word("nistp256"), Part::Bytes(65)]),
    ("ecdsa-sha2-nistp384", &[Part::Word("nistp384"), Part::Bytes(97)]),
    ("ecdsa-sha2-nistp521", &[Part::Word("nistp521"), Part::Bytes(133)]),
    ("sk-ssh-ed25519@openssh.com", &[Part::Bytes(32), Part::Any]),
    ("sk-ecdsa-sha2-nistp256@openssh.com", &[Part::Word("nistp256"), Part::Bytes(65), Part::Any]),
];

/// A string inside a key.
enum Part {
    /// So many bytes.
    Bytes(usize),
    /// This word.
    Word(&'static str),
    /// The number that RSA keys are as long as; OpenSSH takes none below 1024 bits.
    Modulus,
    /// Some bytes.
    Any,
}

/// Longer than any key that servers read.
const LONGEST: usize = 8 << 10;

/// A public key, one line of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(String);

impl PublicKey {
    /// Reads a line of `authorized_keys` without options.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(line: &str) -> Result<PublicKey, String> {
        if line.len() > LONGEST || line.chars().any(char::is_control) {
            return Err("is no single line of a key".to_owned());
        }
        let mut words = line.split(' ');
        let (kind, key) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let Some((_, parts)) = KINDS.iter().find(|(name, _)| *name == kind) else {
            let known: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
            return Err(match kind {
                "-----BEGIN" => "is a secret key, which belongs into no profile".to_owned(),
                "ssh-dss" => "is a DSA key, which servers do not take any more".to_owned(),
                _ => format!("begins with none of {}", known.join(", ")),
            });
        };
        let bytes = base64(key).ok_or_else(|| format!("has no base64 behind {kind}"))?;
        let whole = holds(&bytes, kind, parts);
        if whole {
            Ok(PublicKey(line.trim_end().to_owned()))
        } else {
            Err(format!("is no whole key of {kind}"))
        }
    }

    /// The line.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for PublicKey {
    fn decode(value: &KdlValue) -> Result<PublicKey, Problem> {
        PublicKey::parse(text(value)?).map_err(|rule| {
            Problem::new(
                format!("this is no SSH public key: it {rule}"),
                "write the one line of a file such as ~/.ssh/id_ed25519.pub",
            )
        })
    }
}

/// Whether a key is its kind and these parts, and nothing else.
fn holds(bytes: &[u8], kind: &str, parts: &[Part]) -> bool {
    let mut rest = bytes;
    if string(&mut rest) != Some(kind.as_bytes()) {
        return false;
    }
    let fits = |part: &Part| match (part, string(&mut rest)) {
        (_, None) => false,
        (Part::Bytes(length), Some(found)) => found.len() == *length,
        (Part::Word(word), Some(found)) => found == word.as_bytes(),
        (Part::Modulus, Some(found)) => found.len() >= 128,
        (Part::Any, Some(found)) => !found.is_empty(),
    };
    parts.iter().all(fits) && rest.is_empty()
}

/// A string of RFC 4251: its length in four bytes, then itself.
fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, behind) = rest.split_first_chunk::<4>()?;
    let (found, behind) = behind.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *rest = behind;
    Some(found)
}

/// RFC 4648, with padding and nothing else.
fn base64(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || !text.len().is_multiple_of(4) {
        return None;
    }
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > 2 {
        return None;
    }
    let (mut bytes, mut bits, mut count) = (Vec::with_capacity(text.len()), 0_u32, 0_u32);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        (bits, count) = (bits << 6 | u32::from(value), count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    (bits == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC1xFkK3JrBEAWJ8qfusMvXIUw+xkDzE2wIlhxeSGkiB me@desk";

    #[test]
    fn a_key_is_looked_at_to_its_last_byte() {
        assert_eq!(PublicKey::parse(ED25519).map(|key| key.as_str().to_owned()), Ok(ED25519.to_owned()));
        for (text, rule) in [
            (ED25519.replace("AAAAC3", "AAAA!3"), "has no base64"),
            (ED25519.replace("GkiB", ""), "is no whole key"),
            (ED25519.replace("ssh-ed25519", "ssh-rsa"), "is no whole key"),
            (ED25519.replace("ssh-ed25519", "ssh-dss"), "is a DSA key"),
            (ED25519.replace("ssh-ed25519 ", ""), "begins with none of ssh-ed25519, ssh-rsa,"),
            (format!("{ED25519}\n{ED25519}"), "is no single line"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----".to_owned(), "is a secret key"),
            ("ssh-ed25519".to_owned(), "has no base64"),
        ] {
            let found = PublicKey::parse(&text).unwrap_err();
            assert!(found.contains(rule), "{text}: {found}");
        }
    }

    #[test]
    fn base64_is_read_strictly() {
        for (text, bytes) in
            [("TWE=", Some(b"Ma".as_slice())), ("TQ==", Some(b"M")), ("TWFu", Some(b"Man")), ("TR==", None)]
        {
            assert_eq!(base64(text).as_deref(), bytes, "{text}");
        }
        for wrong in ["", "TWE", "T===", "TW E", "TWE=TWE="] {
            assert_eq!(base64(wrong), None, "{wrong}");
        }
    }
}
