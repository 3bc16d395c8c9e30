//! From a written profile to a resolved one: exact images, no path hidden and no library missing that the profile does not allow.

use std::collections::BTreeSet;
use std::num::NonZero;

use profiles::resolved::{BootProfile, ImageRef};
use profiles::written::Composition;
use profiles::{Digest, Verify};
use squashfs::Image;
use verified_store::CheckedImage;

use super::kernel::{IndexImage, ProfileKernel, Stack};
use super::missing;
use super::system_image::SystemImage;
use crate::error::{Error, Result};
use crate::linking::{self, Finding};
use crate::stacking::first_program;
use crate::stacking::overrides::{allows, refusal};
use crate::stacking::{self, Hiding, LayerPaths, Shadow, shadows};
use crate::store::{BuildRecord, Store};

/// A resolved profile and what was seen on the way.
#[derive(Debug)]
pub struct Locked {
    /// What init boots.
    pub profile: BootProfile,
    /// Paths that an `override` allows to be hidden.
    pub shadowed: Vec<Shadow>,
    /// `override` lines that no path needs.
    pub idle_overrides: Vec<String>,
    /// What programs and libraries need and do not find, as `unresolved` allows.
    pub unresolved: Vec<Finding>,
    /// The names of `unresolved` lines that nothing needs.
    pub idle_unresolved: Vec<String>,
    /// A sentence about each image of which damaged blocks were read, and mended in what was read.
    pub mended: Vec<String>,
    /// The image of the indexes of its modules, where it needs one; it is not in the store before [`Locked::publish_images`].
    pub indexes: Option<IndexImage>,
    /// The image of the profile's settings, its topmost layer; it is not in the store before [`Locked::publish_images`].
    pub system: Option<SystemImage>,
}

impl Locked {
    /// Puts into the store what the profile needs and locking has made.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn publish_images(&self, store: &Store) -> Result<()> {
        self.indexes.iter().try_for_each(|indexes| indexes.publish(store))?;
        self.system.iter().try_for_each(|system| system.publish(store))
    }
}

/// The builds of a profile's layers.
#[derive(Debug, Clone, Default)]
pub struct Builds<'a> {
    /// The stack, bottom first.
    pub stack: Vec<&'a BuildRecord>,
    /// What can be added on top, in this order.
    pub optional: Vec<&'a BuildRecord>,
}

/// Makes the resolved profile from `builds` and checks every path of their images, as if all that can be added were. The images that
/// locking makes are written by `jobs` threads, which do not change their bytes.
pub fn lock(
    composition: &Composition,
    builds: &Builds<'_>,
    store: &Store,
    jobs: NonZero<usize>,
) -> Result<Locked> {
    let kernel = ProfileKernel::of(composition, store)?;
    // Modules lie at the bottom: a package that has the same file is told as the one that hides it.
    let modules = kernel.iter().map(|kernel| &kernel.modules);
    let builds = &Builds {
        stack: modules.chain(builds.stack.iter().copied()).collect(),
        optional: builds.optional.clone(),
    };
    let (mut contents, mut images) = (Vec::new(), Vec::new());
    let all: Vec<&BuildRecord> = builds.stack.iter().chain(&builds.optional).copied().collect();
    for record in &all {
        check_verity(composition, record)?;
        let (image, paths) = paths_of(store, record)?;
        contents.push(paths);
        images.push(image);
    }
    let missing = missing::find(store, &all, &images, &contents, builds.stack.len())?;
    let mut stack: Vec<&Image> = images[..builds.stack.len()].iter().map(CheckedImage::image).collect();
    let layers = Stack { records: &builds.stack, images: &stack, contents: &contents };
    let indexes = kernel
        .as_ref()
        .map(|kernel| IndexImage::make(composition, kernel, layers, (store, jobs)))
        .transpose()?
        .flatten();
    let system = SystemImage::make(composition, (&builds.stack, &stack), &builds.optional, (store, jobs))?;
    let own = system.as_ref().map(|system| open_own(store, system)).transpose()?;
    // Packages are compared as if there were no settings: what one hides of another was in what these were made from.
    let mut found = shadows(&contents);
    found.retain(|shadow| !indexes.as_ref().is_some_and(|indexes| indexes.settles(&shadow.path)));
    if let Some((image, paths)) = &own {
        stack.push(image.image());
        // What can be added lies above it.
        contents.insert(builds.stack.len(), paths.clone());
        let from_it_on = shadows(&contents[builds.stack.len()..]).into_iter();
        found.extend(from_it_on.filter(|shadow| shadow.hidden == paths.name));
    }
    let (shadowed, idle_overrides) = allowed(composition, found)?;
    first_program::check(composition, &stack)?;
    let (unresolved, idle_unresolved) = linking::allowed(composition, missing)?;
    let made = indexes.iter().map(|it| &it.record).chain(system.iter().map(|it| &it.record));
    let profile = resolved(composition, builds, &made.collect::<Vec<_>>(), kernel.as_ref());
    check_images(&profile)?;
    let opened = images.iter().chain(own.iter().map(|(image, _)| image));
    let mended = opened.filter_map(CheckedImage::told).collect();
    Ok(Locked { profile, idle_overrides, shadowed, unresolved, idle_unresolved, mended, indexes, system })
}

