//! A store: which profiles it has, and the one that was asked for.
//!
//! Everything in it is opened beneath its folder, without links and without crossing a mount, so that [`Place`] says where the
//! bytes really lie: what is packed into the initramfs is trusted, whatever the command line calls it.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use profiles::resolved::BootProfile;
use profiles::{Digest, Name};
use sha2::{Digest as _, Sha256};
use stack::beneath::Directory;

use crate::error::Failure;
use crate::paths;
use crate::request::WantedProfile;
use crate::store::profile_summary::ProfileSummary;

/// The limit of the profile language; one byte more is read, so that its parser can say that it is too much.
const LONGEST_PROFILE: u64 = (1 << 20) + 1;

/// More generations of one profile are not looked at: the newest are. A folder of a million names must not fill the memory.
const MOST_GENERATIONS: usize = 1_024;
/// More names of a folder are not read: on a hostile medium a million folders may each have a million.
const MOST_NAMES: usize = 16_384;
/// More folders are not looked into for a list.
const MOST_FOLDERS: usize = 1_024;
/// More profiles are not listed.
const MOST_LISTED: usize = 256;
/// Of the generations that have another digest so many are shown.
const MOST_SEEN: usize = 8;

/// Where the bytes of a store lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On the medium that `lamina.store=` names.
    Medium,
    /// In the initramfs, into which they were packed.
    Initramfs,
}

/// A store that can be read.
#[derive(Debug, Clone)]
pub struct Store {
    /// Where its bytes lie.
    pub place: Place,
    /// The folder with `profiles/` and `images/`, for messages and for the running system.
    pub folder: PathBuf,
    /// The folder, or why it cannot be opened.
    directory: Result<Arc<Directory>, String>,
}

/// A profile as it lies in the store.
#[derive(Debug, Clone)]
pub struct StoredProfile {
    /// The profile that its folder names.
    pub name: Name,
    /// The file, for messages.
    pub path: PathBuf,
    /// Its number.
    pub generation: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// The text of the minisign signature beside it, or why it cannot be read; `None` when there is none.
    signature: Result<Option<String>, Failure>,
}

impl StoredProfile {
    /// The text of the minisign signature beside it; `None` when there is none.
    pub fn signature(&self) -> Result<Option<&str>, Failure> {
        self.signature.as_ref().map(Option::as_deref).map_err(Clone::clone)
    }

    /// Reads the language; the error shows line, column and caret. A profile under another one's name is refused: it
    /// would boot a system that nobody asked for.
    pub fn parse(&self) -> Result<BootProfile, Failure> {
        let label = self.path.display().to_string();
        let again = "write the profile with `lamina profile lock`, and copy it to the medium again";
        let profile = BootProfile::parse(&label, &self.bytes)
            .map_err(|diagnostics| Failure::new(diagnostics.to_string().trim_end()).try_this(again))?;
        let folder = self.path.parent().and_then(Path::file_name);
        if folder.is_some_and(|folder| folder != profile.name.as_str()) {
            let why = format!("{label} is a file of another profile: it says that it is `{}`", profile.name);
            return Err(Failure::new(why).try_this(again));
        }
        Ok(profile)
    }
}

impl Store {
    /// The one that is packed into the initramfs. Its place is a constant: nothing that is asked for leads anywhere else.
    pub fn packed() -> Self {
        Self::open(Place::Initramfs, Path::new("/"), paths::PACKED_STORE)
    }

    /// The one in this folder of the medium.
    pub fn on_medium(folder: &str) -> Self {
        Self::open(Place::Medium, Path::new(paths::MEDIUM), folder)
    }

    /// `root` is trusted: what it is said to be is what it is.
    pub fn open(place: Place, root: &Path, folder: &str) -> Self {
        let directory = Directory::open(root, Path::new(folder)).map(Arc::new);
        let folder = if folder.is_empty() { root.to_owned() } else { root.join(folder) };
        Self { place, folder, directory: directory.map_err(|error| error.to_string()) }
    }

