//! Whose signatures of profiles count, and of which profiles.
//!
//! The public keys and the decision whether a signature is required are in the initramfs, which the boot loader or the
//! firmware vouches for. The kernel command line has no say in it.

use std::fs;
use std::path::Path;

use boot_store::signature::{self, Key, Refusal, Signed};
use profiles::resolved::BootProfile;

use crate::error::Failure;
use crate::store::initramfs::{AllowedProfile, Description};
use crate::store::reader::ORIGINAL;
use crate::store::{Origin, StoredProfile};
use crate::{folder, paths};

const SIGN: &str =
    "sign the profile with `lamina profile sign`, and copy the file .minisig to the medium with it";

/// Keys and the rule.
#[derive(Debug, Default)]
pub struct Trust {
    keys: Vec<Key>,
    /// A profile without a valid signature is refused.
    pub required: bool,
    /// The only profiles of a medium that may be booted; all when there is none.
    allowed: Vec<AllowedProfile>,
    /// Whoever stands before the machine may become root.
    shell_allowed: bool,
}

impl Trust {
    /// Reads the keys of the initramfs. One that cannot be read is an error only where signatures are required: there it
    /// would look as if nobody had signed.
    pub fn read(description: &Description) -> Result<Self, Failure> {
        let trust = Self::read_from(Path::new(paths::KEYS), description.signatures_required)?;
        Ok(Self { allowed: description.profiles.clone(), shell_allowed: description.allows_shell(), ..trust })
    }

    fn read_from(folder: &Path, required: bool) -> Result<Self, Failure> {
        let mut trust = Self { required, ..Self::default() };
        for path in folder::sorted(folder).unwrap_or_default() {
            let key = fs::read_to_string(&path).map_err(|error| error.to_string());
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            match key.and_then(|text| Key::parse(name, &text)) {
                Ok(key) => trust.keys.push(key),
                Err(why) if required => {
                    return Err(Failure::new(format!("{} is no minisign public key: {why}", path.display()))
                        .try_this("make the initramfs again: mkinitramfs --public-key FILE"));
                }
                Err(_) => {}
            }
        }
        Ok(trust)
    }

    /// Whether nobody may come to more rights by taking something away: signatures are required, and a shell is not allowed.
    pub fn is_strict(&self) -> bool {
        self.required && !self.shell_allowed
    }

    /// Reads a profile, and says who signed it. Nothing that must be signed is parsed before it is checked: this is the only way to a
    /// profile's contents that is open to a boot.
    ///
    /// # Errors
    /// Its medium may not boot it, or its text is not understood.
    pub fn read_profile(
        &self,
        origin: Origin,
        stored: &StoredProfile,
    ) -> Result<(BootProfile, Option<String>), Failure> {
        let signed_by = match origin {
            Origin::Medium => self.vouches_for(stored)?,
            // The initramfs, profiles included, is what the keys themselves are trusted with.
            Origin::Initramfs => None,
        };
        Ok((stored.parse()?, signed_by))
    }

    /// Whether a profile of a medium may be booted, and who signed it.
    ///
    /// # Errors
    /// The initramfs does not allow it, not by this key, or not this generation; the signature is missing, wrong, or that of another
    /// generation: a file can be given any number, and what was signed cannot.
    fn vouches_for(&self, profile: &StoredProfile) -> Result<Option<String>, Failure> {
        let (signature, profile) = (profile.signature(), &profile.profile);
        let rule = self.allowed.iter().find(|allowed| allowed.name == profile.name);
        if rule.is_none() && !self.allowed.is_empty() {
            let names =
                self.allowed.iter().map(|allowed| allowed.name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(Failure::new(format!(
                "this initramfs allows no profile `{}` of a medium",
                profile.name
            ))
            .having_seen([format!("profiles that it allows: {names}")])
            .try_this("boot one of them, or make the initramfs anew: mkinitramfs --allow-profile NAME"));
        }
        let (key, lowest) = rule.map_or((None, None), |rule| (rule.key.as_ref(), rule.lowest));
        let signed = match self.check(&profile.bytes, signature?)? {
            None if key.is_some() || lowest.is_some() => return Err(self.unsigned()),
            None => return Ok(None),
            Some(signed) => signed,
        };
        if let Some(key) = key.filter(|key| key.as_str() != signed.by) {
            return Err(Failure::new(format!(
                "the profile is signed by {}, and this initramfs wants it from {key}",
                signed.by
            ))
            .try_this(ORIGINAL));
        }
        let claim = signed.claim();
        if let Some((name, generation)) = claim
            && (name, generation) != (profile.name.as_str(), profile.generation)
        {
            return Err(Failure::new(format!(
                "the signature is that of generation {generation} of `{name}`, and the file is generation {} of `{}`",
                profile.generation, profile.name
            ))
            .try_this(ORIGINAL));
        }
        match (lowest, claim) {
            (Some(lowest), Some((_, generation))) if generation < lowest => {
                Err(Failure::new(format!("generation {generation} is older than {lowest}, the lowest that this initramfs allows"))
                    .try_this("boot a newer generation, or make the initramfs anew with another lowest= for this profile"))
            }
            (Some(_), None) => Err(Failure::new("the signature does not say which generation it is of, and this initramfs allows none below one")
                .try_this("sign it with `lamina profile sign`, which writes that into it")),
            _ => Ok(Some(signed.by)),
        }
    }

    fn keys(&self) -> String {
        let names = self.keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>().join(", ");
        format!("keys of the initramfs: {names}")
    }

    fn unsigned(&self) -> Failure {
        Failure::new("the profile is not signed, and this initramfs requires a signature")
            .having_seen([self.keys()])
            .try_this(SIGN)
    }

    /// Who signed the bytes. `signature` is the text of the file beside the profile, `None` when there is none.
    ///
    /// A signature that is wrong is refused also where none is required: somebody meant it to be checked.
    fn check(&self, bytes: &[u8], signature: Option<&str>) -> Result<Option<Signed>, Failure> {
        let Some(text) = signature else {
            return if self.required { Err(self.unsigned()) } else { Ok(None) };
        };
        if self.keys.is_empty() && !self.required {
            return Ok(None);
        }
        signature::check(bytes, text, &self.keys).map(Some).map_err(|refusal| match refusal {
            Refusal::Unreadable(_) => Failure::new(refusal).try_this(ORIGINAL).try_this(SIGN),
            Refusal::NotByAKey => {
                Failure::new("the signature is not by a key of this initramfs, or the profile was changed")
                    .having_seen([self.keys()])
                    .try_this(ORIGINAL)
                    .try_this("if you changed it yourself, sign it again with `lamina profile sign`")
                    .try_this(
                        "or make the initramfs with the key that signed it: mkinitramfs --public-key FILE",
                    )
            }
        })
    }
}

#[cfg(test)]
#[path = "trust_tests.rs"]
mod tests;
