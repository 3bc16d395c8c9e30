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
    /// What has the name of a generation, or of what lies beside one, and is a folder, a FIFO, a socket, a device or a link: their paths
    /// below the store, sorted. It is nothing of Lamina's.
    pub no_files: Vec<PathBuf>,
    /// Signatures and marks of generations that are not there, likewise: what a removal that was stopped leaves.
    pub of_none: Vec<PathBuf>,
}

/// A generation of a profile, as its folder lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedGeneration {
    /// Its number, from 1.
    pub number: u64,
    /// A signature lies beside it; whether it is of it says [`crate::signature::is_of`].
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
        Ok(names.map(|name| self.listed(name)).collect())
    }

    fn listed(&self, name: Name) -> ListedProfile {
        let folder = layout::profile_folder(&name);
        let mut names = match self.all_names(&folder) {
            Ok(names) => names,
            Err(why) => {
                return ListedProfile {
                    name,
                    generations: Err(why),
                    no_files: Vec::new(),
                    of_none: Vec::new(),
                };
            }
        };
        let is_no_file = |path: &PathBuf| self.is_no_file(path);
        let no_files: Vec<PathBuf> = names
            .iter()
            .filter(|it| is_of_a_generation(it))
            .map(|it| folder.join(it))
            .filter(is_no_file)
            .collect();
        names.retain(|name| !no_files.contains(&folder.join(name)));
        let generations = generations(&names);
        let is_there = |file: &String| generations.iter().any(|it| number_of(file) == Some(it.number));
        let of_none = names.iter().filter(|it| is_of_a_generation(it) && !is_there(it));
        let of_none = of_none.map(|it| folder.join(it)).collect();
        ListedProfile { name, generations: Ok(generations), no_files, of_none }
    }

    /// Whether a name below the store is that of something else than a regular file. What cannot be looked at may be one.
    pub fn is_no_file(&self, path: &Path) -> bool {
        self.folder().file(path).is_err_and(|error| error.kind() == ErrorKind::InvalidInput)
    }

    /// The names in a folder that are text, sorted, to the last; none of what is no folder.
    fn all_names(&self, folder: &Path) -> io::Result<BTreeSet<String>> {
        match self.folder().all_names(folder) {
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

fn generations(names: &BTreeSet<String>) -> Vec<ListedGeneration> {
    let has = |path: PathBuf| path.to_str().is_some_and(|path| names.contains(path));
    let of = |file: &String| {
        let number = layout::generation_of(file)?;
        let signed = has(layout::signature_of(Path::new(file)));
        Some(ListedGeneration { number, signed, kept: has(layout::kept_mark_of(Path::new(file))) })
    };
    let mut generations: Vec<ListedGeneration> = names.iter().filter_map(of).collect();
    generations.sort_unstable_by_key(|it| Reverse(it.number));
    generations
}

/// The number in a name such as `7.kdl`, `7.kdl.minisig` or `7.keep`.
fn number_of(file_name: &str) -> Option<u64> {
    layout::generation_of(&format!("{}.kdl", file_name.split('.').next()?))
}

/// Whether a name is that of a generation, its signature or its mark.
fn is_of_a_generation(file_name: &str) -> bool {
    number_of(file_name).is_some_and(|number| {
        let file = PathBuf::from(format!("{number}.kdl"));
        [layout::signature_of(&file), layout::kept_mark_of(&file), file]
            .iter()
            .any(|it| it == Path::new(file_name))
    })
}
