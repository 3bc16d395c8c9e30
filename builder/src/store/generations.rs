//! The generations of locked profiles, `profiles/NAME/GENERATION.kdl`, in a store or on a medium.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use boot_store::{BootStore, ListedProfile, layout};
use profiles::Name;
use profiles::resolved::BootProfile;
use verified_store::LockedProfile;

use super::Store;
use crate::error::{Error, Result, beneath};
use crate::text_file;

/// The newest locked generation of a profile, if there is one.
pub fn newest(store: &Store, name: &Name) -> Result<Option<(u64, PathBuf)>> {
    newest_in(store.root(), name)
}

/// The file `GENERATION.kdl` of a profile with the highest number in the store or medium at `root`; `None` also where there is nothing.
pub fn newest_in(root: &Path, name: &Name) -> Result<Option<(u64, PathBuf)>> {
    Ok(generations_in(root, name)?.into_iter().next())
}

/// The files `GENERATION.kdl` of a profile in the store or medium at `root`, the newest first, as init finds them.
pub fn generations_in(root: &Path, name: &Name) -> Result<Vec<(u64, PathBuf)>> {
    let Some(files) = open(root)? else { return Ok(Vec::new()) };
    let path = |number| (number, root.join(layout::profile(name, number)));
    Ok(numbers(&files, name)?.into_iter().map(path).collect())
}

fn numbers(files: &BootStore, name: &Name) -> Result<Vec<u64>> {
    let folder = files.path().join(layout::profile_folder(name));
    files.generations(name).map_err(beneath(folder.display()))
}

/// The profiles that a store has a generation of, sorted.
pub fn locked_names(store: &Store) -> Result<Vec<Name>> {
    let Some(files) = open(store.root())? else { return Ok(Vec::new()) };
    match files.profile_names(usize::MAX) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        names => names.map_err(Error::on(store.profiles().display())),
    }
}

/// A generation of a profile in a store.
#[derive(Debug, Clone)]
pub struct GenerationFile {
    /// Its place among the generations of its profile; 0: the newest.
    pub place: usize,
    /// Its number, from 1.
    pub number: u64,
    /// It has the mark by which it stays.
    pub kept: bool,
    /// The file `GENERATION.kdl`.
    pub path: PathBuf,
}

/// All generations of all profiles of a store: profiles by name, generations the newest first.
///
/// # Errors
/// A folder of them cannot be listed: then nobody knows what is needed.
pub fn everything(store: &Store) -> Result<Vec<GenerationFile>> {
    let Some(files) = open(store.root())? else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for ListedProfile { name, generations, .. } in files.everything().map_err(Error::on(""))? {
        for (place, it) in generations.map_err(beneath(""))?.into_iter().enumerate() {
            let path = store.root().join(layout::profile(&name, it.number));
            all.push(GenerationFile { place, number: it.number, kept: it.kept, path });
        }
    }
    Ok(all)
}

/// The newest generation of a profile, read.
///
/// # Errors
/// It was never locked; the generation cannot be read.
pub fn newest_locked(store: &Store, name: &Name) -> Result<LockedProfile> {
    locked(store, name)?.next().unwrap_or_else(|| Err(never_locked(name)))
}

/// The generations of a profile, the newest first, each read when it is asked for.
///
/// # Errors
/// It was never locked.
pub fn locked(store: &Store, name: &Name) -> Result<impl Iterator<Item = Result<LockedProfile>>> {
    let files = open(store.root())?.ok_or_else(|| never_locked(name))?;
    let numbers = numbers(&files, name)?;
    if numbers.is_empty() {
        return Err(never_locked(name));
    }
    let name = name.clone();
    Ok(numbers.into_iter().map(move |number| LockedProfile::read(&files, &name, number)))
}

/// The generation of a profile with this number; `None` where there is none.
///
/// # Errors
/// The profile was never locked; the generation cannot be read.
pub fn locked_as(store: &Store, name: &Name, number: u64) -> Result<Option<LockedProfile>> {
    let files = open(store.root())?.ok_or_else(|| never_locked(name))?;
    match numbers(&files, name)? {
        none if none.is_empty() => Err(never_locked(name)),
        all if !all.contains(&number) => Ok(None),
        _ => LockedProfile::read(&files, name, number).map(Some),
    }
}

fn never_locked(name: &Name) -> Error {
    Error::new(format!("profile {name}"), "has not been locked")
        .remedy(format!("`lamina build {name}` builds and locks"))
}

/// Where there is nothing yet, there is nothing to read.
fn open(root: &Path) -> Result<Option<BootStore>> {
    match BootStore::open(root, Path::new("")) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some).map_err(Error::on(root.display())),
    }
}

/// Writes a new generation when the profile differs from the newest. Says the generation and whether it is new.
pub fn publish(store: &Store, profile: &BootProfile) -> Result<(u64, bool)> {
    let text = profile.to_kdl();
    let look = || -> Result<(u64, bool)> {
        match newest(store, &profile.name)? {
            None => Ok((1, true)),
            Some((number, path)) => match text_file::read(&path)? {
                bytes if bytes == text.as_bytes() => Ok((number, false)),
                _ => match number.checked_add(1) {
                    Some(next) => Ok((next, true)),
                    None => Err(Error::new(path.display(), "has the highest number that there is")
                        .remedy("give the generations of this profile lower numbers")),
                },
            },
        }
    };
    // Without a lock first: a store that cannot be written may still be up to date.
    if let (number, false) = look()? {
        return Ok((number, false));
    }
    let folder = store.profiles().join(profile.name.as_str());
    // What is decided here about images holds until the generation names them: `store gc` holds the store too.
    let _held = store.hold(store.root())?;
    profile.all_images().try_for_each(|image| store.require_image(&profile.name, image).map(drop))?;
    // Two commands that lock one profile at the same moment must not take the same number.
    let _turn = store.hold(&folder)?;
    let (number, new) = look()?;
    if new {
        let path = folder.join(format!("{number}.kdl"));
        // What a generation of that number left, which somebody has removed: it says nothing of this one.
        let beside = [layout::signature_of(&path), layout::kept_mark_of(&path)];
        for stale in
            beside.iter().filter(|it| std::fs::symlink_metadata(it).is_ok_and(|found| !found.is_dir()))
        {
            std::fs::remove_file(stale).map_err(Error::on(stale.display()))?;
        }
        store.write(&path, text.as_bytes())?;
    }
    Ok((number, new))
}