/// What the profile allows of what layers hide, and `override` lines that no path needs.
fn allowed(composition: &Composition, found: Vec<Shadow>) -> Result<(Vec<Shadow>, Vec<String>)> {
    let (shadowed, refused): (Vec<Shadow>, Vec<Shadow>) =
        found.into_iter().partition(|shadow| composition.overrides.iter().any(|line| allows(line, shadow)));
    if !refused.is_empty() {
        return Err(refused_by(composition, &refused));
    }
    let used = |path: &str| shadowed.iter().any(|shadow| shadow.path == path);
    let idle = composition.overrides.iter().map(|it| it.path.as_str()).filter(|path| !used(path));
    let idle = idle.map(str::to_owned).collect();
    Ok((shadowed, idle))
}

/// Refuses what init would refuse: a name twice, and more layers than the kernel joins. Images that locking makes count too.
fn check_images(profile: &BootProfile) -> Result<()> {
    let object = || format!("profile {}", profile.name);
    stacking::check_layers(object(), "it", profile.images.len())?;
    let mut names = BTreeSet::new();
    match profile.all_images().find(|image| !names.insert(image.name.as_str())) {
        None => Ok(()),
        Some(image) => {
            let cause =
                format!("{} is both a package of it and an image that belongs to its kernel", image.name);
            Err(Error::new(object(), cause).remedy("give the package or the kernel another name"))
        }
    }
}

/// The image of the settings, with every path of it.
fn open_own(store: &Store, system: &SystemImage) -> Result<(CheckedImage, LayerPaths)> {
    let (path, record) = (system.path(store), &system.record);
    let remedy = format!("remove it, then {} makes it again", record.remade_by());
    let damaged = |error: squashfs::Error| Error::caused(path.display(), error).remedy(&remedy);
    let checked = CheckedImage::open(&path, &record.digest, record.verity.as_ref())
        .map_err(|error| error.remedy(&remedy))?;
    let paths = stacking::paths_of(checked.image(), &path, damaged)?;
    Ok((checked, LayerPaths { name: record.name.clone(), paths }))
}

/// `made` are the images that locking has made, bottom first.
fn resolved(
    composition: &Composition,
    builds: &Builds<'_>,
    made: &[&BuildRecord],
    kernel: Option<&ProfileKernel>,
) -> BootProfile {
    let image = |record: &BuildRecord| ImageRef {
        name: record.name.clone(),
        version: record.version.clone(),
        id: Some(record.id),
        digest: record.digest,
        size: record.size,
        verity: record.verity,
    };
    BootProfile {
        name: composition.name.clone(),
        description: composition.description.clone(),
        images: builds.stack.iter().chain(made).copied().map(image).collect(),
        optional: builds.optional.iter().copied().map(image).collect(),
        root: composition.root.clone(),
        verify: composition.verify,
        init: composition.init.as_str().to_owned(),
        sealed: composition.sealed.clone(),
        kernel: kernel.map(|kernel| kernel.record.pin.clone()),
    }
}

fn refused_by(composition: &Composition, refused: &[Shadow]) -> Error {
    let folders = refused.iter().any(|shadow| matches!(shadow.hiding, Hiding::Folder { .. }));
    let alike = if folders { ", give a folder the same `metadata` in both recipes" } else { "" };
    refusal(
        format!("profile {}", composition.name),
        "layers hide paths of others, and the profile does not allow it",
        &format!("remove one of the two{alike}, or add to the profile"),
        refused,
    )
}

/// A profile with verify "verity" needs the root hash of every image.
fn check_verity(composition: &Composition, record: &BuildRecord) -> Result<()> {
    if composition.verify != Verify::Verity || record.verity.is_some() {
        return Ok(());
    }
    let cause =
        format!("{} {} has no hash tree, and verify \"verity\" needs it", record.name, record.version);
    Err(Error::new(format!("profile {}", composition.name), cause).remedy(format!(
        "remove the record builds/{}.kdl from the store, then {} makes both",
        record.id.hex(),
        record.remade_by()
    )))
}

/// The image of a build, with every path of it.
fn paths_of(store: &Store, record: &BuildRecord) -> Result<(CheckedImage, LayerPaths)> {
    let path = store.image_path(&record.digest);
    let remedy =
        format!("run `lamina store verify`; {} makes it again once it is removed", record.remade_by());
    let checked = store.open_image(&record.digest, record.verity.as_ref()).map_err(|error| {
        Error::new(path.display(), error.cause().to_owned()).remedy(&remedy).because_of(error)
    })?;
    let damaged = |error: squashfs::Error| Error::caused(path.display(), error).remedy(&remedy);
    let paths = stacking::paths_of(checked.image(), &path, damaged)?;
    Ok((checked, LayerPaths { name: record.name.clone(), paths }))
}

/// The word of the kernel command line that boots this profile and no other: `lamina.profile=NAME@sha256:HEX`, with the
/// SHA-256 of its text.
pub fn boot_parameter(profile: &BootProfile) -> String {
    let digest = Digest::of_bytes(profile.to_kdl());
    format!("lamina.profile={}@{digest}", profile.name)
}
