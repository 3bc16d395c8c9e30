//! What layers do to each other when overlayfs stacks them, found from their paths alone: files that hide others, and folders that
//! are one folder with several claims to its mode, owner and attributes (overlayfs shows those of the uppermost).

pub mod first_program;
pub mod joined;
pub mod overrides;

use std::collections::BTreeMap;
use std::path::Path;

use profiles::Name;
use squashfs::{Image, Kind, Metadata, Xattr};
use stack::overlay::MOST_LAYERS;

use crate::error::{Error, Result};
use crate::image::overlay_marks;

/// Who owns a folder and who may use it: what all layers that have it must agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    mode: u32,
    owner: (u32, u32),
    xattrs: Vec<Xattr>,
}

impl Folder {
    /// Of a folder's metadata; its time is nobody's business.
    pub fn of(metadata: &Metadata) -> Folder {
        let mut xattrs = metadata.xattrs.clone();
        xattrs.sort();
        Folder { mode: metadata.mode, owner: (metadata.uid, metadata.gid), xattrs }
    }

    /// What is not the same in both, as the words for each of them: `mode 0755` and `mode 1777`. `None` when all is.
    pub fn difference(&self, other: &Folder) -> Option<(String, String)> {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let mut tell = |mine: String, other: String| {
            if mine != other {
                ours.push(mine);
                theirs.push(other);
            }
        };
        tell(format!("mode {:04o}", self.mode), format!("mode {:04o}", other.mode));
        let owner = |(user, group): (u32, u32)| format!("owner {user}:{group}");
        tell(owner(self.owner), owner(other.owner));
        let names = self.xattrs.iter().chain(&other.xattrs).map(|xattr| xattr.name.as_slice());
        for name in names.collect::<std::collections::BTreeSet<_>>() {
            tell(self.attribute(name), other.attribute(name));
        }
        (self != other).then(|| (ours.join(", "), theirs.join(", ")))
    }

    fn attribute(&self, name: &[u8]) -> String {
        let shown = name.escape_ascii();
        match self.xattrs.iter().find(|xattr| xattr.name == name) {
            Some(xattr) => format!("{shown}=\"{}\"", xattr.value.escape_ascii()),
            None => format!("no {shown}"),
        }
    }
}

/// What a layer has at a path, as far as stacking cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// Folders of all layers are merged, when they agree.
    Folder(Folder),
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

/// A path that two layers have, and not as one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadow {
    /// The path in the system.
    pub path: String,
    /// The layer whose entry is seen.
    pub seen: Name,
    /// The layer below it.
    pub hidden: Name,
    /// What hides what.
    pub hiding: Hiding,
}

/// In what way an entry hides another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hiding {
    /// Neither is a folder.
    Entry,
    /// One is a folder, the other is not.
    OtherKind,
    /// Both are folders, which differ.
    Folder {
        /// What the folder has in the layer that is seen.
        seen: String,
        /// What it has in the other.
        hidden: String,
    },
}

impl std::fmt::Display for Shadow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Shadow { path, seen, hidden, hiding } = self;
        match hiding {
            Hiding::Entry | Hiding::OtherKind => write!(f, "{path}: {seen} hides that of {hidden}"),
            Hiding::Folder { seen: ours, hidden: theirs } => {
                write!(f, "{path}: the folder of {seen} ({ours}) hides that of {hidden} ({theirs})")
            }
        }
    }
}

/// Every path of an image; `path` names it. `damaged` words what is wrong with its squashfs.
///
/// # Errors
/// It cannot be read; an entry has an attribute on which overlayfs acts, or is a whiteout.
pub fn paths_of(
    image: &Image,
    path: &Path,
    damaged: impl Fn(squashfs::Error) -> Error,
) -> Result<Vec<(Vec<u8>, Node)>> {
    let mut contents = Vec::new();
    for item in image.walk() {
        let item = item.map_err(&damaged)?;
        overlay_marks::refuse_overlay_marks(path, &item.path, &item.metadata, &item.kind)?;
        let node = match item.kind {
            Kind::Directory => Node::Folder(Folder::of(&item.metadata)),
            _ => Node::Other,
        };
        contents.push((item.path, node));
    }
    Ok(contents)
}