    /// What its files are opened beneath; `None` when it could not be opened.
    pub fn directory(&self) -> Option<Arc<Directory>> {
        self.directory.as_ref().ok().cloned()
    }

    /// Whether it has a folder of profiles.
    pub fn has_profiles(&self) -> bool {
        self.names("profiles").is_ok()
    }

    fn opened(&self) -> io::Result<&Directory> {
        self.directory.as_deref().map_err(|why| io::Error::new(ErrorKind::NotFound, why.clone()))
    }

    fn names(&self, folder: &str) -> io::Result<impl Iterator<Item = String> + use<>> {
        let names = self.opened()?.names(Path::new(folder))?.take(MOST_NAMES);
        Ok(names.filter_map(|name| String::from_utf8(name).ok()))
    }

    fn read(&self, name: &Name, generation: u64) -> Result<StoredProfile, Failure> {
        self.read_unsigned(name, generation).map(|profile| self.with_signature(profile))
    }

    /// The profile without what lies beside it.
    fn read_unsigned(&self, name: &Name, generation: u64) -> Result<StoredProfile, Failure> {
        let file = format!("profiles/{name}/{generation}.kdl");
        let path = self.folder.join(&file);
        let bytes = self.read_file(&file).map_err(|error| {
            Failure::new(format!("cannot read {}: {error}", path.display()))
                .try_this("copy the profile to the medium again")
        })?;
        let digest = Digest::from_bytes(Sha256::digest(&bytes).into());
        Ok(StoredProfile { name: name.clone(), path, generation, bytes, digest, signature: Ok(None) })
    }

    fn with_signature(&self, profile: StoredProfile) -> StoredProfile {
        let file = format!("profiles/{}/{}.kdl.minisig", profile.name, profile.generation);
        let signature = match self.read_file(&file) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => {
                let failure =
                    Failure::new(format!("cannot read {}: {error}", self.folder.join(file).display()));
                Err(failure.try_this("copy the signature to the medium again"))
            }
        };
        StoredProfile { signature, ..profile }
    }

    fn read_file(&self, name: &str) -> io::Result<Vec<u8>> {
        let file: File = self.opened()?.file(Path::new(name))?;
        let length = file.metadata()?.len().min(LONGEST_PROFILE);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1);
        file.take(LONGEST_PROFILE).read_to_end(&mut bytes)?;
        Ok(bytes)
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
        .try_this(
            "copy the original profile back to the medium: what lies there may have been changed by somebody",
        )
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

    /// The profiles that have at least one generation, sorted.
    fn profile_names(&self) -> Vec<Name> {
        let named = self
            .names("profiles")
            .into_iter()
            .flatten()
            .filter_map(|name| Name::parse(&name).ok())
            .take(MOST_FOLDERS);
        let mut names: Vec<Name> = named.filter(|name| self.has_profile(name)).take(MOST_LISTED).collect();
        names.sort_by(|left, right| left.as_str().cmp(right.as_str()));
        names
    }

    /// The numbers of the files `GENERATION.kdl`, the newest first, and of those the newest 1,024. Others, such as an editor's backups, are not
    /// generations.
    fn generations(&self, profile: &Name) -> Vec<u64> {
        let entries = self.names(&format!("profiles/{profile}")).into_iter().flatten();
        let number = |name: &str| {
            let digits = name.strip_suffix(".kdl")?;
            let number = digits.parse::<u64>().ok()?;
            // Only one spelling: `1`, never `01` or `+1`.
            (number > 0 && number.to_string() == digits).then_some(number)
        };
        let mut newest = Vec::new();
        for generation in entries.filter_map(|name| number(&name)) {
            if newest.len() == 2 * MOST_GENERATIONS {
                keep_newest(&mut newest);
            }
            newest.push(generation);
        }
        keep_newest(&mut newest);
        newest
    }
}

fn keep_newest(generations: &mut Vec<u64>) {
    generations.sort_unstable_by_key(|generation| std::cmp::Reverse(*generation));
    generations.truncate(MOST_GENERATIONS);
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
