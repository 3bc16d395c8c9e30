//! The layers of a build's root, compared before they are stacked: a folder that is not the same in two of them is an error until the
//! recipe allows it with `override`, as it is when a profile is locked. A file may hide another's here: the bootstrap layer has some of
//! what packages have too, and the order of the layers is fixed.
//!
//! What layers do to each other depends on nothing but their images. It is found out once and kept in `stacks/KEY`, where KEY is the
//! SHA-256 of the layers' names and digests: later builds on the same layers read one small file.

use std::io::Read;
use std::path::Path;

use profiles::{Digest, Name};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::recipe::Recipe;
use crate::report::Report;
use crate::stacking::overrides::{allows, refusal};
use crate::stacking::{self, Hiding, LayerPaths, Shadow, shadows};
use crate::store::{Dependency, Store, opening, refuse_overlay_marks};

/// The form of what is kept; it is part of the key.
/// 2: layers have no whiteouts.
const FORMAT: u32 = 2;

/// Compares the layers of a build, bottom first.
///
/// # Errors
/// They have a folder in common that differs and that the recipe does not allow; an image has an attribute on which overlayfs acts, or
/// a whiteout, or cannot be read.
pub(super) fn check(recipe: &Recipe, layers: &[Dependency], store: &Store, report: &Report) -> Result<()> {
    let conflicts = conflicts(layers, store, report)?;
    for line in &recipe.overrides {
        if !conflicts.iter().any(|shadow| allows(line, shadow)) {
            let (name, path, from) = (&recipe.name, line.path.as_str(), &line.from);
            report.line(format_args!(
                "warning: package {name}: override \"{path}\" from=\"{from}\" allows nothing: no folder of a layer is hidden so"
            ));
        }
    }
    let mut refused = conflicts;
    refused.retain(|shadow| !recipe.overrides.iter().any(|line| allows(line, shadow)));
    if refused.is_empty() {
        return Ok(());
    }
    Err(refusal(
        format!("package {}", recipe.name),
        "layers of its root have folders that differ, and the recipe does not allow it",
        "give a folder the same `metadata` in both recipes, or add to this one",
        &refused,
    ))
}

/// The folders that differ, from what is kept or from the images.
fn conflicts(layers: &[Dependency], store: &Store, report: &Report) -> Result<Vec<Shadow>> {
    let path = store.stack_path(&key(layers));
    if let Some(known) = read(&path).and_then(|bytes| parse(&bytes)) {
        return Ok(known);
    }
    let listed = layers.iter().map(|layer| paths_of(layer, store, report)).collect::<Result<Vec<_>>>()?;
    let mut found = shadows(&listed);
    found.retain(|shadow| shadow.hiding != Hiding::Entry);
    store.write(&path, to_json(&found).to_string().as_bytes())?;
    Ok(found)
}

/// What is no file of ours is found out again.
fn read(path: &Path) -> Option<Vec<u8>> {
    /// More than any stack has: a folder that differs takes some 200 bytes.
    const MOST: u64 = 64 << 20;
    let mut bytes = Vec::new();
    opening::file(path).ok()?.take(MOST).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn paths_of(layer: &Dependency, store: &Store, report: &Report) -> Result<LayerPaths> {
    let path = store.image_path(&layer.digest);
    let verity = store.verity_of(layer);
    let image = store.open_image(&layer.digest, verity.as_ref())?;
    // Before the trees are looked at: one that an earlier version unpacked may have them too.
    refuse_overlay_marks(&image, &path, layer)?;
    let damaged = |error: squashfs::Error| {
        Error::caused("", error).remedy("`lamina store verify` says how to have a damaged image again")
    };
    let paths = stacking::paths_of(image.image(), &path, damaged)?;
    store.finish_reading(&image, &layer.digest, verity.as_ref(), report);
    Ok(LayerPaths { name: layer.name.clone(), paths })
}

fn key(layers: &[Dependency]) -> Digest {
    let mut text = format!("lamina stack {FORMAT}\n");
    for layer in layers {
        text.push_str(&format!("{} {}\n", layer.name, layer.digest));
    }
    Digest::of_bytes(text)
}

fn to_json(shadows: &[Shadow]) -> Value {
    let line = |Shadow { path, seen, hidden, hiding }: &Shadow| {
        let folder = match hiding {
            Hiding::Folder { seen, hidden } => json!([seen, hidden]),
            Hiding::Entry | Hiding::OtherKind => Value::Null,
        };
        json!({ "path": path, "seen": seen.as_str(), "hidden": hidden.as_str(), "folder": folder })
    };
    shadows.iter().map(line).collect()
}

/// `None` for what this version did not write: it is found out again.
fn parse(bytes: &[u8]) -> Option<Vec<Shadow>> {
    let shadow = |value: &Value| {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let name = |key: &str| Name::parse(value[key].as_str()?).ok();
        let hiding = match &value["folder"] {
            Value::Null => Hiding::OtherKind,
            pair => Hiding::Folder { seen: text(&pair[0])?, hidden: text(&pair[1])? },
        };
        Some(Shadow { path: text(&value["path"])?, seen: name("seen")?, hidden: name("hidden")?, hiding })
    };
    serde_json::from_slice::<Value>(bytes).ok()?.as_array()?.iter().map(shadow).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_back_and_anything_else_is_not() {
        let name = |name: &str| Name::parse(name).unwrap();
        let shadow =
            |path: &str, hiding| Shadow { path: path.to_owned(), seen: name("b"), hidden: name("a"), hiding };
        let folder = Hiding::Folder { seen: "mode 0755".to_owned(), hidden: "mode 1777".to_owned() };
        for shadows in [vec![], vec![shadow("/tmp", folder), shadow("/x\n\"", Hiding::OtherKind)]] {
            let text = to_json(&shadows).to_string();
            assert_eq!(parse(text.as_bytes()), Some(shadows));
            assert_eq!(parse(&text.as_bytes()[1..]), None);
        }
        assert_eq!(parse(b"[{\"path\": 1}]"), None);
    }
}