/// The paths that hide something, by path; of several layers below, the nearest is named. A folder must be the same in every
/// layer that has it, because those on top may be left out.
pub fn shadows(layers: &[LayerPaths]) -> Vec<Shadow> {
    let mut below: BTreeMap<&[u8], Vec<(usize, &Node)>> = BTreeMap::new();
    let mut found: BTreeMap<&[u8], Shadow> = BTreeMap::new();
    for (layer, LayerPaths { name, paths }) in layers.iter().enumerate() {
        for (path, node) in paths {
            let others = below.entry(path).or_default();
            for (other, hidden) in others.iter().rev() {
                let hiding = match (node, hidden) {
                    (Node::Folder(ours), Node::Folder(theirs)) => match ours.difference(theirs) {
                        None => continue,
                        Some((seen, hidden)) => Hiding::Folder { seen, hidden },
                    },
                    (Node::Other, Node::Other) => Hiding::Entry,
                    _ => Hiding::OtherKind,
                };
                // Two names that are no text must not become one: a line of a profile would allow both.
                let text = std::str::from_utf8(path).map(str::to_owned);
                let path_shown = format!("/{}", text.unwrap_or_else(|_| path.escape_ascii().to_string()));
                let (seen, hidden) = (name.clone(), layers[*other].name.clone());
                found.insert(path, Shadow { path: path_shown, seen, hidden, hiding });
                break;
            }
            // As many claims as there are, and not as many as there are layers.
            if others.iter().all(|(_, other)| *other != node) || *node == Node::Other {
                others.push((layer, node));
            }
        }
    }
    found.into_values().collect()
}

/// Refuses a stack that the kernel will not join, before anything is built for it.
pub(crate) fn check_layers(object: String, whose: &str, layers: usize) -> Result<()> {
    if layers <= MOST_LAYERS {
        return Ok(());
    }
    let cause = format!("{whose} would stack {layers} layers, and the kernel joins at most {MOST_LAYERS}");
    Err(Error::new(object, cause)
        .remedy("let it need fewer packages, or make one package of several small ones"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(mode: u32) -> Node {
        Node::Folder(Folder::of(&Metadata::mode(mode)))
    }

    fn layer(name: &str, paths: &[(&str, Node)]) -> LayerPaths {
        let paths = paths.iter().map(|(path, node)| (path.as_bytes().to_vec(), node.clone())).collect();
        LayerPaths { name: Name::parse(name).unwrap(), paths }
    }

    fn shown(layers: &[LayerPaths]) -> Vec<String> {
        shadows(layers).iter().map(Shadow::to_string).collect()
    }

    #[test]
    fn folders_of_several_layers_that_agree_are_no_conflict() {
        let layers = [
            layer("a", &[("etc", folder(0o755)), ("etc/x", Node::Other)]),
            layer("b", &[("etc", folder(0o755)), ("etc/y", Node::Other)]),
        ];
        assert_eq!(shown(&layers), [] as [&str; 0]);
    }

    #[test]
    fn the_top_layer_is_seen_and_the_nearest_below_is_named() {
        let layers = [
            layer("a", &[("x", Node::Other)]),
            layer("b", &[("x", Node::Other)]),
            layer("c", &[("x", Node::Other), ("y", folder(0o755))]),
            layer("d", &[("y", Node::Other)]),
        ];
        assert_eq!(shown(&layers), ["/x: c hides that of b", "/y: d hides that of c"]);
    }

    #[test]
    fn a_folder_with_another_mode_owner_or_attribute_is_told_with_both_values() {
        let base = layer("a", &[("tmp", folder(0o1777))]);
        let over = |metadata: Metadata| {
            let other = layer("b", &[("tmp", Node::Folder(Folder::of(&metadata)))]);
            // A third layer that agrees with the second still is not as the first.
            let third = LayerPaths { name: Name::parse("c").unwrap(), ..other.clone() };
            assert_eq!(
                shown(&[base.clone(), other.clone(), third]).len(),
                shown(&[base.clone(), other.clone()]).len()
            );
            shown(&[base.clone(), other])
        };
        let same = Metadata::mode(0o1777);
        assert_eq!(over(Metadata { mtime: 7, ..same.clone() }), [] as [&str; 0]);
        assert_eq!(
            over(Metadata::mode(0o755)),
            ["/tmp: the folder of b (mode 0755) hides that of a (mode 1777)"]
        );
        assert_eq!(
            over(Metadata { uid: 3, gid: 4, ..same.clone() }),
            ["/tmp: the folder of b (owner 3:4) hides that of a (owner 0:0)"]
        );
        let xattr = |name: &str, value: &str| Xattr { name: name.into(), value: value.into() };
        assert_eq!(
            over(Metadata { xattrs: vec![xattr("user.b", "1"), xattr("user.a", "\n")], ..same }),
            ["/tmp: the folder of b (user.a=\"\\n\", user.b=\"1\") hides that of a (no user.a, no user.b)"]
        );
    }

    #[test]
    fn a_layer_that_agrees_with_the_nearest_is_compared_with_all() {
        let layers = [("a", 0o1777), ("b", 0o755), ("c", 0o755)];
        let layers = layers.map(|(name, mode)| layer(name, &[("tmp", folder(mode))]));
        assert_eq!(shown(&layers), ["/tmp: the folder of c (mode 0755) hides that of a (mode 1777)"]);
    }
}
