//! What goes into the store's partition.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZero;
use std::path::Path;

use boot_entry::Generation;
use boot_ledger::Slots;
use boot_store::layout;
use disk_image::{Content, DiskFile};
use profiles::resolved::{BootProfile, ImageRef};
use profiles::{Digest, Name, WritableTop};

use crate::error::{Error, Result};
use crate::report::Report;
use crate::store::{Store, generations};
use crate::text_file;

/// Where init looks for a store on its medium, when `lamina.dir=` says nothing else.
const FOLDER: &str = "lamina";

/// A generation that goes onto the disk.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// As the menu wants it, still without parameters of its own.
    pub generation: Generation,
    /// Whether a state can take the place of its writable top: it has one, loses its changes, and no seal forbids it.
    pub takes_a_state: bool,
    /// The profile and, where it has one, its signature.
    files: Vec<DiskFile>,
    images: Vec<ImageRef>,
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
) -> Result<Vec<Vec<Chosen>>> {
    names.iter().map(|name| of_profile(store, name, most, report)).collect()
}

fn of_profile(store: &Store, name: &Name, most: NonZero<usize>, report: &Report) -> Result<Vec<Chosen>> {
    let found = generations::generations_in(store.root(), name)?;
    if found.is_empty() {
        return Err(Error::new(format!("profile {name}"), "has not been locked")
            .remedy(format!("`lamina build {name}` builds and locks")));
    }
    let mut chosen = Vec::new();
    for (number, path) in found.into_iter().take(most.get()) {
        let bytes = text_file::read(&path)?;
        let profile = BootProfile::parse(&path.display().to_string(), &bytes).map_err(Error::on(""))?;
        let images: Vec<ImageRef> = profile.images.iter().chain(&profile.optional).cloned().collect();
        if let Err(error) = images.iter().try_for_each(|image| is_there(store, name, image)) {
            if chosen.is_empty() {
                return Err(error);
            }
            report.line(format_args!("warning: generation {number} of {name} is left out: {error}"));
            continue;
        }
        let digest = Digest::of(bytes.as_slice()).map_err(Error::on(path.display()))?.0;
        let inside = Path::new(FOLDER).join(layout::profile(name, number));
        let mut files = Vec::new();
        let signed = layout::signature_of(&path);
        if signed.is_file() {
            let beside = layout::signature_of(&inside);
            files.push(DiskFile::bytes(beside.display().to_string(), text_file::read(&signed)?));
        }
        files.push(DiskFile { digest: Some(digest), ..DiskFile::bytes(inside.display().to_string(), bytes) });
        chosen.push(Chosen {
            generation: Generation {
                profile: name.clone(),
                number,
                digest,
                description: profile.description,
                parameters: Vec::new(),
            },
            takes_a_state: matches!(profile.root, WritableTop::Tmpfs { .. }) && profile.sealed.is_none(),
            files,
            images,
        });
    }
    Ok(chosen)
}

fn is_there(store: &Store, profile: &Name, image: &ImageRef) -> Result<()> {
    let path = store.image_path(&image.digest);
    let found = fs::metadata(&path).map_err(|error| {
        Error::new(path.display(), format!("profile {profile} needs it: {error}"))
            .remedy(format!("`lamina build {profile}` makes what is missing"))
    })?;
    match found.len() == image.size {
        true => Ok(()),
        false => {
            let cause = format!("has {} bytes, profile {profile} says {}", found.len(), image.size);
            Err(Error::new(path.display(), cause).remedy("run `lamina store verify`"))
        }
    }
}

/// The files of the partition: images, then profiles, and the slots that count boots.
///
/// # Errors
/// The slots cannot be made: no room in the folder for temporary files.
pub fn files(store: &Store, chosen: &[Vec<Chosen>]) -> Result<Vec<DiskFile>> {
    let all = || chosen.iter().flatten();
    let images: BTreeMap<Digest, u64> =
        all().flat_map(|it| &it.images).map(|image| (image.digest, image.size)).collect();
    let image = |(digest, size): (Digest, u64)| DiskFile {
        path: Path::new(FOLDER).join(layout::image(&digest)).display().to_string(),
        content: Content::File(store.image_path(&digest), size),
        digest: Some(digest),
    };
    let mut files: Vec<DiskFile> = images.into_iter().map(image).collect();
    files.extend(all().flat_map(|it| &it.files).cloned());
    files.extend(slots()?);
    Ok(files)
}

/// `boot/a` and `boot/b`, empty.
fn slots() -> Result<Vec<DiskFile>> {
    let folder = tempfile::tempdir().map_err(Error::on("a temporary folder"))?;
    Slots::create(folder.path()).map_err(Error::on(folder.path().display()))?;
    let slot = |name: &str| {
        let path = folder.path().join(name);
        let bytes = fs::read(&path).map_err(Error::on(path.display()))?;
        Ok(DiskFile::bytes(format!("{FOLDER}/{name}"), bytes))
    };
    ["boot/a", "boot/b"].into_iter().map(slot).collect()
}
