//! A store packed into the initramfs: resolved profiles and the images that they name.

use std::collections::BTreeMap;
use std::path::Path;

use boot_store::{BootStore, layout};
use cli::numbers::count;
use cli::progress::{Meter, Progress};
use initramfs_format::paths::PACKED_STORE;
use profiles::resolved::{BootProfile, ImageRef};
use profiles::{Name, suggest};

use crate::contents::{Contents, Source};
use crate::keys::Keys;
use fault::Error;
use verified_store::{Damage, LockedProfile, SoundFile};

const REMEDY: &str = "'lamina store verify' finds damaged images; 'lamina build' makes them again";

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
/// `made_for` is the kernel, and the newest format of profiles that init reads.
///
/// # Errors
/// A profile or image is missing or damaged; a profile has no signature that init would accept, or is for another kernel.
pub(crate) fn add(
    contents: &mut Contents,
    store: &Path,
    (wanted, made_for): (&[Name], (&str, u64)),
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
        let locked = newest(&files, name)?;
        keys.check(&locked)?;
        check_kernel(&locked.profile, made_for)?;
        for (file, bytes) in locked.files()? {
            let place = Path::new(PACKED_STORE).join(file).display().to_string();
            contents.add(place, 0o644, Source::Bytes(bytes.to_vec()))?;
        }
        taken.push(format!("{name} generation {}", locked.stored.generation));
        packed.push(locked.profile);
    }
    let images = packed.iter().flat_map(|profile| profile.all_images().map(move |image| (profile, image)));
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

/// Refuses a profile that this init would refuse on this kernel.
fn check_kernel(profile: &BootProfile, (release, format): (&str, u64)) -> Result<(), Error> {
    let Some(pin) = profile.kernel.as_ref() else { return Ok(()) };
    let object = format!("profile {}", profile.name);
    if pin.release.as_str() != release {
        let cause =
            format!("is for kernel {} ({}), and this initramfs is for {release}", pin.release, pin.name);
        return Err(Error::new(object, cause)
            .remedy("give its kernel with --kernel, or take `kernel` out of the profile and lock it again"));
    }
    if profile.format() > format {
        let cause = format!("has format {}, and this init reads up to {format}", profile.format());
        return Err(Error::new(object, cause).remedy("give a newer init with --init"));
    }
    Ok(())
}

fn unknown(store: &Path, name: &Name, known: &[Name]) -> Error {
    let known: Vec<&str> = known.iter().map(Name::as_str).collect();
    let hint = suggest::remedy(name.as_str(), &known);
    Error::new(store.join("profiles").display(), format!("has no resolved profile '{name}' ({hint})"))
        .remedy("make one with 'lamina profile lock NAME'")
}

/// The generation with the highest number.
fn newest(files: &BootStore, name: &Name) -> Result<LockedProfile, Error> {
    LockedProfile::newest(files, name)?.ok_or_else(|| {
        let folder = files.path().join(layout::profile_folder(name));
        Error::new(folder.display(), "holds no generation (1.kdl, 2.kdl, ...)")
            .remedy("make one with 'lamina profile lock NAME'")
    })
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
    let path = store.join(inside);
    let (file, healed) = SoundFile::check(&path, image, meter).map_err(|damage| {
        let cause = format!("image '{}' of profile '{}': {}", image.name, profile.name, why(&damage, image));
        Error::new(path.display(), cause).remedy(REMEDY)
    })?;
    contents.add(place, 0o644, Source::Image(file))?;
    let blocks = count(healed, "damaged block");
    let path = path.display();
    Ok((healed > 0).then(|| {
        format!(
            "{path}: image '{}': {blocks}, mended by error correction in what was packed; {REMEDY}",
            image.name
        )
    }))
}

/// What is wrong with an image, in a sentence.
fn why(damage: &Damage, image: &ImageRef) -> String {
    let Damage::Other { digest, size, not_mended } = damage else { return damage.to_string() };
    let wrong = match *size == image.size {
        true => format!("has the digest {digest}, not the one in its name"),
        false => format!("has {size} bytes, the profile says {}", image.size),
    };
    match not_mended {
        Some(why) => format!("{wrong}, and {why}"),
        None => wrong,
    }
}
