//! A store: which profiles it has, and the one that was asked for.
//!
//! Everything in it is opened beneath its folder, without links and without crossing a mount, so that [`Origin`] says where the
//! bytes really lie: what is packed into the initramfs is trusted, whatever the command line calls it.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use boot_store::{BootStore, ProfileError, layout};
use profiles::Name;
use profiles::resolved::BootProfile;
use stack::beneath::Folder;

use crate::error::Failure;
use crate::paths;
use crate::request::WantedProfile;
use crate::store::profile_summary::ProfileSummary;

/// More profiles are not listed.
const MOST_LISTED: usize = 256;
/// Of the generations that have another digest so many are shown.
const MOST_SEEN: usize = 8;

/// Nobody should sign or bind anew what somebody else changed.
pub const ORIGINAL: &str = "copy the original profile back to the medium, with its signature: what lies there may have been changed by somebody";

/// Where the bytes of a store lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// On the medium that `lamina.store=` names.
    Medium,
    /// In the initramfs, into which they were packed.
    Initramfs,
}

/// A store that can be read.
#[derive(Debug, Clone)]
pub struct Store {
    /// Where its bytes lie.
    pub origin: Origin,
    /// The folder with `profiles/` and `images/`, for messages and for the running system.
    pub folder: PathBuf,
    /// What is read, or why it cannot be opened.
    files: Result<BootStore, String>,
}

/// A profile as it lies in the store, with its signature.
#[derive(Debug, Clone)]
pub struct StoredProfile {
    /// The profile, and what its file is.
    pub profile: boot_store::StoredProfile,
    /// The text of the minisign signature beside it, or why it cannot be read; `None` when there is none.
    signature: Result<Option<String>, Failure>,
}

impl StoredProfile {
    /// The text of the minisign signature beside it; `None` when there is none.
    pub fn signature(&self) -> Result<Option<&str>, Failure> {
        self.signature.as_ref().map(Option::as_deref).map_err(Clone::clone)
    }

    /// Reads the language; the error shows line, column and caret. A profile under another one's name is refused.
    ///
    /// Only this folder may: what lies on a medium is checked first, by `Trust::read_profile`.
    pub(super) fn parse(&self) -> Result<BootProfile, Failure> {
        self.profile.parse().map_err(|error: ProfileError| {
            Failure::new(error)
                .try_this("write the profile with `lamina profile lock`, and copy it to the medium again")
        })
    }
}

impl Store {
    /// The one that is packed into the initramfs. Its place is a constant: nothing that is asked for leads anywhere else.
    pub fn packed() -> Self {
        Self::open(Origin::Initramfs, Path::new("/"), paths::PACKED_STORE)
    }

    /// The one in this folder of the medium.
    pub fn on_medium(folder: &str) -> Self {
        Self::open(Origin::Medium, Path::new(paths::MEDIUM), folder)
    }

    /// `root` is trusted: what it is said to be is what it is.
    pub fn open(origin: Origin, root: &Path, folder: &str) -> Self {
        let files = BootStore::open(root, Path::new(folder)).map_err(|error| error.to_string());
        let folder = if folder.is_empty() { root.to_owned() } else { root.join(folder) };
        Self { origin, folder, files }
    }

    /// What its files are opened beneath; `None` when it could not be opened.
    pub fn folder(&self) -> Option<Arc<Folder>> {
        self.files.as_ref().ok().map(|files| Arc::clone(files.folder()))
    }

    /// Whether it has a folder of profiles.
    pub fn has_profiles(&self) -> bool {
        self.files.as_ref().is_ok_and(BootStore::has_profiles)
    }

    fn opened(&self) -> io::Result<&BootStore> {
        self.files.as_ref().map_err(|why| io::Error::new(ErrorKind::NotFound, why.clone()))
    }

    fn read(&self, name: &Name, generation: u64) -> Result<StoredProfile, Failure> {
        self.read_unsigned(name, generation).map(|profile| self.with_signature(profile))
    }

