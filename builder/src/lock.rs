//! From a written profile to a resolved one: exact images, and no path hidden that the profile does not allow.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use profiles::resolved::{BootProfile, ImageRef};
use profiles::written::Composition;
use profiles::{Digest, Name, Verify};
use sha2::{Digest as _, Sha256};
use squashfs::{Image, Kind};

use crate::error::{Error, Result};
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
}

/// A path that two layers have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadow {
    /// The path in the system.
    pub path: String,
    /// The layer whose entry is seen.
    pub seen: Name,
    /// The layer below it.
    pub hidden: Name,
}

/// What a layer has at a path, as far as stacking cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// Folders of all layers are merged.
    Folder,
    /// Everything else hides what is below.
    Other,
}

/// A layer and every path of its image.
#[derive(Debug, Clone)]
pub struct LayerPaths {
    /// The package.
    pub name: Name,
    /// Paths without a leading slash.
    pub paths: Vec<(Vec<u8>, Node)>,
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
    let mut contents = Vec::new();
    for record in builds.stack.iter().chain(&builds.optional) {
        check_verity(composition, record)?;
        contents.push(LayerPaths { name: record.name.clone(), paths: paths_of(store, record)? });
    }
    let (shadowed, refused): (Vec<Shadow>, Vec<Shadow>) =
        shadows(&contents).into_iter().partition(|shadow| allowed(composition, shadow));
    if !refused.is_empty() {
        return Err(refusal(composition, &refused));
    }
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
    Ok(Locked { profile, idle_overrides: idle_overrides.map(str::to_owned).collect(), shadowed })
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

/// Every path of an image.
fn paths_of(store: &Store, record: &BuildRecord) -> Result<Vec<(Vec<u8>, Node)>> {
    let path = store.image_path(&record.digest);
    let damaged = |error: squashfs::Error| {
        Error::new(path.display(), error).remedy(format!(
            "run `lamina store verify`; `lamina build {}` makes it again once it is removed",
            record.name
        ))
    };
    let image = Image::open(&path).map_err(damaged)?;
    let mut contents = Vec::new();
    for item in image.walk() {
        let item = item.map_err(damaged)?;
        let node = if matches!(item.kind, Kind::Directory) { Node::Folder } else { Node::Other };
        contents.push((item.path, node));
    }
    Ok(contents)
}

/// The paths that hide something, by path; of several layers below, the nearest is named.
pub fn shadows(layers: &[LayerPaths]) -> Vec<Shadow> {
    let mut seen: BTreeMap<&[u8], (usize, Node)> = BTreeMap::new();
    let mut found: BTreeMap<&[u8], (usize, usize)> = BTreeMap::new();
    for (layer, LayerPaths { paths, .. }) in layers.iter().enumerate() {
        for (path, node) in paths {
            if let Some((below, other)) = seen.insert(path, (layer, *node))
                && (*node, other) != (Node::Folder, Node::Folder)
            {
                found.insert(path, (layer, below));
            }
        }
    }
    let name = |layer: usize| layers[layer].name.clone();
    found
        .into_iter()
        .map(|(path, (layer, below))| Shadow {
            path: format!("/{}", String::from_utf8_lossy(path)),
            seen: name(layer),
            hidden: name(below),
        })
        .collect()
}

fn allowed(composition: &Composition, shadow: &Shadow) -> bool {
    composition.overrides.iter().any(|it| it.path.as_str() == shadow.path && it.from == shadow.seen)
}

fn refusal(composition: &Composition, refused: &[Shadow]) -> Error {
    let mut cause = "layers hide paths of others, and the profile does not allow it".to_owned();
    let mut remedy = "remove one of the two, or add to the profile".to_owned();
    for shadow in refused.iter().take(MOST_SHOWN) {
        cause.push_str(&format!("\n    {}: {} hides that of {}", shadow.path, shadow.seen, shadow.hidden));
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
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::new(folder.display(), error)),
    };
    let mut newest = None;
    for entry in entries {
        let path = entry.map_err(Error::on(folder.display()))?.path();
        let text = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".kdl"));
        // The form that init reads too: a decimal number from 1, without leading zeros.
        let number =
            text.filter(|text| !text.starts_with(['0', '+'])).and_then(|text| text.parse::<u64>().ok());
        newest = newest.max(number.map(|number| (number, path)));
    }
    Ok(newest)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(name: &str, folders: &[&str], files: &[&str]) -> LayerPaths {
        let entries = |paths: &[&str], node| {
            paths.iter().map(|path| (path.as_bytes().to_vec(), node)).collect::<Vec<_>>()
        };
        let paths = [entries(folders, Node::Folder), entries(files, Node::Other)].concat();
        LayerPaths { name: Name::parse(name).unwrap(), paths }
    }

    fn shown(layers: &[LayerPaths]) -> Vec<String> {
        shadows(layers).iter().map(|it| format!("{} {} {}", it.path, it.seen, it.hidden)).collect()
    }

    #[test]
    fn folders_of_several_layers_are_no_conflict() {
        let layers = [layer("a", &["etc"], &["etc/x"]), layer("b", &["etc"], &["etc/y"])];
        assert_eq!(shown(&layers), [] as [&str; 0]);
    }

    #[test]
    fn the_top_layer_is_seen_and_the_nearest_below_is_named() {
        let layers = [
            layer("a", &[], &["x"]),
            layer("b", &[], &["x"]),
            layer("c", &["y"], &["x"]),
            layer("d", &[], &["y"]),
        ];
        assert_eq!(shown(&layers), ["/x c b", "/y d c"]);
    }
}
