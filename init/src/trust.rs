//! Signatures of profiles: minisign (its own description of the format is "Minisign", section "Signature format").
//!
//! The public keys and the decision whether a signature is required are in the initramfs, which the boot loader or the
//! firmware vouches for. The kernel command line has no say in it.

use std::fs;
use std::path::Path;

use minisign_verify::{PublicKey, Signature};

use crate::error::Failure;
use crate::paths;

/// Nobody should sign anew what somebody else changed.
const ORIGINAL: &str = "copy the original profile back to the medium, with its signature: what lies there may have been changed by somebody";

/// Keys and the rule.
#[derive(Debug, Default)]
pub struct Trust {
    keys: Vec<Key>,
    /// A profile without a valid signature is refused.
    pub required: bool,
}

#[derive(Debug)]
struct Key {
    name: String,
    key: PublicKey,
}

impl Trust {
    /// Reads the keys of the initramfs. One that cannot be read is an error only where signatures are required: there it
    /// would look as if nobody had signed.
    pub fn read(required: bool) -> Result<Self, Failure> {
        Self::read_from(Path::new(paths::KEYS), required)
    }

    fn read_from(folder: &Path, required: bool) -> Result<Self, Failure> {
        let mut trust = Self { keys: Vec::new(), required };
        let mut paths: Vec<_> =
            fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let key = fs::read_to_string(&path).map_err(|error| error.to_string());
            let key = key.and_then(|text| PublicKey::decode(text.trim()).map_err(|error| error.to_string()));
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            match key {
                Ok(key) => trust.keys.push(Key { name, key }),
                Err(why) if required => {
                    return Err(Failure::new(format!("{} is no minisign public key: {why}", path.display()))
                        .try_this("make the initramfs again: mkinitramfs --key FILE"));
                }
                Err(_) => {}
            }
        }
        Ok(trust)
    }

    /// Who signed the bytes. `signature` is the text of the file beside the profile, `None` when there is none.
    ///
    /// A signature that is wrong is refused also where none is required: somebody meant it to be checked.
    pub fn check(&self, bytes: &[u8], signature: Option<&str>) -> Result<Option<String>, Failure> {
        let remedy =
            "sign the profile with `lamina profile sign`, and copy the file .minisig to the medium with it";
        let keys = || self.keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>().join(", ");
        let Some(text) = signature else {
            if !self.required {
                return Ok(None);
            }
            return Err(Failure::new("the profile is not signed, and this initramfs requires a signature")
                .having_seen([format!("keys of the initramfs: {}", keys())])
                .try_this(remedy));
        };
        if self.keys.is_empty() && !self.required {
            return Ok(None);
        }
        let signature = Signature::decode(text).map_err(|error| {
            Failure::new(format!("the signature cannot be read: {error}")).try_this(ORIGINAL).try_this(remedy)
        })?;
        // Without the old format, which hashes nothing and reads all of a file into memory.
        let signer = self.keys.iter().find(|key| key.key.verify(bytes, &signature, false).is_ok());
        match signer {
            Some(key) => Ok(Some(key.name.clone())),
            None => Err(Failure::new(
                "the signature is not by a key of this initramfs, or the profile was changed",
            )
            .having_seen([format!("keys of the initramfs: {}", keys())])
            .try_this(ORIGINAL)
            .try_this("if you changed it yourself, sign it again with `lamina profile sign`")
            .try_this("or make the initramfs with the key that signed it: mkinitramfs --key FILE")),
        }
    }
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;
