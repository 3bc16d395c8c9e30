//! A store packed into the initramfs: resolved profiles and the images that they name.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cli::progress::{Meter, Progress, count};
use profiles::resolved::{BootProfile, ImageRef};
use profiles::{Name, suggest};

use crate::contents::{Contents, Source};
use crate::error::Error;
use crate::host_file;
use crate::keys::Keys;
use crate::packed_image::PackedImage;

/// Where init looks for a packed store.
const HOME: &str = "lamina";

/// Adds the newest generation of each of `wanted`, or of every profile when none is named, with its signature and images.
/// Returns what was taken, as `NAME generation N`.
///
/// # Errors
/// A profile or image is missing or damaged; a profile has no signature that init would accept.
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

pub(crate) fn add(
    contents: &mut Contents,
    store: &Path,
    wanted: &[Name],
    keys: &Keys,
    progress: Progress,
) -> Result<Packed, Error> {
    let known = profile_names(store)?;
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
        let (generation, path) = newest(store, name)?;
        let bytes = host_file::read(&path).map_err(Error::at(&path))?;
        let label = path.display().to_string();
        let profile = BootProfile::parse(&label, &bytes).map_err(|errors| Error::new("", errors))?;
        let place = format!("{HOME}/profiles/{name}/{generation}.kdl");
        if let Some(signature) = keys.signature_of(&path, &bytes)? {
            contents.add(format!("{place}.minisig"), 0o644, Source::Bytes(signature))?;
        }
        contents.add(place, 0o644, Source::Bytes(bytes))?;
        packed.push(profile);
        taken.push(format!("{name} generation {generation}"));
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

/// The folders below `profiles`, sorted. Files and odd names are no profiles.
fn profile_names(store: &Path) -> Result<Vec<Name>, Error> {
    let folder = store.join("profiles");
    let is_profile = |path: &PathBuf| path.is_dir();
    let mut names: Vec<Name> = entries(&folder)?
        .into_iter()
        .filter(is_profile)
        .filter_map(|path| Name::parse(path.file_name()?.to_str()?).ok())
        .collect();
    names.sort();
    Ok(names)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let found = fs::read_dir(folder).map_err(|error| {
        Error::new(folder.display(), error).remedy("--store takes a folder with profiles/ and images/ in it")
    })?;
    found.map(|entry| Ok(entry.map_err(Error::at(folder))?.path())).collect()
}

/// The file `GENERATION.kdl` with the highest number.
fn newest(store: &Path, name: &Name) -> Result<(u64, PathBuf), Error> {
    let folder = store.join("profiles").join(name.as_str());
    let numbered = entries(&folder)?.into_iter().filter_map(|path| Some((generation(&path)?, path)));
    numbered.max().ok_or_else(|| {
        Error::new(folder.display(), "holds no generation (1.kdl, 2.kdl, ...)")
            .remedy("make one with 'lamina profile lock NAME'")
    })
}

/// `7` for `7.kdl`; leading zeros and signs make no generation.
fn generation(path: &Path) -> Option<u64> {
    let digits = path.file_name()?.to_str()?.strip_suffix(".kdl")?;
    let number: u64 = digits.parse().ok()?;
    (number > 0 && number.to_string() == digits).then_some(number)
}

/// Adds an image that is not there yet. Gives a sentence about what had to be mended.
fn add_image(
    contents: &mut Contents,
    store: &Path,
    profile: &BootProfile,
    image: &ImageRef,
    meter: &Meter,
) -> Result<Option<String>, Error> {
    let inside = format!("images/{}.sqfs", image.digest.hex());
    let place = format!("{HOME}/{inside}");
    if contents.get(&place).is_some() {
        return Ok(None);
    }
    let (packed, mended) = PackedImage::check(&store.join(inside), image, &profile.name, meter)?;
    contents.add(place, 0o644, Source::Image(packed))?;
    Ok(mended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_are_plain_numbers_from_one() {
        let read = |name: &str| generation(Path::new(name));
        assert_eq!(read("p/12.kdl"), Some(12));
        assert_eq!(
            [read("0.kdl"), read("01.kdl"), read("+1.kdl"), read("1.kdl.tmp"), read("x.kdl")],
            [None; 5]
        );
    }
}
