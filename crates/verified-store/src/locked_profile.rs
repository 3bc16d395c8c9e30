//! A generation of a profile, with all that goes with it to another place.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use boot_store::{BootStore, StoredProfile, layout, signature};
use fault::{Error, Result};
use profiles::Name;
use profiles::resolved::BootProfile;

/// A locked profile as it lies in a store, read and understood. Its images are not looked at yet.
#[derive(Debug, Clone)]
pub struct LockedProfile {
    /// The file: where, which generation, its bytes and their digest.
    pub stored: StoredProfile,
    /// What its bytes say.
    pub profile: BootProfile,
    /// The text of the minisign signature beside it. Nobody has looked yet whose it is.
    pub signature: Option<String>,
}

impl LockedProfile {
    /// The newest generation of a profile; `None` where it has none.
    ///
    /// # Errors
    /// As [`LockedProfile::read`].
    pub fn newest(store: &BootStore, name: &Name) -> Result<Option<Self>> {
        let folder = store.path().join(layout::profile_folder(name));
        let newest = store.newest(name).map_err(Error::on(folder.display()))?;
        newest.map(|generation| Self::read(store, name, generation)).transpose()
    }

    /// A generation of a profile.
    ///
    /// # Errors
    /// It or its signature cannot be read, its text is wrong, or is that of another profile.
    pub fn read(store: &BootStore, name: &Name, generation: u64) -> Result<Self> {
        let path = store.path().join(layout::profile(name, generation));
        let stored = store.profile(name, generation).map_err(unreadable(path.clone()))?;
        let profile = stored.parse().map_err(Error::on(""))?;
        let signature = store.signature(name, generation).map_err(unreadable(layout::signature_of(&path)))?;
        Ok(LockedProfile { stored, profile, signature })
    }

    /// What its file is called in every store, below the store's folder.
    pub fn place(&self) -> PathBuf {
        layout::profile(&self.stored.name, self.stored.generation)
    }

    /// The text of its signature, where that is meant for it as far as its comments say ([`signature::is_of`]).
    ///
    /// # Errors
    /// What lies beside it is the signature of something else: with that it would not boot where signatures are required.
    pub fn own_signature(&self) -> Result<Option<&str>> {
        let Some(text) = &self.signature else { return Ok(None) };
        let StoredProfile { name, generation, digest, path, .. } = &self.stored;
        signature::is_of(text, name, *generation, digest).map_err(|why| {
            Error::new(layout::signature_of(path).display(), why).remedy(format!(
                "`lamina profile sign {name} --key FILE` signs what is there; or remove the file"
            ))
        })?;
        Ok(Some(text))
    }

    /// Each file that the profile itself is, as what it is called below the folder of any store, with its bytes: the signature first, so
    /// that whoever copies them in this order never shows the profile without it.
    ///
    /// # Errors
    /// As [`LockedProfile::own_signature`].
    pub fn files(&self) -> Result<impl Iterator<Item = (PathBuf, &[u8])>> {
        let signature = self.own_signature()?.map(str::as_bytes);
        let signature = signature.map(|bytes| (layout::signature_of(&self.place()), bytes));
        Ok(signature.into_iter().chain([(self.place(), self.stored.bytes.as_slice())]))
    }
}

/// What is no regular file has no number of the system that says what helps.
fn unreadable(path: PathBuf) -> impl FnOnce(io::Error) -> Error {
    move |error| match error.kind() {
        ErrorKind::InvalidInput => Error::caused(path.display(), error)
            .remedy("remove it, or put the file itself there: neither a link nor a folder is read"),
        _ => Error::on(path.display())(error),
    }
}
