//! Signatures of profiles: minisign (its own description of the format is "Minisign", section "Signature format"), so that Debian's
//! `minisign` makes and checks them too.
//!
//! Only the kind that hashes first (`ED`) is taken; the older one reads all of a file into memory.

use std::fmt;

use minisign_verify::{PublicKey, Signature};
use profiles::{Digest, Name};

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
        claim(&self.comment)
    }
}

fn claim(comment: &str) -> Option<(&str, u64)> {
    let (name, generation) = comment.strip_prefix("profile ")?.split_once(" generation ")?;
    Some((name, generation.parse().ok()?))
}

/// The trusted comment of a signature: what [`Signed::claim`] reads. A file can be given any number, and what was signed cannot.
pub fn comment(name: &Name, generation: u64) -> String {
    format!("profile {name} generation {generation}")
}

/// Before the digest in the other comment, which nobody vouches for.
const OVER: &str = "signed by lamina, over ";

/// The untrusted comment of a signature: what the signature is over, for whoever has no key ([`is_of`]).
pub fn untrusted_comment(digest: &Digest) -> String {
    format!("{OVER}{digest}")
}

/// Whether a signature is meant for this generation with these bytes, as far as that is known without a key: by the name and the number of its
/// trusted comment, and by the digest of the other one, where they name any. Whether it is good only [`check`] says.
///
/// # Errors
/// It is no signature, or that of something else; why, in words.
pub fn is_of(signature: &str, name: &Name, generation: u64, digest: &Digest) -> Result<(), String> {
    let signature =
        Signature::decode(signature).map_err(|error| Refusal::Unreadable(error.to_string()).to_string())?;
    if let Some((of, number)) = claim(signature.trusted_comment())
        && (of, number) != (name.as_str(), generation)
    {
        return Err(format!("the signature is that of generation {number} of `{of}`"));
    }
    let over = signature.untrusted_comment().split_once(OVER).and_then(|it| Digest::parse(it.1.trim()).ok());
    match over {
        Some(over) if over != *digest => {
            Err(format!("the signature is over {over}, and the profile is {digest}"))
        }
        _ => Ok(()),
    }
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
    fn without_a_key_its_comments_say_what_it_is_of() {
        let digest = |byte| Digest::from_bytes([byte; 32]);
        // The example of minisign's own page, with other comments.
        let text = |untrusted: &str, trusted: &str| {
            format!(
                "untrusted comment: {untrusted}\nRUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n\
                 trusted comment: {trusted}\ny/rUw2y8/hOUYjZU71eHp/Wo1KZ40fGy2VJEDl34XMJM+TX48Ss/17u3IvIfbVR1FkZZSNCisQbuQY+bHwhEBg==\n"
            )
        };
        let web = Name::parse("web").unwrap();
        let is_of = |untrusted: &str, trusted: &str| is_of(&text(untrusted, trusted), &web, 7, &digest(1));
        let over = untrusted_comment(&digest(1));
        assert_eq!(is_of(&over, "profile web generation 7"), Ok(()));
        assert_eq!(is_of("signature from minisign secret key", "timestamp:1633700835\tfile:test"), Ok(()));
        let why = |result: Result<(), String>| result.unwrap_err();
        assert!(why(is_of(&over, "profile web generation 6")).ends_with("that of generation 6 of `web`"));
        assert!(why(is_of(&over, "profile mail generation 7")).ends_with("of `mail`"));
        let other = untrusted_comment(&digest(2));
        assert!(why(is_of(&other, "profile web generation 7")).contains("is over sha256:0202"));
        let none = super::is_of("a signature", &web, 7, &digest(1));
        assert!(why(none).starts_with("the signature cannot be read: "));
    }

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
