//! What goes into the store's partition.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use boot_entry::{Generation, Parameter, StartedWith};
use boot_ledger::{Ledger, Slots};
use boot_store::layout::{self, DEFAULT_FOLDER};
use disk_image::{Content, DiskFile};
use profiles::resolved::BootProfile;
use profiles::{Digest, Name};
use verified_store::LockedProfile;

use crate::error::{Error, Result};
use crate::report::Report;
use crate::scratch::temporary::TemporaryFolder;
use crate::store::{Store, generations};

/// A generation that goes onto the disk.
#[derive(Debug, Clone)]
pub struct DiskGeneration {
    /// The profile.
    pub profile: Name,
    /// Its number, from 1.
    pub number: u64,
    /// SHA-256 of its file.
    pub digest: Digest,
    /// As [`BootProfile::takes_a_state`] says.
    pub takes_a_state: bool,
    /// What it says.
    pub contents: BootProfile,
    /// The profile and, where it has one, its signature.
    files: Vec<DiskFile>,
}

/// The newest generations of each profile, newest first, in the order of the names. An older one whose images are not all in the store
/// any more is left out.
///
/// # Errors
/// A profile was never locked; an image of its newest generation is missing or has another size.
pub fn choose(
    store: &Store,
    names: &[Name],
    most: NonZero<usize>,
    report: &Report,
) -> Result<Vec<Vec<DiskGeneration>>> {
    names.iter().map(|name| of_profile(store, name, most, report)).collect()
}

/// The newest generation of a profile.
///
/// # Errors
/// As [`choose`].
pub fn newest(store: &Store, name: &Name, report: &Report) -> Result<DiskGeneration> {
    let mut chosen = of_profile(store, name, NonZero::<usize>::MIN, report)?;
    chosen.pop().ok_or_else(|| {
        Error::new(format!("profile {name}"), "was never locked")
            .remedy(format!("run `lamina profile lock {name}`"))
    })
}

fn of_profile(
    store: &Store,
    name: &Name,
    most: NonZero<usize>,
    report: &Report,
) -> Result<Vec<DiskGeneration>> {
    let mut chosen = Vec::new();
    for locked in generations::locked(store, name)?.take(most.get()) {
        let locked = locked?;
        let is_there = |image| store.require_image(name, image).map(drop);
        if let Err(error) = locked.profile.all_images().try_for_each(is_there) {
            if chosen.is_empty() {
                return Err(error);
            }
            let number = locked.stored.generation;
            report.line(format_args!("warning: generation {number} of {name} is left out: {error}"));
            continue;
        }
        chosen.push(DiskGeneration::new(locked)?);
    }
    Ok(chosen)
}

impl DiskGeneration {
    fn new(locked: LockedProfile) -> Result<DiskGeneration> {
        let (place, digest) = (locked.place(), locked.stored.digest);
        let file = |(path, bytes): (PathBuf, &[u8])| DiskFile {
            digest: (path == place).then_some(digest),
            ..DiskFile::bytes(Path::new(DEFAULT_FOLDER).join(path).display().to_string(), bytes.to_vec())
        };
        let files = locked.files()?.map(file).collect();
        let LockedProfile { stored, profile, .. } = locked;
        Ok(DiskGeneration {
            takes_a_state: profile.takes_a_state(),
            profile: stored.name,
            number: stored.generation,
            digest,
            contents: profile,
            files,
        })
    }

    /// As the menu of a new disk wants it: nothing was booted yet.
    pub fn generation(&self, parameters: Vec<Parameter>, started_with: StartedWith) -> Generation {
        Generation {
            profile: self.profile.clone(),
            number: self.number,
            digest: self.digest,
            description: self.contents.description.clone(),
            parameters,
            last_good: false,
            started_with,
        }
    }
}

/// The files of the partition: images, then profiles, and the slots that count boots.
///
/// # Errors
/// The slots cannot be made: no room in the folder for temporary files.
pub fn files(store: &Store, chosen: &[Vec<DiskGeneration>]) -> Result<Vec<DiskFile>> {
    let all = || chosen.iter().flatten();
    let images: BTreeMap<Digest, u64> =
        all().flat_map(|it| it.contents.all_images()).map(|image| (image.digest, image.size)).collect();
    let image = |(digest, size): (Digest, u64)| DiskFile {
        path: Path::new(DEFAULT_FOLDER).join(layout::image(&digest)).display().to_string(),
        content: Content::File(store.image_path(&digest), size),
        digest: Some(digest),
    };
    let mut files: Vec<DiskFile> = images.into_iter().map(image).collect();
    files.extend(all().flat_map(|it| &it.files).cloned());
    files.extend(slots(None)?);
    Ok(files)
}

/// The slots: as they are made, or with a count.
///
/// # Errors
/// No room in the folder for temporary files.
pub fn slots(ledger: Option<&Ledger>) -> Result<Vec<DiskFile>> {
    let folder = TemporaryFolder::make("slots")?;
    let failed = || Error::on(folder.path().display());
    Slots::create(folder.path()).map_err(failed())?;
    if let (Some(ledger), Some(slots)) = (ledger, Slots::open(folder.path()).map_err(failed())?) {
        slots.write(ledger).map_err(failed())?;
    }
    let slot = |name: &str| {
        let path = folder.path().join(name);
        let bytes = fs::read(&path).map_err(Error::on(path.display()))?;
        Ok(DiskFile::bytes(format!("{DEFAULT_FOLDER}/{name}"), bytes))
    };
    boot_ledger::FILES.into_iter().map(slot).collect()
}
