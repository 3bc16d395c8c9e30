//! The store on the medium: which profiles it has, and the one that was asked for.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use profiles::resolved::BootProfile;
use profiles::{Digest, Name};
use sha2::{Digest as _, Sha256};

use crate::error::Failure;
use crate::request::WantedProfile;

/// The limit of the profile language; one byte more is read, so that its parser can say that it is too much.
const LONGEST_PROFILE: u64 = (1 << 20) + 1;

/// A profile as it lies in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredProfile {
    /// The file, for messages.
    pub path: PathBuf,
    /// Its number.
    pub generation: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// SHA-256 of its bytes.
    pub digest: Digest,
}

impl StoredProfile {
    fn read(folder: &Path, generation: u64) -> Result<Self, Failure> {
        let path = folder.join(format!("{generation}.kdl"));
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(LONGEST_PROFILE).read_to_end(&mut bytes));
        read.map_err(|error| {
            Failure::new(format!("cannot read {}: {error}", path.display()))
                .try_this("copy the profile to the medium again")
        })?;
        let digest = Digest::from_bytes(Sha256::digest(&bytes).into());
        Ok(Self { path, generation, bytes, digest })
    }

    /// Reads the language; the error shows line, column and caret.
    pub fn parse(&self) -> Result<BootProfile, Failure> {
        let label = self.path.display().to_string();
        BootProfile::parse(&label, &self.bytes).map_err(|diagnostics| {
            Failure::new(diagnostics.to_string().trim_end())
                .try_this("write the profile with `lamina profile lock`, and copy it to the medium again")
        })
    }
}

/// Finds the newest generation of the profile or, when the request binds its digest, the generation that has it.
pub fn find_profile(store: &Path, wanted: Option<&WantedProfile>) -> Result<StoredProfile, Failure> {
    let Some(wanted) = wanted else {
        return Err(missing(store, "no lamina.profile= on the kernel command line".into()));
    };
    let folder = store.join("profiles").join(wanted.name.as_str());
    let mut generations = generations(&folder);
    generations.sort_unstable_by_key(|generation| std::cmp::Reverse(*generation));
    let Some(newest) = generations.first() else {
        return Err(missing(store, format!("the store has no profile `{}`", wanted.name)));
    };
    let Some(digest) = &wanted.digest else { return StoredProfile::read(&folder, *newest) };
    let mut seen = Vec::new();
    for generation in generations {
        let profile = StoredProfile::read(&folder, generation)?;
        if profile.digest == *digest {
            return Ok(profile);
        }
        seen.push(format!("{} {}", profile.path.display(), profile.digest));
    }
    Err(Failure::new(format!("no generation of `{}` has {digest}", wanted.name))
        .having_seen(seen)
        .try_this("the profile was changed, or the menu entry is older than it: write the digest anew if you changed it"))
}

fn missing(store: &Path, why: String) -> Failure {
    let failure = Failure::new(why);
    let names = profile_names(store);
    if names.is_empty() {
        let folder = store.join("profiles");
        let seen = match fs::read_dir(store) {
            Ok(_) => format!("{} holds no profile", folder.display()),
            Err(error) => format!("{}: {error}", store.display()),
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

/// The profiles that have at least one generation, sorted.
fn profile_names(store: &Path) -> Vec<Name> {
    let entries = fs::read_dir(store.join("profiles")).into_iter().flatten().flatten();
    let with_generations = entries.filter(|entry| !generations(&entry.path()).is_empty());
    let mut names: Vec<Name> =
        with_generations.filter_map(|entry| Name::parse(entry.file_name().to_str()?).ok()).collect();
    names.sort_by(|left, right| left.as_str().cmp(right.as_str()));
    names
}

/// The numbers of the files `GENERATION.kdl`. Others, such as an editor's backups, are not generations.
fn generations(folder: &Path) -> Vec<u64> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let number = |name: &str| {
        let digits = name.strip_suffix(".kdl")?;
        let number = digits.parse::<u64>().ok()?;
        // Only one spelling: `1`, never `01` or `+1`.
        (number > 0 && number.to_string() == digits).then_some(number)
    };
    entries.filter_map(|entry| number(entry.file_name().to_str()?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> tempfile::TempDir {
        let store = tempfile::tempdir().unwrap();
        let files = [
            ("web", "1.kdl"),
            ("web", "9.kdl"),
            ("web", "10.kdl"),
            ("web", "011.kdl"),
            ("web", "12.kdl~"),
            ("db", "1.kdl"),
        ];
        for (name, file) in files {
            let folder = store.path().join("profiles").join(name);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(file), format!("{name} {file}")).unwrap();
        }
        fs::create_dir(store.path().join("profiles/empty")).unwrap();
        store
    }

    fn wanted(name: &str, digest: Option<Digest>) -> WantedProfile {
        WantedProfile { name: Name::parse(name).unwrap(), digest }
    }

    #[test]
    fn the_highest_number_is_the_newest() {
        let profile = find_profile(store().path(), Some(&wanted("web", None))).unwrap();
        assert_eq!((profile.generation, profile.bytes.as_slice()), (10, &b"web 10.kdl"[..]));
    }

    #[test]
    fn a_digest_chooses_its_generation_or_none() {
        let store = store();
        let digest = Digest::from_bytes(Sha256::digest(b"web 9.kdl").into());
        assert_eq!(find_profile(store.path(), Some(&wanted("web", Some(digest)))).unwrap().generation, 9);
        let failure =
            find_profile(store.path(), Some(&wanted("web", Some(Digest::from_bytes([7; 32]))))).unwrap_err();
        assert_eq!(failure.seen.len(), 3);
    }

    #[test]
    fn a_missing_profile_lists_those_that_exist() {
        let store = store();
        for wanted in [Some(wanted("wbe", None)), Some(wanted("empty", None)), None] {
            let failure = find_profile(store.path(), wanted.as_ref()).unwrap_err();
            assert_eq!(failure.seen, ["profiles in the store: db, web"]);
        }
    }

    #[test]
    fn no_store_at_all_is_told() {
        let failure = find_profile(Path::new("/nowhere"), Some(&wanted("web", None))).unwrap_err();
        assert!(failure.seen[0].starts_with("/nowhere: "), "{failure:?}");
    }

    #[test]
    fn a_bad_profile_shows_line_and_caret() {
        let store = store();
        fs::write(store.path().join("profiles/db/1.kdl"), "profile \"db\" format=1 {\n    imge \"a\"\n}\n")
            .unwrap();
        let failure = find_profile(store.path(), Some(&wanted("db", None))).unwrap().parse().unwrap_err();
        assert!(failure.why.contains("profiles/db/1.kdl:2:5: error:"), "{}", failure.why);
        assert!(failure.why.contains('^'), "{}", failure.why);
    }
}
