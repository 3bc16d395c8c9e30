//! The generations of locked profiles, `profiles/NAME/GENERATION.kdl`, in a store or on a medium.

use std::fs;
use std::path::{Path, PathBuf};

use profiles::Name;
use profiles::resolved::BootProfile;

use super::Store;
use crate::error::{Error, Result};
use crate::text_file;

/// The newest locked generation of a profile, if there is one.
pub fn newest(store: &Store, name: &Name) -> Result<Option<(u64, PathBuf)>> {
    newest_in(&store.profiles().join(name.as_str()))
}

/// The file `GENERATION.kdl` with the highest number in the folder of a profile; `None` also where the folder is missing.
pub fn newest_in(folder: &Path) -> Result<Option<(u64, PathBuf)>> {
    Ok(generations_in(folder)?.into_iter().next())
}

/// All files `GENERATION.kdl` in the folder of a profile, the newest first; none where the folder is missing.
pub fn generations_in(folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let number = |name: String| Some((generation_of(&name)?, folder.join(name)));
    let mut found: Vec<(u64, PathBuf)> = names_in(folder)?.into_iter().filter_map(number).collect();
    found.sort();
    found.reverse();
    Ok(found)
}

/// The names of the profiles that a store has a generation of, sorted.
pub fn locked_names(store: &Store) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for name in names_in(&store.profiles())? {
        let folder = store.profiles().join(&name);
        if Name::parse(&name).is_ok() && folder.is_dir() && newest_in(&folder)?.is_some() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// What a folder holds; nothing where it is missing. Names that are not UTF-8 are none of ours.
fn names_in(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::new(folder.display(), error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(Error::on(folder.display()))?.file_name().into_string());
    }
    Ok(names)
}

/// `7` for `7.kdl`, in the form that init reads too: a decimal number from 1, without leading zeros.
pub fn generation_of(file_name: &str) -> Option<u64> {
    let digits = file_name.strip_suffix(".kdl")?;
    let number: u64 = digits.parse().ok()?;
    (number > 0 && number.to_string() == digits).then_some(number)
}

/// Writes a new generation when the profile differs from the newest. Says the generation and whether it is new.
pub fn publish(store: &Store, profile: &BootProfile) -> Result<(u64, bool)> {
    let text = profile.to_kdl();
    let look = || -> Result<(u64, bool)> {
        match newest(store, &profile.name)? {
            None => Ok((1, true)),
            Some((number, path)) => match text_file::read(&path)? {
                bytes if bytes == text.as_bytes() => Ok((number, false)),
                _ => Ok((number + 1, true)),
            },
        }
    };
    // Without a lock first: a store that cannot be written may still be up to date.
    if let (number, false) = look()? {
        return Ok((number, false));
    }
    let folder = store.profiles().join(profile.name.as_str());
    // Two commands that lock one profile at the same moment must not take the same number.
    let _turn = store.hold(&folder)?;
    let (number, new) = look()?;
    if new {
        store.write(&folder.join(format!("{number}.kdl")), text.as_bytes())?;
    }
    Ok((number, new))
}
