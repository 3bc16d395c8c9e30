//! What a medium keeps when newer generations come: of each profile that is brought up to date, the newest ones, those that the
//! slots name (the last good one, and what is being tried), and those that are marked by `lamina system keep`; of all others everything. An image goes when no generation that stays
//! names it.
//!
//! Nothing goes when it cannot be known: with slots that cannot be read, with a generation that cannot be read, in a folder that is a
//! store and no medium. Nothing is reached through a link (openat2(2)): whatever a medium holds, only files of its own are removed.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use boot_ledger::{Damage, Generation, Ledger, Slots};
use boot_store::{BootStore, ListedGeneration, ListedProfile, layout};
use profiles::resolved::BootProfile;
use profiles::{Digest, Name};
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::text_file;

/// What will be removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removals {
    /// Profiles, each with its signature behind it, and then images, as paths below the folder of the medium.
    pub files: Vec<PathBuf>,
    /// Why nothing, or no image, goes.
    pub kept_because: Option<String>,
}

/// The profile whose newest generation is put onto the medium, and that generation's number.
pub(super) type Renewed = (Name, u64);

/// Decides what goes from the medium in `folder` once the generations of `renewed`, which need the images `needed`, are there.
pub(super) fn plan(
    folder: &Path,
    renewed: &[Renewed],
    needed: &BTreeSet<Digest>,
    keep: NonZero<usize>,
) -> Removals {
    let nothing = |why: String| Removals { files: Vec::new(), kept_because: Some(why) };
    if ["builds", "tmp"].iter().any(|name| folder.join(name).exists()) {
        return nothing("is a store: nothing is removed from it".to_owned());
    }
    let ledger = match ledger(folder) {
        Ok(ledger) => ledger,
        Err(why) => {
            let help = super::SLOTS;
            return nothing(format!("the slots that count boots cannot be read: {why}\nhelp: {help}"));
        }
    };
    let running = match running() {
        Ok(running) => running,
        Err(why) => return nothing(format!("nobody knows what this machine runs: {why}")),
    };
    let (mut removals, mut needed) = (Removals::default(), needed.clone());
    let unlisted = |error: io::Error| format!("{error}: no image is removed");
    let profiles = match listed(folder) {
        Ok(profiles) => profiles,
        Err(error) => return nothing(unlisted(error)),
    };
    for ListedProfile { name, generations, .. } in profiles {
        let listed = match generations {
            Ok(generations) => generations,
            Err(error) => {
                removals.kept_because = Some(unlisted(error));
                continue;
            }
        };
        let found = read(folder, &name, &listed);
        let renewed = renewed.iter().find(|(renewed, _)| *renewed == name);
        let named = |generation: &Generation| {
            running == Some(generation.digest)
                || ledger.last_good(&name) == Some(*generation)
                || ledger.attempts(&name, generation) > 0
        };
        let mut stays = staying(&found, renewed.map(|(_, number)| *number), keep, named);
        stays.extend(listed.iter().filter(|it| it.kept).map(|it| it.number));
        let signed = |number| listed.iter().any(|it| it.number == number && it.signed);
        for (number, bytes) in found {
            let file = layout::profile(&name, number);
            if !stays.contains(&number) {
                let signature = signed(number).then(|| layout::signature_of(&file));
                removals.files.extend([Some(file), signature].into_iter().flatten());
            } else if renewed.is_none_or(|(_, new)| *new != number) {
                match images_of(&file, bytes) {
                    Some(images) => needed.extend(images),
                    None => {
                        removals.kept_because =
                            Some(format!("{} cannot be read: no image is removed", file.display()));
                    }
                }
            }
        }
    }
    if removals.kept_because.is_none() {
        removals.files.extend(images_of_nobody(folder, &needed));
    }
    removals
}

/// The images on the medium that nothing needs; none of what cannot be listed.
fn images_of_nobody(folder: &Path, needed: &BTreeSet<Digest>) -> Vec<PathBuf> {
    let Ok(store) = BootStore::open(folder, Path::new("")) else { return Vec::new() };
    let names = store.folder().all_names(Path::new(layout::IMAGES)).unwrap_or_default();
    let digests = names.iter().filter_map(|name| layout::image_of(std::str::from_utf8(name).ok()?));
    let unneeded = digests.filter(|digest| !needed.contains(digest)).map(|digest| layout::image(&digest));
    let mut of_nobody: Vec<PathBuf> = unneeded.filter(|path| !store.is_no_file(path)).collect();
    of_nobody.sort();
    of_nobody
}

/// What the medium has; nothing where there is none yet.
fn listed(folder: &Path) -> io::Result<Vec<ListedProfile>> {
    match BootStore::open(folder, Path::new("")) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        store => store?.everything(),
    }
}

