//! Signatures of profiles: minisign (its own description of the format is "Minisign", section "Signature format"), so that Debian's
//! `minisign` makes and checks them too.
//!
//! Only the kind that hashes first (`ED`) is taken; the older one reads all of a file into memory.

use std::fmt;

use minisign_verify::{PublicKey, Signature};
use profiles::Name;

/// A public key, with the name that it is called by.
#[derive(Debug, Clone)]
pub struct Key {
    /// As in the name of its file, `NAME.pub`.
    pub name: String,
    key: PublicKey,
}

impl Key {
    /// Reads the text of the file that `lamina key create` or `minisign -G` wrote.
    ///
    /// # Errors
    /// It is no minisign public key; why, in words.
    pub fn parse(name: impl Into<String>, text: &str) -> Result<Self, String> {
        let key = PublicKey::decode(text.trim()).map_err(|error| error.to_string())?;
        Ok(Self { name: name.into(), key })
    }
}

/// A good signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The name of the key.
    pub by: String,
    /// The trusted comment, which is signed too.
    pub comment: String,
}

impl Signed {
    /// The profile and the generation that the trusted comment names; those that `minisign` wrote by itself name none.
    pub fn claim(&self) -> Option<(&str, u64)> {
        let (name, generation) = self.comment.strip_prefix("profile ")?.split_once(" generation ")?;
        Some((name, generation.parse().ok()?))
    }
}

/// The trusted comment of a signature: what [`Signed::claim`] reads. A file can be given any number, and what was signed cannot.
pub fn comment(name: &Name, generation: u64) -> String {
    format!("profile {name} generation {generation}")
}

/// Why a signature does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Its file is no signature.
    Unreadable(String),
    /// It is by none of the keys, or the profile was changed.
    NotByAKey,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(why) => write!(f, "the signature cannot be read: {why}"),
            Self::NotByAKey => f.write_str("the signature is not by a known key, or the profile was changed"),
        }
    }
}

/// Who of `keys` signed these bytes, by the text of a signature's file.
///
/// # Errors
/// The text is no signature, or it is by none of them.
pub fn check(bytes: &[u8], signature: &str, keys: &[Key]) -> Result<Signed, Refusal> {
    let signature = Signature::decode(signature).map_err(|error| Refusal::Unreadable(error.to_string()))?;
    let by = keys.iter().find(|key| key.key.verify(bytes, &signature, false).is_ok());
    let by = by.ok_or(Refusal::NotByAKey)?.name.clone();
    Ok(Signed { by, comment: signature.trusted_comment().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comment_that_is_written_is_the_one_that_is_read() {
        let comment = comment(&Name::parse("web").unwrap(), 7);
        let signed = |comment: &str| Signed { by: "site".into(), comment: comment.to_owned() };
        assert_eq!(signed(&comment).claim(), Some(("web", 7)));
        for other in ["timestamp:1700000000\tfile:7.kdl\thashed", "profile web", "profile web generation x"] {
            assert_eq!(signed(other).claim(), None, "{other}");
        }
    }
}
