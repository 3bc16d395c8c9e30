//! From a written profile to a resolved one: exact images, and no path hidden that the profile does not allow.

use std::fs;
use std::path::{Path, PathBuf};

use profiles::resolved::{BootProfile, ImageRef};
use profiles::written::Composition;
use profiles::{Digest, Name, Verify};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};
use crate::image::checked::CheckedImage;
use crate::stacking::first_program;
use crate::stacking::{self, LayerPaths, Shadow, shadows};
use crate::store::{BuildRecord, Store};
use crate::text_file;

/// More refused paths than this are counted, not listed.
const MOST_SHOWN: usize = 20;

/// A resolved profile and what was seen on the way.
#[derive(Debug, Clone)]
pub struct Locked {
    /// What init boots.
    pub profile: BootProfile,
    /// Paths that an `override` allows to be hidden.
    pub shadowed: Vec<Shadow>,
    /// `override` lines that no path needs.
    pub idle_overrides: Vec<String>,
    /// A sentence about each image of which damaged blocks were read, and mended in what was read.
    pub mended: Vec<String>,
}

/// The builds of a profile's layers.
#[derive(Debug, Clone, Default)]
pub struct Builds<'a> {
    /// The stack, bottom first.
    pub stack: Vec<&'a BuildRecord>,
    /// What can be added on top, in this order.
    pub optional: Vec<&'a BuildRecord>,
}

/// Makes the resolved profile from `builds` and checks every path of their images, as if all that can be added were.
pub fn lock(composition: &Composition, builds: &Builds<'_>, store: &Store) -> Result<Locked> {
    let (mut contents, mut stack, mut mended) = (Vec::new(), Vec::new(), Vec::new());
    for (index, record) in builds.stack.iter().chain(&builds.optional).enumerate() {
        check_verity(composition, record)?;
        let (image, paths) = paths_of(store, record)?;
        mended.extend(image.told());
        contents.push(paths);
        if index < builds.stack.len() {
            stack.push(image);
        }
    }
    let (shadowed, refused): (Vec<Shadow>, Vec<Shadow>) =
        shadows(&contents).into_iter().partition(|shadow| allowed(composition, shadow));
    if !refused.is_empty() {
        return Err(refusal(composition, &refused));
    }
    first_program::check(composition, &stack.iter().map(CheckedImage::image).collect::<Vec<_>>())?;
    let used = |path: &str| shadowed.iter().any(|shadow| shadow.path == path);
    let idle_overrides = composition.overrides.iter().map(|it| it.path.as_str()).filter(|path| !used(path));
    let image = |record: &&BuildRecord| ImageRef {
        name: record.name.clone(),
        version: record.version.clone(),
        id: Some(record.id),
        digest: record.digest,
        size: record.size,
        verity: record.verity,
    };
    let profile = BootProfile {
        name: composition.name.clone(),
        description: composition.description.clone(),
        images: builds.stack.iter().map(image).collect(),
        optional: builds.optional.iter().map(image).collect(),
        root: composition.root.clone(),
        verify: composition.verify,
        init: composition.init.as_str().to_owned(),
        sealed: composition.sealed.clone(),
    };
    Ok(Locked { profile, idle_overrides: idle_overrides.map(str::to_owned).collect(), shadowed, mended })
}

/// A profile with verify "verity" needs the root hash of every image.
fn check_verity(composition: &Composition, record: &BuildRecord) -> Result<()> {
    if composition.verify != Verify::Verity || record.verity.is_some() {
        return Ok(());
    }
    let cause =
        format!("{} {} has no hash tree, and verify \"verity\" needs it", record.name, record.version);
    Err(Error::new(format!("profile {}", composition.name), cause).remedy(format!(
        "remove the record builds/{}.kdl from the store, then `lamina build {}` makes both",
        record.id.hex(),
        record.name
    )))
}

/// The image of a build, with every path of it.
fn paths_of(store: &Store, record: &BuildRecord) -> Result<(CheckedImage, LayerPaths)> {
    let path = store.image_path(&record.digest);
    let damaged = |error: &dyn std::fmt::Display| {
        Error::new(path.display(), error).remedy(format!(
            "run `lamina store verify`; `lamina build {}` makes it again once it is removed",
            record.name
        ))
    };
    let checked =
        store.open_image(&record.digest, record.verity.as_ref()).map_err(|error| damaged(&error.cause()))?;
    let paths = stacking::paths_of(checked.image(), &path, |error| damaged(&error))?;
    Ok((checked, LayerPaths { name: record.name.clone(), paths }))
}

fn allowed(composition: &Composition, shadow: &Shadow) -> bool {
    composition.overrides.iter().any(|it| it.path.as_str() == shadow.path && it.from == shadow.seen)
}

fn refusal(composition: &Composition, refused: &[Shadow]) -> Error {
    let mut cause = "layers hide paths of others, and the profile does not allow it".to_owned();
    let folders = refused.iter().any(|shadow| shadow.folder.is_some());
    let alike = if folders { ", give a folder the same `metadata` in both recipes" } else { "" };
    let mut remedy = format!("remove one of the two{alike}, or add to the profile");
    for shadow in refused.iter().take(MOST_SHOWN) {
        cause.push_str(&format!("\n    {shadow}"));
        let path = profiles::quote::Quoted(&shadow.path);
        remedy.push_str(&format!("\n    override {path} from=\"{}\"", shadow.seen));
    }
    if let Some(more) = refused.len().checked_sub(MOST_SHOWN).filter(|more| *more > 0) {
        cause.push_str(&format!("\n    and {more} more"));
    }
    Error::new(format!("profile {}", composition.name), cause).remedy(remedy)
}

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

/// The word of the kernel command line that boots this profile and no other: `lamina.profile=NAME@sha256:HEX`, with the
/// SHA-256 of its text.
pub fn boot_parameter(profile: &BootProfile) -> String {
    let digest = Digest::from_bytes(Sha256::digest(profile.to_kdl()).into());
    format!("lamina.profile={}@{digest}", profile.name)
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
