//! What differs between two generations: packages with their choices, files, settings, and what has to be copied.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use boot_report::paths as left_by_init;
use boot_store::layout;
use profiles::resolved::{BootProfile, ImageRef};
use profiles::{Digest, Name};

use crate::error::{Error, Result};
use crate::image::differences::{What, compare, paths};
use crate::presence;
use crate::store::Store;

/// A generation that is compared, with the folders that its images may lie in.
#[derive(Debug, Clone)]
pub struct Side {
    /// What people call it.
    pub label: String,
    /// What it says.
    pub profile: BootProfile,
    /// Folders with `images/`.
    pub stores: Vec<PathBuf>,
}

/// A package as one side has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its version.
    pub version: String,
    /// Variant and features, as [`BuildRecord::choices`](crate::store::BuildRecord::choices) writes them; empty also where nothing is
    /// known of its build.
    pub choices: String,
    /// SHA-256 of its image.
    pub digest: Digest,
    /// Bytes of its image.
    pub size: u64,
}

/// A package that is not the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageChange {
    /// Its name.
    pub name: Name,
    /// As the first side has it.
    pub before: Option<Package>,
    /// As the second side has it.
    pub after: Option<Package>,
    /// What becomes of its files, or why nobody knows: an image is not at hand, or cannot be read here.
    pub files: Result<Files, String>,
}

/// What becomes of files, by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// Only the second side has them.
    pub added: Vec<String>,
    /// Only the first side has them.
    pub removed: Vec<String>,
    /// Both have them, each with what differs.
    pub changed: Vec<(String, Vec<String>)>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differences {
    /// By name.
    pub packages: Vec<PackageChange>,
    /// What else a profile says: name of the setting, before, after.
    pub settings: Vec<(String, String, String)>,
    /// Bytes of all images of either side.
    pub sizes: (u64, u64),
    /// Bytes of images of the second side that are not where they would be copied to.
    pub to_copy: u64,
}

/// Compares. `there` are the images that need not be copied.
pub fn compare_sides(before: &Side, after: &Side, store: &Store, there: &BTreeSet<Digest>) -> Differences {
    let (first, second) = (by_name(&before.profile), by_name(&after.profile));
    let mut packages = Vec::new();
    for name in first.keys().chain(second.keys()).collect::<BTreeSet<_>>() {
        let (one, other) = (first.get(name).copied(), second.get(name).copied());
        if one.map(|it| it.digest) == other.map(|it| it.digest) {
            continue;
        }
        let files = files(
            one.and_then(|it| before.find(it)),
            other.and_then(|it| after.find(it)),
            (one.is_some(), other.is_some()),
        );
        let package = |image: Option<&ImageRef>| image.map(|it| package(store, it));
        let Some(named) = other.or(one) else { continue };
        packages.push(PackageChange {
            name: named.name.clone(),
            before: package(one),
            after: package(other),
            files,
        });
    }
    let size = |profile: &BootProfile| profile.all_images().map(|it| it.size).sum();
    let missing: BTreeMap<Digest, u64> = after
        .profile
        .all_images()
        .filter(|it| !there.contains(&it.digest))
        .map(|it| (it.digest, it.size))
        .collect();
    Differences {
        packages,
        settings: settings(&before.profile, &after.profile),
        sizes: (size(&before.profile), size(&after.profile)),
        to_copy: missing.values().sum(),
    }
}

fn by_name(profile: &BootProfile) -> BTreeMap<&str, &ImageRef> {
    profile.all_images().map(|image| (image.name.as_str(), image)).collect()
}

impl Side {
    /// The file of an image, where one of its folders has it; else one of which nobody can tell, for whoever opens it to say why.
    fn find(&self, image: &ImageRef) -> Option<PathBuf> {
        let paths = || self.stores.iter().map(|store| store.join(layout::image(&image.digest)));
        paths().find(|path| path.is_file()).or_else(|| paths().find(|path| presence::of(path).is_err()))
    }
}

/// With the choices that the record of its build says.
fn package(store: &Store, image: &ImageRef) -> Package {
    let record = image.id.and_then(|id| store.record(&id).ok().flatten());
    Package {
        version: image.version.clone(),
        choices: record.map(|it| it.choices()).unwrap_or_default(),
        digest: image.digest,
        size: image.size,
    }
}

fn files(before: Option<PathBuf>, after: Option<PathBuf>, wanted: (bool, bool)) -> Result<Files, String> {
    let listed = |path: &Path| paths(path).map_err(|error| error.to_string());
    match (before.as_deref(), after.as_deref(), wanted) {
        (None, Some(after), (false, _)) => Ok(Files { added: listed(after)?, ..Files::default() }),
        (Some(before), None, (_, false)) => Ok(Files { removed: listed(before)?, ..Files::default() }),
        (Some(before), Some(after), _) => of_pair(before, after).map_err(|error| error.to_string()),
        _ => Err("an image is not at hand".to_owned()),
    }
}

fn of_pair(before: &Path, after: &Path) -> Result<Files> {
    let mut files = Files::default();
    for difference in compare(before, after)? {
        match difference.what {
            What::OnlyFirst => files.removed.push(difference.path),
            What::OnlySecond => files.added.push(difference.path),
            What::Changed(ways) => files.changed.push((difference.path, ways)),
        }
    }
    Ok(files)
}

/// What both sides say otherwise, beside their images.
fn settings(before: &BootProfile, after: &BootProfile) -> Vec<(String, String, String)> {
    let said = |profile: &BootProfile| {
        let order: Vec<&str> = profile.images.iter().map(|it| it.name.as_str()).collect();
        [
            ("profile", profile.name.to_string()),
            ("description", profile.description.clone().unwrap_or_default()),
            ("root", profile.root.to_string()),
            ("verify", profile.verify.to_string()),
            ("init", profile.init.clone()),
            (
                "kernel",
                profile.kernel.as_ref().map(|it| format!("{} ({})", it.name, it.release)).unwrap_or_default(),
            ),
            ("kernel file", profile.kernel.as_ref().map(|it| it.digest.to_string()).unwrap_or_default()),
            ("sealed", profile.sealed.as_ref().map(|it| it.to_string()).unwrap_or_default()),
            ("order", order.join(" ")),
        ]
    };
    let both = said(before).into_iter().zip(said(after));
    let differ =
        both.filter(|(one, other)| one.1 != other.1 && (one.0 != "order" || same_set(before, after)));
    differ.map(|((name, one), (_, other))| (name.to_owned(), one, other)).collect()
}

/// Another order is told only where the packages are the same ones: else it follows from what came and went.
fn same_set(before: &BootProfile, after: &BootProfile) -> bool {
    let set =
        |profile: &BootProfile| profile.images.iter().map(|it| it.name.to_string()).collect::<BTreeSet<_>>();
    set(before) == set(after)
}

/// Reads the profile that this machine was booted from.
///
/// # Errors
/// Lamina did not boot it.
pub fn running_side() -> Result<Side> {
    let path = Path::new(left_by_init::PROFILE);
    let bytes = crate::text_file::read(path).map_err(|error| {
        Error::caused("running", error)
            .remedy("this works in a system that Lamina has booted; name two generations elsewhere")
    })?;
    let profile = BootProfile::parse(left_by_init::PROFILE, &bytes).map_err(Error::on(""))?;
    let stores = vec![
        Path::new(left_by_init::MEDIUM).join(layout::DEFAULT_FOLDER),
        PathBuf::from(left_by_init::MEDIUM),
    ];
    Ok(Side { label: format!("running {}", profile.name), profile, stores })
}
