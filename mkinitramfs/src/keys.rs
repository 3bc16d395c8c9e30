//! The public keys of minisign that init trusts, and the signatures of packed profiles.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use boot_store::layout;
use boot_store::signature::{self, Refusal};
use initramfs_format::paths;
use profiles::Name;

use crate::contents::{Contents, Source};
use crate::host_file;
use fault::Error;
use verified_store::LockedProfile;

/// The keys of an initramfs, and whether a signature is required.
pub(crate) struct Keys {
    keys: Vec<Key>,
    required: bool,
}

struct Key {
    name: Name,
    text: String,
    key: signature::Key,
}

impl Keys {
    /// Reads the key files. A key is called by the name of its file.
    ///
    /// # Errors
    /// A file is no public key; two have the same name; signatures are required and there is no key.
    pub(crate) fn read(paths: &[PathBuf], required: bool) -> Result<Keys, Error> {
        let keys: Vec<Key> = paths.iter().map(|path| read(path)).collect::<Result<_, _>>()?;
        for (index, key) in keys.iter().enumerate() {
            if keys[..index].iter().any(|other| other.name == key.name) {
                return Err(Error::new(
                    paths[index].display(),
                    format!("a second key is called '{}'", key.name),
                )
                .remedy("give the files different names"));
            }
        }
        if required && keys.is_empty() {
            return Err(Error::new("--require-signatures", "no profile could ever boot: there is no key")
                .remedy("name a public key with --public-key FILE"));
        }
        Ok(Keys { keys, required })
    }

    /// Whether one of them has this name.
    pub(crate) fn has(&self, name: &Name) -> bool {
        self.keys.iter().any(|key| key.name == *name)
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether init refuses profiles without a valid signature.
    pub(crate) fn required(&self) -> bool {
        self.required
    }

    /// Adds the keys.
    pub(crate) fn add(&self, contents: &mut Contents) -> Result<(), Error> {
        self.keys.iter().try_for_each(|key| {
            let bytes = key.text.clone().into_bytes();
            contents.add(
                format!("{}/{}.pub", paths::entry(paths::KEYS), key.name),
                0o644,
                Source::Bytes(bytes),
            )
        })
    }

    /// Whether init will take the signature of a profile of the store, or do without one.
    ///
    /// # Errors
    /// Init would refuse the profile: the signature is missing and required, or by none of the keys.
    pub(crate) fn check(&self, locked: &LockedProfile) -> Result<(), Error> {
        let path = &locked.stored.path;
        let Some(text) = &locked.signature else {
            if self.required {
                return Err(Error::new(path.display(), "is not signed, and a signature is required")
                    .remedy("'lamina profile sign NAME --key FILE' signs it"));
            }
            return Ok(());
        };
        if self.keys.is_empty() {
            return Ok(());
        }
        let file = layout::signature_of(path);
        let keys: Vec<_> = self.keys.iter().map(|key| key.key.clone()).collect();
        match signature::check(&locked.stored.bytes, text, &keys) {
            Ok(_) => Ok(()),
            Err(refusal @ Refusal::Unreadable(_)) => Err(Error::new(file.display(), refusal.to_string())),
            Err(Refusal::NotByAKey) => Err(Error::new(
                file.display(),
                "is by none of the keys, or the profile was changed: init would refuse it",
            )
            .remedy("sign the profile again, or name the key that signed it with --public-key FILE")),
        }
    }
}

fn read(path: &Path) -> Result<Key, Error> {
    let no_key = |cause: String| {
        Error::new(path.display(), cause).remedy(
            "--public-key takes a public key, which 'lamina key create' or 'minisign -G' writes to a file .pub",
        )
    };
    let text = host_file::read_text(path).map_err(|error| match error.kind() {
        ErrorKind::InvalidData => no_key("is no public key: it is not text".to_owned()),
        _ => Error::on(path.display())(error),
    })?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let key = signature::Key::parse(stem.clone(), &text)
        .map_err(|error| no_key(format!("is no public key: {error}")))?;
    let name =
        Name::parse(&stem).map_err(|error| no_key(format!("cannot give the key its name: {error}")))?;
    Ok(Key { name, text, key })
}