    /// The profile without what lies beside it.
    fn read_unsigned(&self, name: &Name, generation: u64) -> Result<boot_store::StoredProfile, Failure> {
        self.opened().and_then(|files| files.profile(name, generation)).map_err(|error| {
            let path = self.folder.join(layout::profile(name, generation));
            Failure::new(format!("cannot read {}: {error}", path.display()))
                .try_this("copy the profile to the medium again")
        })
    }

    fn with_signature(&self, profile: boot_store::StoredProfile) -> StoredProfile {
        let signature = self.opened().and_then(|files| files.signature(&profile.name, profile.generation));
        let signature = signature.map_err(|error| {
            let path = layout::signature_of(&profile.path);
            Failure::new(format!("cannot read {}: {error}", path.display()))
                .try_this("copy the signature to the medium again")
        });
        StoredProfile { profile, signature }
    }

    /// Finds the newest generation of the profile or, when the request binds its digest, the generation that has it.
    pub fn find_profile(&self, wanted: Option<&WantedProfile>) -> Result<StoredProfile, Failure> {
        let Some(wanted) = wanted else {
            return Err(self.missing("no lamina.profile= on the kernel command line".into()));
        };
        let generations = self.generations(&wanted.name);
        let Some(newest) = generations.first() else {
            return Err(self.missing(format!("the store has no profile `{}`", wanted.name)));
        };
        let Some(digest) = &wanted.digest else { return self.read(&wanted.name, *newest) };
        let mut seen = Vec::new();
        for generation in &generations {
            let other = match self.read_unsigned(&wanted.name, *generation) {
                // Only now its signature: there may be a thousand generations.
                Ok(profile) if profile.digest == *digest => return Ok(self.with_signature(profile)),
                Ok(profile) => format!("{} {}", profile.path.display(), profile.digest),
                // A damaged generation must not hide the one that is asked for.
                Err(failure) => failure.why,
            };
            if seen.len() < MOST_SEEN {
                seen.push(other);
            }
        }
        if generations.len() > seen.len() {
            seen.push(format!("and {} older ones", generations.len() - seen.len()));
        }
        Err(Failure::new(format!("no generation of `{}` has {digest}", wanted.name))
            .having_seen(seen)
            .try_this(ORIGINAL)
            .try_this("if you locked it anew yourself, write its digest into the boot entry"))
    }

    fn missing(&self, why: String) -> Failure {
        let failure = Failure::new(why);
        let names = self.profile_names();
        if names.is_empty() {
            let folder = self.folder.display();
            let seen = match self.opened() {
                Ok(_) => format!("{folder}/profiles holds no profile"),
                Err(error) => format!("{folder}: {error}"),
            };
            return failure.having_seen([seen]).try_this(
            "check lamina.store= and lamina.dir=: the store's folder has profiles/NAME/GENERATION.kdl in it",
        );
        }
        let list: Vec<&str> = names.iter().map(Name::as_str).collect();
        failure
            .having_seen([format!("profiles in the store: {}", list.join(", "))])
            .try_this("write lamina.profile=NAME with one of them")
    }

    /// Whether the store has a generation of the profile.
    pub fn has_profile(&self, name: &Name) -> bool {
        !self.generations(name).is_empty()
    }

    /// The profiles of the store, sorted, with what they say of themselves where they may be read for that (`described`): nothing that
    /// must be signed is parsed before it is checked. One that cannot be read is listed too: who chooses it learns why it cannot.
    pub fn choices(&self, described: bool) -> Vec<ProfileSummary> {
        let description = |name: &Name| {
            if !described {
                return None;
            }
            let wanted = WantedProfile { name: name.clone(), digest: None };
            self.find_profile(Some(&wanted)).ok()?.parse().ok()?.description
        };
        self.profile_names()
            .into_iter()
            .map(|name| ProfileSummary { description: description(&name), name })
            .collect()
    }

    fn profile_names(&self) -> Vec<Name> {
        self.opened().and_then(|files| files.profile_names(MOST_LISTED)).unwrap_or_default()
    }

    /// The newest first.
    fn generations(&self, profile: &Name) -> Vec<u64> {
        self.opened().and_then(|files| files.generations(profile)).unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
