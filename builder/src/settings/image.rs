//! The image of a plan: its tree, its record, its id.

use std::num::NonZero;

use profiles::{Digest, Name};
use squashfs::{Entry, Kind, Metadata, Tree};

use super::plan::{Plan, What};
use crate::error::{Error, Result};
use crate::graph::package_id::TARGET;
use crate::image::format::{ImageFormat, SOURCE_DATE_EPOCH};
use crate::store::{BuildRecord, Dependency, MadeImage, PROFILE_LICENSE, SYSTEM, Store};

/// Raised when the same plan begins to give other bytes.
const FORMAT: u32 = 1;

/// The image of the settings of the profile `profile`: `system-PROFILE`.
///
/// # Errors
/// The name is longer than names are.
pub fn name(profile: &Name) -> Result<Name> {
    Name::parse(&format!("{SYSTEM}{profile}")).map_err(|error| {
        Error::caused(format!("profile {profile}"), error)
            .remedy("the image of its settings is called system-NAME: give the profile a shorter name")
    })
}

/// The record of the image, which is not written yet; `layers` are the stack that the plan is for, bottom first.
pub fn record(plan: &Plan, name: &Name, layers: &[&BuildRecord]) -> BuildRecord {
    let merged = plan.merged.iter().filter_map(|layer| layers.get(*layer));
    let merged: Vec<Dependency> = merged.map(|record| record.as_dependency()).collect();
    let id = id(plan, name, &merged);
    BuildRecord {
        build_root: merged,
        ..BuildRecord::without_recipe(name.clone(), FORMAT.to_string(), id, PROFILE_LICENSE, TARGET)
    }
}

/// Makes the image that `record` is of.
pub fn make(plan: &Plan, record: BuildRecord, store: &Store, jobs: NonZero<usize>) -> Result<MadeImage> {
    let tree = tree(plan).map_err(Error::on(&record.name))?;
    store.make_image(tree, record, ImageFormat::PACKAGE, jobs)
}

/// One time for all, as in every image.
fn tree(plan: &Plan) -> std::result::Result<Tree, squashfs::Error> {
    let mut tree = Tree::new();
    // By path: parents come before children.
    for (path, entry) in &plan.entries {
        let kind = match &entry.what {
            What::Folder => Kind::Directory,
            What::File(bytes) => Kind::File(bytes.clone().into()),
            What::Link(target) => Kind::Symlink(target.clone().into()),
        };
        let metadata = Metadata { mtime: i64::from(SOURCE_DATE_EPOCH), ..entry.metadata.clone() };
        tree.insert(path, Entry::new(metadata, kind))?;
    }
    Ok(tree)
}

/// The SHA-256 of a text with a line for each entry of the image and each layer that its record names.
fn id(plan: &Plan, name: &Name, merged: &[Dependency]) -> Digest {
    let mut text = format!("lamina settings {FORMAT}\nname {name}\nimage {}\n", ImageFormat::PACKAGE);
    for layer in merged {
        text += &format!("layer {} {} {} {}\n", layer.name, layer.version, layer.id.hex(), layer.digest);
    }
    for (path, entry) in &plan.entries {
        let Metadata { mode, uid, gid, xattrs, .. } = &entry.metadata;
        let what = match &entry.what {
            What::Folder => "folder".to_owned(),
            What::File(bytes) => format!("file {}", Digest::of_bytes(bytes).hex()),
            What::Link(target) => format!("link {}", target.escape_default()),
        };
        text += &format!("entry /{} {mode:04o} {uid} {gid} {what}", path.escape_ascii());
        for xattr in xattrs {
            text += &format!(" {}={}", xattr.name.escape_ascii(), Digest::of_bytes(&xattr.value).hex());
        }
        text.push('\n');
    }
    Digest::of_bytes(text)
}
