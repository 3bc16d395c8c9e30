//! Profiles and their generations.

use std::cmp::Reverse;
use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use profiles::resolved::BootProfile;
use profiles::{Digest, LARGEST, Name};
use stack::beneath::Folder;

use crate::layout;

/// More generations of one profile are not looked at: the newest are. A folder of a million names must not fill the memory.
pub const MOST_GENERATIONS: usize = 1_024;
/// More names of a folder are not read: on a hostile medium a million folders may each have a million.
const MOST_NAMES: usize = 16_384;
/// Of the folders beside each other so many are looked into for each profile that may be listed.
const FOLDERS_EACH: usize = 4;

/// A store that can be read.
#[derive(Debug, Clone)]
pub struct BootStore {
    folder: Arc<Folder>,
}

/// A profile as it lies in the store.
#[derive(Debug, Clone)]
pub struct StoredProfile {
    /// The profile that its folder names.
    pub name: Name,
    /// The file, for messages.
    pub path: PathBuf,
    /// The number in the name of the file.
    pub generation: u64,
    /// Its bytes: at most one more than the language allows, so that its parser can say that it is too much.
    pub bytes: Vec<u8>,
    /// SHA-256 of its bytes.
    pub digest: Digest,
}

/// Why a profile of a store is none that boots.
#[derive(Debug)]
pub enum ProfileError {
    /// All errors in its text, each with line, column and caret.
    Text(profiles::Diagnostics),
    /// It lies under the name of another one: it would boot a system that nobody asked for.
    OtherName {
        /// The file.
        path: PathBuf,
        /// Whose profile it says that it is.
        says: Name,
    },
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(diagnostics) => f.write_str(diagnostics.to_string().trim_end()),
            Self::OtherName { path, says } => {
                write!(f, "{} is a file of another profile: it says that it is `{says}`", path.display())
            }
        }
    }
}

impl std::error::Error for ProfileError {}

impl StoredProfile {
    /// Reads the language.
    ///
    /// # Errors
    /// Its text is wrong, or that of another profile.
    pub fn parse(&self) -> Result<BootProfile, ProfileError> {
        let label = self.path.display().to_string();
        let profile = BootProfile::parse(&label, &self.bytes).map_err(ProfileError::Text)?;
        if profile.name != self.name {
            return Err(ProfileError::OtherName { path: self.path.clone(), says: profile.name });
        }
        Ok(profile)
    }
}

impl BootStore {
    /// The store in `folder` beneath `root`, which is trusted; an empty `folder` is `root` itself.
    ///
    /// # Errors
    /// There is none; a link or a mount leads from `root` to it.
    pub fn open(root: &Path, folder: &Path) -> io::Result<Self> {
        Ok(Self { folder: Arc::new(Folder::open(root, folder)?) })
    }

    /// What its files are opened beneath.
    pub fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }

    /// Its folder, for messages.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Whether it has a folder of profiles.
    pub fn has_profiles(&self) -> bool {
        self.names(Path::new(layout::PROFILES)).is_ok()
    }

    /// The profiles that have at least one generation, `most` of them, sorted. Other things that lie beside them are no profiles.
    ///
    /// # Errors
    /// There is no folder of profiles.
    pub fn profile_names(&self, most: usize) -> io::Result<Vec<Name>> {
        let named = self.names(Path::new(layout::PROFILES))?.filter_map(|name| Name::parse(&name).ok());
        let has_generation = |name: &Name| self.newest(name).is_ok_and(|newest| newest.is_some());
        let mut names: Vec<Name> =
            named.take(most.saturating_mul(FOLDERS_EACH)).filter(has_generation).take(most).collect();
        names.sort_by(|left, right| left.as_str().cmp(right.as_str()));
        Ok(names)
    }

    /// The number of the newest generation of a profile.
    ///
    /// # Errors
    /// As [`BootStore::generations`].
    pub fn newest(&self, profile: &Name) -> io::Result<Option<u64>> {
        Ok(self.generations(profile)?.first().copied())
    }

    /// The numbers of the generations, the newest first, and of those the newest [`MOST_GENERATIONS`]; none of a profile that is not there.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn generations(&self, profile: &Name) -> io::Result<Vec<u64>> {
        let names = match self.names(&layout::profile_folder(profile)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            names => names?,
        };
        let mut newest = Vec::new();
        for generation in names.filter_map(|name| layout::generation_of(&name)) {
            if newest.len() == 2 * MOST_GENERATIONS {
                keep_newest(&mut newest);
            }
            newest.push(generation);
        }
        keep_newest(&mut newest);
        Ok(newest)
    }

    /// A generation of a profile.
    ///
    /// # Errors
    /// It is not there, or no regular file.
    pub fn profile(&self, name: &Name, generation: u64) -> io::Result<StoredProfile> {
        let file = layout::profile(name, generation);
        let bytes = self.read(&file)?;
        let digest = Digest::of_bytes(&bytes);
        Ok(StoredProfile { name: name.clone(), path: self.path().join(file), generation, bytes, digest })
    }

    /// The text of the minisign signature beside a generation; `None` when there is none.
    ///
    /// # Errors
    /// There is one, and it cannot be read.
    pub fn signature(&self, name: &Name, generation: u64) -> io::Result<Option<String>> {
        match self.read(&layout::signature_of(&layout::profile(name, generation))) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The names in a folder that are text, in no order.
    fn names(&self, folder: &Path) -> io::Result<impl Iterator<Item = String> + use<>> {
        let names = self.folder.names(folder)?.take(MOST_NAMES);
        Ok(names.filter_map(|name| String::from_utf8(name).ok()))
    }

    /// One byte more than the language allows is read.
    fn read(&self, file: &Path) -> io::Result<Vec<u8>> {
        let most = LARGEST as u64 + 1;
        let file = self.folder.file(file)?;
        let length = file.metadata()?.len().min(most);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1);
        file.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

fn keep_newest(generations: &mut Vec<u64>) {
    generations.sort_unstable_by_key(|generation| Reverse(*generation));
    generations.truncate(MOST_GENERATIONS);
}
