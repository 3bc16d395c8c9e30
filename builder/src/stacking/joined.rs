//! The layers of a stack as one tree, as the kernel shows it once they are joined.
//!
//! Links are followed from layer to layer, also in the folders on the way, as path_resolution(7) does; whiteouts and files hide what
//! lies below them, as overlayfs does.

use std::collections::{BTreeSet, VecDeque};

use squashfs::{Image, Item, Kind};

use crate::image::overlay_marks::is_whiteout;

/// So many links the kernel follows on one way (MAXSYMLINKS).
const MOST_LINKS: usize = 40;

/// What is seen at a path of the joined layers.
#[derive(Debug)]
pub struct Seen {
    /// Without links on the way, and without a leading slash; the root is empty.
    pub path: Vec<u8>,
    /// What lies there; its own path is the same.
    pub item: Item,
    /// The layer that has it, counted from the bottom.
    pub layer: usize,
}

/// Where a path leads.
#[derive(Debug)]
pub enum Way {
    /// To something.
    Found(Seen),
    /// To nothing.
    Missing {
        /// The first name that is not there, with the folders above it, none of which is a link.
        path: Vec<u8>,
        /// The names behind it.
        rest: Vec<Vec<u8>>,
    },
    /// Past something that has nothing below it, and why.
    Not(Vec<u8>, &'static str),
}

/// Layers as overlayfs joins them.
#[derive(Clone)]
pub struct Joined<'a> {
    /// The top one first, each with its place from the bottom.
    layers: Vec<(usize, &'a Image)>,
}

impl<'a> Joined<'a> {
    /// Joins `layers`; the bottom one comes first.
    pub fn new(layers: &[&'a Image]) -> Joined<'a> {
        Joined { layers: layers.iter().copied().enumerate().rev().collect() }
    }

    /// Follows `path` from the root, and every link.
    pub fn follow(&self, path: &[u8]) -> Result<Way, squashfs::Error> {
        self.walk(path, true).map(|(way, _)| way)
    }

    /// Follows `path`, but not a link at its end.
    pub fn follow_to(&self, path: &[u8]) -> Result<Way, squashfs::Error> {
        self.walk(path, false).map(|(way, _)| way)
    }

    /// The names in the folder that `path` leads to, sorted; none where there is no folder.
    pub fn names(&self, path: &[u8]) -> Result<BTreeSet<Vec<u8>>, squashfs::Error> {
        let (Way::Found(Seen { path: folder, .. }), joined) = self.walk(path, true)? else {
            return Ok(BTreeSet::new());
        };
        let mut names = BTreeSet::new();
        for (_, image) in &joined {
            for item in image.walk() {
                let item = item?;
                let below = item.path.strip_prefix(folder.as_slice());
                let below =
                    if folder.is_empty() { below } else { below.and_then(|path| path.strip_prefix(b"/")) };
                names.extend(
                    below.filter(|name| !name.is_empty() && !name.contains(&b'/')).map(<[u8]>::to_vec),
                );
            }
        }
        Ok(names)
    }

    /// The bytes of a file that was found; `None` when it is no file, or one of more than `most` bytes.
    pub fn read(&self, seen: &Seen, most: u64) -> Result<Option<Vec<u8>>, squashfs::Error> {
        let image = self.layers.iter().find(|(layer, _)| *layer == seen.layer);
        match (&seen.item.kind, image) {
            (Kind::File(data), Some((_, image))) if data.len() <= most => {
                image.read(&seen.item.path).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Where `path` leads, and, of a folder, the layers that it is joined from.
    fn walk(&self, path: &[u8], last_too: bool) -> Result<(Way, Part<'a>), squashfs::Error> {
        let mut ahead: VecDeque<Vec<u8>> = components(path).into();
        // Each folder on the way with the layers that it is joined from, the top one first.
        let mut here = vec![(self.root()?, self.layers.clone())];
        let (mut links, none) = (0, Vec::new);
        while let Some(name) = ahead.pop_front() {
            if name == b".." {
                // The root is above itself.
                here.truncate((here.len() - 1).max(1));
                continue;
            }
            let Some((folder, joined)) = here.last() else { break };
            let below =
                if folder.path.is_empty() { name } else { [folder.path.as_slice(), &name].join(&b'/') };
            let (found, joined) = seen(joined, &below)?;
            let Some(found) = found else {
                return Ok((Way::Missing { path: below, rest: ahead.into() }, none()));
            };
            match &found.item.kind {
                Kind::Directory => here.push((found, joined)),
                Kind::Symlink(target) if last_too || !ahead.is_empty() => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Ok((Way::Not(below, "is one of too many links"), none()));
                    }
                    if target.starts_with(b"/") {
                        here.truncate(1);
                    }
                    components(target).into_iter().rev().for_each(|name| ahead.push_front(name));
                }
                _ if !ahead.is_empty() => return Ok((Way::Not(below, "is no folder"), none())),
                _ => return Ok((Way::Found(found), none())),
            }
        }
        let (folder, joined) = here.pop().map_or_else(|| Ok((self.root()?, none())), Ok)?;
        Ok((Way::Found(folder), joined))
    }

    fn root(&self) -> Result<Seen, squashfs::Error> {
        let item = |(layer, image): &(usize, &Image)| {
            image.find(b"").map(|item| item.map(|item| Seen { path: Vec::new(), item, layer: *layer }))
        };
        let found = self.layers.first().map(item).transpose()?.flatten();
        Ok(found.unwrap_or_else(|| Seen { path: Vec::new(), item: empty_root(), layer: 0 }))
    }
}

/// Layers from the top down, each with its place from the bottom.
type Part<'a> = Vec<(usize, &'a Image)>;

/// Of a stack without layers.
fn empty_root() -> Item {
    let metadata = squashfs::Metadata::mode(0o755);
    Item { path: Vec::new(), metadata, kind: Kind::Directory, identity: 0, links: 2 }
}

fn components(path: &[u8]) -> Vec<Vec<u8>> {
    let names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".");
    names.map(<[u8]>::to_vec).collect()
}

/// What is seen at a path, and, of a folder, the layers that it is joined from.
fn seen<'a>(joined: &Part<'a>, path: &[u8]) -> Result<(Option<Seen>, Part<'a>), squashfs::Error> {
    let (mut top, mut parts) = (None, Vec::new());
    for (layer, image) in joined {
        let (path, layer) = (path.to_vec(), *layer);
        match image.find(&path)? {
            None => {}
            Some(item) if matches!(item.kind, Kind::Directory) => {
                top.get_or_insert(Seen { path, item, layer });
                parts.push((layer, *image));
            }
            Some(item) => {
                let whiteout = is_whiteout(&item.kind);
                if top.is_none() && !whiteout {
                    top = Some(Seen { path, item, layer });
                }
                // It hides what is below it, and a folder above it is joined with nothing further down.
                break;
            }
        }
    }
    Ok((top, parts))
}