/// The numbers of the generations that stay: the newest, and those that are `named` by the boot slots or run.
fn staying(
    found: &[(u64, Option<Vec<u8>>)],
    renewed: Option<u64>,
    keep: NonZero<usize>,
    named: impl Fn(&Generation) -> bool,
) -> BTreeSet<u64> {
    let all: BTreeSet<u64> = found.iter().map(|(number, _)| *number).chain(renewed).collect();
    let Some(new) = renewed else { return all };
    let named = |(number, bytes): &(u64, Option<Vec<u8>>)| {
        // Of one that cannot be read nobody knows whether the slots mean it.
        let Some(bytes) = bytes else { return Some(*number) };
        let digest = Digest::from_bytes(Sha256::digest(bytes).into());
        named(&Generation { number: *number, digest }).then_some(*number)
    };
    let newest = all.iter().rev().take(keep.get()).copied();
    newest.chain([new]).chain(found.iter().filter_map(named)).collect()
}

/// The generation that this machine runs. Its images are in use, and a file system with files that are removed and in use cannot be
/// made read-only again (`sb_prepare_remount_readonly` of `fs/namespace.c`), as whoever blesses a boot must.
///
/// # Errors
/// Lamina booted it, and the profile that init left cannot be read.
pub(crate) fn running() -> Result<Option<Digest>> {
    let path = Path::new(boot_report::paths::PROFILE);
    if !path.try_exists().map_err(Error::on(path.display()))? {
        return Ok(None);
    }
    let bytes = text_file::read(path).map_err(Error::on(""))?;
    Ok(Some(Digest::from_bytes(Sha256::digest(bytes).into())))
}

/// What the slots say; empty where a medium has none yet.
pub(crate) fn ledger(folder: &Path) -> Result<Ledger, String> {
    let Some(slots) = Slots::open(folder).map_err(|error| error.to_string())? else {
        return Ok(Ledger::default());
    };
    let reading = slots.read();
    let newer = reading.damaged.iter().any(|(_, damage)| matches!(damage, Damage::Newer(_)));
    match reading.damaged.as_slice() {
        [(_, damage), _] => Err(damage.to_string()),
        [(_, damage)] if newer => Err(damage.to_string()),
        _ => Ok(reading.ledger),
    }
}

/// The numbers of the generations, the oldest first, with their bytes where they can be read.
fn read(folder: &Path, name: &Name, listed: &[ListedGeneration]) -> Vec<(u64, Option<Vec<u8>>)> {
    let read = |number| text_file::read_below(folder, &folder.join(layout::profile(name, number))).ok();
    listed.iter().rev().map(|it| (it.number, read(it.number))).collect()
}

fn images_of(file: &Path, bytes: Option<Vec<u8>>) -> Option<Vec<Digest>> {
    let profile = BootProfile::parse(&file.display().to_string(), &bytes?).ok()?;
    Some(profile.all_images().map(|image| image.digest).collect())
}

/// Opens a folder of the medium, never through a link below it.
fn open(folder: &Path, inside: impl AsRef<Path>) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let medium = rustix::fs::open(folder, flags, Mode::empty())?;
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    Ok(rustix::fs::openat2(&medium, inside.as_ref(), flags, Mode::empty(), within)?)
}

/// Removes what was decided: profiles before the images that only they name. What is gone already is no error.
pub(super) fn carry_out(folder: &Path, removals: &Removals) -> Result<()> {
    remove(folder, &removals.files)
}

/// Removes files below a folder, in this order, each for good before the next one goes. What is gone already is no error.
pub(crate) fn remove(folder: &Path, files: &[PathBuf]) -> Result<()> {
    for file in files {
        let (inside, name) =
            (file.parent().unwrap_or(Path::new("")), file.file_name().unwrap_or(OsStr::new("")));
        let attempt = || -> io::Result<()> {
            let directory = open(folder, inside)?;
            match rustix::fs::unlinkat(&directory, name, AtFlags::empty()) {
                Err(rustix::io::Errno::NOENT) => Ok(()),
                // A profile that would come back after a power cut, without its images, could not be booted.
                removed => removed.and_then(|()| rustix::fs::fsync(&directory)).map_err(io::Error::from),
            }
        };
        attempt().map_err(Error::on(folder.join(file).display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_stay_and_whatever_is_named_or_cannot_be_read() {
        let found: Vec<(u64, Option<Vec<u8>>)> = vec![
            (1, Some(b"one".to_vec())),
            (2, None),
            (3, Some(b"three".to_vec())),
            (4, Some(b"four".to_vec())),
        ];
        let one = Digest::from_bytes(Sha256::digest(b"one").into());
        let keep = NonZero::<usize>::MIN.saturating_add(1);
        let stays = |renewed, named: Option<Digest>| {
            staying(&found, renewed, keep, |generation| named == Some(generation.digest))
                .into_iter()
                .collect::<Vec<_>>()
        };
        assert_eq!(stays(Some(5), Some(one)), [1, 2, 4, 5]);
        assert_eq!(stays(Some(5), None), [2, 4, 5]);
        assert_eq!(stays(None, None), [1, 2, 3, 4]);
    }
}
