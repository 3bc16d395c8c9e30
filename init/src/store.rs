//! The store on the medium: which profiles it has, and the one that was asked for.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use profiles::resolved::BootProfile;
use profiles::{Digest, Name};
use sha2::{Digest as _, Sha256};

use crate::error::Failure;
use crate::recovery::Choice;
use crate::request::WantedProfile;

/// The limit of the profile language; one byte more is read, so that its parser can say that it is too much.
const LONGEST_PROFILE: u64 = (1 << 20) + 1;

/// More generations of one profile are not looked at: the newest are. A folder of a million names must not fill the memory.
const MOST_GENERATIONS: usize = 1_024;
/// More profiles are not listed.
const MOST_LISTED: usize = 256;
/// Of the generations that have another digest so many are shown.
const MOST_SEEN: usize = 8;

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
        let bytes = read_file(&path).map_err(|error| {
            Failure::new(format!("cannot read {}: {error}", path.display()))
                .try_this("copy the profile to the medium again")
        })?;
        let digest = Digest::from_bytes(Sha256::digest(&bytes).into());
        Ok(Self { path, generation, bytes, digest })
    }

    /// The text of the minisign signature beside it; `None` when there is none.
    pub fn signature(&self) -> Result<Option<String>, Failure> {
        let path = self.path.with_extension("kdl.minisig");
        match read_file(&path) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::new(format!("cannot read {}: {error}", path.display()))
                .try_this("copy the signature to the medium again")),
        }
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

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    // Without O_NONBLOCK a FIFO under the name of a profile would hang PID 1.
    let file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(LONGEST_PROFILE)).unwrap_or(0) + 1);
    file.take(LONGEST_PROFILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Finds the newest generation of the profile or, when the request binds its digest, the generation that has it.
pub fn find_profile(store: &Path, wanted: Option<&WantedProfile>) -> Result<StoredProfile, Failure> {
    let Some(wanted) = wanted else {
        return Err(missing(store, "no lamina.profile= on the kernel command line".into()));
    };
    let folder = store.join("profiles").join(wanted.name.as_str());
    let generations = generations(&folder);
    let Some(newest) = generations.first() else {
        return Err(missing(store, format!("the store has no profile `{}`", wanted.name)));
    };
    let Some(digest) = &wanted.digest else { return StoredProfile::read(&folder, *newest) };
    let mut seen = Vec::new();
    for generation in &generations {
        let other = match StoredProfile::read(&folder, *generation) {
            Ok(profile) if profile.digest == *digest => return Ok(profile),
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

/// Whether the store has a generation of the profile.
pub fn has_profile(store: &Path, name: &Name) -> bool {
    !generations(&store.join("profiles").join(name.as_str())).is_empty()
}

/// The profiles of the store, sorted, with what they say of themselves where they may be read for that (`described`): nothing that
/// must be signed is parsed before it is checked. One that cannot be read is listed too: who chooses it learns why it cannot.
pub fn choices(store: &Path, described: bool) -> Vec<Choice> {
    let description = |name: &Name| {
        if !described {
            return None;
        }
        let wanted = WantedProfile { name: name.clone(), digest: None };
        find_profile(store, Some(&wanted)).ok()?.parse().ok()?.description
    };
    profile_names(store).into_iter().map(|name| Choice { description: description(&name), name }).collect()
}

/// The profiles that have at least one generation, sorted.
fn profile_names(store: &Path) -> Vec<Name> {
    let entries = fs::read_dir(store.join("profiles")).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| Some((Name::parse(entry.file_name().to_str()?).ok()?, entry)));
    let with_generations = named.filter(|(_, entry)| !generations(&entry.path()).is_empty());
    let mut names: Vec<Name> = with_generations.map(|(name, _)| name).take(MOST_LISTED).collect();
    names.sort_by(|left, right| left.as_str().cmp(right.as_str()));
    names
}

/// The numbers of the files `GENERATION.kdl`, the newest first, and of those the newest 1,024. Others, such as an editor's backups, are not
/// generations.
fn generations(folder: &Path) -> Vec<u64> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let number = |name: &str| {
        let digits = name.strip_suffix(".kdl")?;
        let number = digits.parse::<u64>().ok()?;
        // Only one spelling: `1`, never `01` or `+1`.
        (number > 0 && number.to_string() == digits).then_some(number)
    };
    let mut newest = Vec::new();
    for generation in entries.filter_map(|entry| number(entry.file_name().to_str()?)) {
        if newest.len() == 2 * MOST_GENERATIONS {
            keep_newest(&mut newest);
        }
        newest.push(generation);
    }
    keep_newest(&mut newest);
    newest
}

fn keep_newest(generations: &mut Vec<u64>) {
    generations.sort_unstable_by_key(|generation| std::cmp::Reverse(*generation));
    generations.truncate(MOST_GENERATIONS);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

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
    fn profiles_are_listed_for_a_person_and_signatures_are_found() {
        let store = store();
        let names: Vec<String> =
            choices(store.path(), true).iter().map(|choice| choice.name.to_string()).collect();
        assert_eq!(names, ["db", "web"]);
        let name = |name| Name::parse(name).unwrap();
        assert!(has_profile(store.path(), &name("db")) && !has_profile(store.path(), &name("empty")));
        fs::write(store.path().join("profiles/web/10.kdl.minisig"), "signature").unwrap();
        let signature = |name| find_profile(store.path(), Some(&wanted(name, None))).unwrap().signature();
        assert_eq!(signature("web"), Ok(Some("signature".into())));
        assert_eq!(signature("db"), Ok(None));
    }

    #[test]
    fn folders_with_many_names_are_cut_where_it_does_not_hurt() {
        let store = tempfile::tempdir().unwrap();
        let folder = store.path().join("profiles/web");
        fs::create_dir_all(&folder).unwrap();
        // Of all orders in which a folder may name them.
        for number in 1..=3_000_u64 {
            fs::write(folder.join(format!("{}.kdl", number * 7_919 % 3_001)), number.to_string()).unwrap();
        }
        let newest = generations(&folder);
        assert!(newest.len() == MOST_GENERATIONS && newest.is_sorted_by(|a, b| a > b) && newest[0] == 3_000);
        let none = wanted("web", Some(Digest::from_bytes([7; 32])));
        let failure = find_profile(store.path(), Some(&none)).unwrap_err();
        assert_eq!(failure.seen.len(), MOST_SEEN + 1);
        assert_eq!(failure.seen.last().map(String::as_str), Some("and 1016 older ones"));
        for number in 0..400 {
            let folder = store.path().join(format!("profiles/n{number}"));
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("1.kdl"), "x").unwrap();
        }
        assert_eq!(choices(store.path(), true).len(), MOST_LISTED);
    }

    #[test]
    fn nothing_is_parsed_for_a_list_where_it_must_be_signed() {
        let image = format!("image \"a\" version=\"1\" digest=\"sha256:{}\" size=1", "0".repeat(64));
        let text = format!(
            "profile \"db\" format=1 {{\ndescription \"D\"\n{image}\nroot writable=\"no\"\nverify \"digest\"\ninit \"/i\"\n}}\n"
        );
        let store = store();
        fs::write(store.path().join("profiles/db/20.kdl"), text).unwrap();
        let described = |described| choices(store.path(), described)[0].description.clone();
        assert_eq!((described(true).as_deref(), described(false)), (Some("D"), None));
    }

    #[test]
    fn a_digest_chooses_its_generation_or_none() {
        let store = store();
        let digest = Digest::from_bytes(Sha256::digest(b"web 9.kdl").into());
        assert_eq!(find_profile(store.path(), Some(&wanted("web", Some(digest)))).unwrap().generation, 9);
        let failure =
            find_profile(store.path(), Some(&wanted("web", Some(Digest::from_bytes([7; 32]))))).unwrap_err();
        assert_eq!(failure.seen.len(), 3);
        assert!(failure.remedies[0].starts_with("copy the original profile back"), "{failure:?}");
    }

    #[test]
    fn a_profile_under_the_name_of_another_is_refused() {
        let image = format!("image \"a\" version=\"1\" digest=\"sha256:{}\" size=1", "0".repeat(64));
        let text = format!(
            "profile \"db\" format=1 {{\n{image}\nroot writable=\"no\"\nverify \"digest\"\ninit \"/sbin/init\"\n}}\n"
        );
        let store = store();
        for (folder, refused) in [("db", false), ("web", true)] {
            fs::write(store.path().join("profiles").join(folder).join("20.kdl"), &text).unwrap();
            let parsed = find_profile(store.path(), Some(&wanted(folder, None))).unwrap().parse();
            assert_eq!(parsed.is_err(), refused, "{parsed:?}");
            if let Err(failure) = parsed {
                assert!(failure.why.ends_with("it says that it is `db`"), "{failure:?}");
            }
        }
    }

    #[test]
    fn a_generation_that_cannot_be_read_is_told_but_does_not_hide_another() {
        let store = store();
        let folder = store.path().join("profiles/web");
        fs::create_dir(folder.join("11.kdl")).unwrap();
        mkfifo(&folder.join("13.kdl"), Mode::S_IRWXU).unwrap();
        symlink("nowhere", folder.join("14.kdl")).unwrap();
        for (newest, why) in
            [("14.kdl", "No such file"), ("13.kdl", "it is not a file"), ("11.kdl", "it is not a file")]
        {
            let failure = find_profile(store.path(), Some(&wanted("web", None))).unwrap_err();
            assert!(failure.why.contains(newest) && failure.why.contains(why), "{failure:?}");
            let digest = Digest::from_bytes(Sha256::digest(b"web 9.kdl").into());
            let bound = find_profile(store.path(), Some(&wanted("web", Some(digest)))).unwrap();
            assert_eq!(bound.generation, 9);
            fs::rename(folder.join(newest), folder.join("aside")).unwrap();
            let _ = fs::remove_file(folder.join("aside"));
        }
    }

    #[test]
    fn odd_names_are_no_generations() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["0.kdl", "01.kdl", "+1.kdl", "-1.kdl", "1.KDL", "1", ".kdl", "18446744073709551616.kdl"]
        {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::write(folder.path().join(OsStr::from_bytes(b"1\xff.kdl")), "").unwrap();
        assert_eq!(generations(folder.path()), Vec::<u64>::new());
        fs::write(folder.path().join("18446744073709551615.kdl"), "").unwrap();
        assert_eq!(generations(folder.path()), [u64::MAX]);
    }

    #[test]
    fn a_profile_that_is_too_long_is_refused_by_its_parser() {
        let store = store();
        fs::write(store.path().join("profiles/db/2.kdl"), vec![b'{'; 3 << 20]).unwrap();
        let profile = find_profile(store.path(), Some(&wanted("db", None))).unwrap();
        assert_eq!(profile.bytes.len() as u64, LONGEST_PROFILE);
        assert!(profile.parse().unwrap_err().why.contains("the limit is 1048576"));
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
