//! What a store holds, to the last name: for whoever removes what nothing needs, and so must not take what is not listed for what is not
//! there. A boot reads by [`BootStore::profile_names`] and [`BootStore::generations`], which pass over what they cannot read.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use profiles::Name;

use crate::layout;
use crate::reader::BootStore;

/// A profile of a store, as its folder lists it.
#[derive(Debug)]
pub struct ListedProfile {
    /// The profile.
    pub name: Name,
    /// The newest first; or why nobody knows them, with the folder.
    pub generations: io::Result<Vec<ListedGeneration>>,
}

/// A generation of a profile, as its folder lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedGeneration {
    /// Its number, from 1.
    pub number: u64,
    /// A signature lies beside it.
    pub signed: bool,
    /// So does the mark by which it stays ([`layout::kept_mark_of`]).
    pub kept: bool,
}

impl BootStore {
    /// All profiles with all their generations, sorted by name; none where there is no folder of profiles.
    ///
    /// # Errors
    /// The folder of profiles cannot be listed to its end. So it is with one of a profile, which says so itself: what is no folder is no
    /// profile, and a link may be one.
    pub fn everything(&self) -> io::Result<Vec<ListedProfile>> {
        let profiles = self.all_names(Path::new(layout::PROFILES))?;
        let names = profiles.iter().filter_map(|name| Name::parse(name).ok());
        Ok(names.map(|name| ListedProfile { generations: self.all_generations(&name), name }).collect())
    }

    fn all_generations(&self, profile: &Name) -> io::Result<Vec<ListedGeneration>> {
        let names = self.all_names(&layout::profile_folder(profile))?;
        let has = |path: PathBuf| path.to_str().is_some_and(|path| names.contains(path));
        let of = |file: &String| {
            let number = layout::generation_of(file)?;
            let signed = has(layout::signature_of(Path::new(file)));
            Some(ListedGeneration { number, signed, kept: has(layout::kept_mark_of(Path::new(file))) })
        };
        let mut generations: Vec<ListedGeneration> = names.iter().filter_map(of).collect();
        generations.sort_unstable_by_key(|it| Reverse(it.number));
        Ok(generations)
    }

    /// The names in a folder that are text, sorted, to the last; none of what is no folder.
    fn all_names(&self, folder: &Path) -> io::Result<BTreeSet<String>> {
        match self.directory().all_names(folder) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Ok(BTreeSet::new())
            }
            Err(error) => {
                let folder = self.path().join(folder);
                Err(io::Error::new(error.kind(), format!("{} cannot be listed: {error}", folder.display())))
            }
            Ok(names) => Ok(names.into_iter().filter_map(|name| String::from_utf8(name).ok()).collect()),
        }
    }
}
