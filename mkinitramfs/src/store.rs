//! A store packed into the initramfs: resolved profiles and the images that they name.

use std::collections::BTreeMap;
use std::path::Path;

use boot_store::{BootStore, StoredProfile, layout};
use cli::progress::{Meter, Progress, count};
use initramfs_format::paths::PACKED_STORE;
use profiles::resolved::{BootProfile, ImageRef};
use profiles::{Name, suggest};

use crate::contents::{Contents, Source};
use crate::keys::Keys;
use crate::packed_image::PackedImage;
use fault::Error;

/// The profiles that were packed.
#[derive(Debug, Default)]
pub(crate) struct Packed {
    /// As `NAME generation N`.
    pub(crate) taken: Vec<String>,
    /// Those that are not sealed.
    pub(crate) unsealed: Vec<Name>,
    /// A sentence about each image that was damaged in the store.
    pub(crate) mended: Vec<String>,
}

/// Adds the newest generation of each of `wanted`, or of every profile when none is named, with its signature and images.
///
/// # Errors
/// A profile or image is missing or damaged; a profile has no signature that init would accept.
pub(crate) fn add(
    contents: &mut Contents,
    store: &Path,
    wanted: &[Name],
    keys: &Keys,
    progress: Progress,
) -> Result<Packed, Error> {
    let no_store = |error: std::io::Error| {
        Error::caused(store.join(layout::PROFILES).display(), error)
            .remedy("--store takes a folder with profiles/ and images/ in it")
    };
    let files = BootStore::open(store, Path::new("")).map_err(no_store)?;
    let known = files.profile_names(usize::MAX).map_err(no_store)?;
    let mut names = if wanted.is_empty() { known.clone() } else { wanted.to_vec() };
    names.sort();
    names.dedup();
    if names.is_empty() {
        return Err(Error::new(store.join("profiles").display(), "holds no resolved profile")
            .remedy("make one with 'lamina profile lock NAME'"));
    }
    let (mut taken, mut packed) = (Vec::new(), Vec::new());
    for name in &names {
        if !known.contains(name) {
            return Err(unknown(store, name, &known));
        }
        let stored = newest(&files, name)?;
        let profile = stored.parse().map_err(|error| Error::caused("", error))?;
        let place = Path::new(PACKED_STORE).join(layout::profile(name, stored.generation));
        if let Some(signature) = keys.signature_of(&files, &stored)? {
            let place = layout::signature_of(&place).display().to_string();
            contents.add(place, 0o644, Source::Bytes(signature))?;
        }
        taken.push(format!("{name} generation {}", stored.generation));
        contents.add(place.display().to_string(), 0o644, Source::Bytes(stored.bytes))?;
        packed.push(profile);
    }
    let images = packed.iter().flat_map(|profile| {
        profile.images.iter().chain(&profile.optional).map(move |image| (profile, image))
    });
    // An image that several profiles have is packed once.
    let bytes = images.clone().map(|(_, image)| (image.digest, image.size)).collect::<BTreeMap<_, _>>();
    let what = format!("checking {}", count(bytes.len(), "image"));
    let meter = progress.meter(what, bytes.into_values().fold(0, u64::saturating_add));
    let mut mended = Vec::new();
    for (profile, image) in images {
        mended.extend(add_image(contents, store, profile, image, &meter)?);
    }
    let unsealed = packed.iter().filter(|profile| profile.sealed.is_none());
    let unsealed = unsealed.map(|profile| profile.name.clone()).collect();
    Ok(Packed { taken, unsealed, mended })
}

fn unknown(store: &Path, name: &Name, known: &[Name]) -> Error {
    let known: Vec<&str> = known.iter().map(Name::as_str).collect();
    let hint = suggest::remedy(name.as_str(), &known);
    Error::new(store.join("profiles").display(), format!("has no resolved profile '{name}' ({hint})"))
        .remedy("make one with 'lamina profile lock NAME'")
}

/// The generation with the highest number.
fn newest(files: &BootStore, name: &Name) -> Result<StoredProfile, Error> {
    let folder = files.path().join(layout::profile_folder(name));
    let number = files.newest(name).map_err(Error::on(folder.display()))?.ok_or_else(|| {
        Error::new(folder.display(), "holds no generation (1.kdl, 2.kdl, ...)")
            .remedy("make one with 'lamina profile lock NAME'")
    })?;
    let path = files.path().join(layout::profile(name, number));
    files.profile(name, number).map_err(Error::on(path.display()))
}

/// Adds an image that is not there yet. Gives a sentence about what had to be mended.
fn add_image(
    contents: &mut Contents,
    store: &Path,
    profile: &BootProfile,
    image: &ImageRef,
    meter: &Meter,
) -> Result<Option<String>, Error> {
    let inside = layout::image(&image.digest);
    let place = Path::new(PACKED_STORE).join(&inside).display().to_string();
    if contents.get(&place).is_some() {
        return Ok(None);
    }
    let (packed, mended) = PackedImage::check(&store.join(inside), image, &profile.name, meter)?;
    contents.add(place, 0o644, Source::Image(packed))?;
    Ok(mended)
}
