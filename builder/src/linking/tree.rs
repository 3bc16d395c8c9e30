//! The programs and libraries of layers as one tree, as far as paths lead to them: as the kernel shows it once some of the layers are joined.
//!
//! [`crate::stacking::joined`] answers the same from the images, one path in a millisecond; here are thousands of paths to follow.

use std::collections::{HashMap, HashSet, VecDeque};

use super::facts::{ElfFile, ImageFacts};
use crate::stacking::Node;

/// So many links the kernel follows on one way (MAXSYMLINKS).
const MOST_LINKS: usize = 40;

/// What a layer has at a path.
#[derive(Debug, Clone, Copy)]
pub(super) enum Here<'a> {
    Folder,
    Link(&'a str),
    Elf(&'a ElfFile),
    /// It begins as ELF, and why it is none.
    Broken(&'a str),
    /// Anything else hides what lies below it.
    Other,
}

/// What lies at the end of a path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) here: Here<'a>,
    /// The layer that has it, from the bottom.
    pub(super) layer: usize,
}

/// Some layers joined: those up to `highest`, and perhaps one of those that can be added.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub(super) highest: usize,
    pub(super) added: Option<usize>,
}

impl View {
    /// Whether this layer is there.
    pub(super) fn has(self, layer: usize) -> bool {
        layer <= self.highest || self.added == Some(layer)
    }
}

/// The programs and libraries of a layer, and all its paths where these are known.
pub(super) type Contents<'a> = (&'a ImageFacts, &'a [(Vec<u8>, Node)]);

/// What all layers have, by path, the bottom one first.
pub(super) struct Tree<'a> {
    at: HashMap<&'a str, Vec<(usize, Here<'a>)>>,
}

impl<'a> Tree<'a> {
    /// The bottom layer comes first.
    pub(super) fn of(layers: &[Contents<'a>]) -> Tree<'a> {
        let mut known: Vec<(usize, &'a str, Here<'a>)> = Vec::new();
        for (layer, (facts, _)) in layers.iter().enumerate() {
            known.extend(facts.files.iter().map(|file| (layer, file.path.as_str(), Here::Elf(file))));
            let broken = facts.unreadable.iter();
            known.extend(broken.map(|it| (layer, it.path.as_str(), Here::Broken(&it.why))));
            known.extend(facts.links.iter().map(|(path, to)| (layer, path.as_str(), Here::Link(to))));
        }
        let mut at: HashMap<&'a str, Vec<(usize, Here<'a>)>> = HashMap::with_capacity(known.len());
        let mut folders: HashSet<(usize, &'a str)> = HashSet::new();
        for (layer, path, here) in known {
            at.entry(path).or_default().push((layer, here));
            let mut above = path;
            while let Some((folder, _)) =
                above.rsplit_once('/').filter(|(folder, _)| folders.insert((layer, folder)))
            {
                at.entry(folder).or_default().push((layer, Here::Folder));
                above = folder;
            }
        }
        // What has nothing to do with loading matters where it hides what has.
        for (layer, (_, paths)) in layers.iter().enumerate() {
            for (path, node) in *paths {
                let Some(entries) = std::str::from_utf8(path).ok().and_then(|path| at.get_mut(path)) else {
                    continue;
                };
                if entries.iter().all(|(other, _)| *other != layer) {
                    let here = if matches!(node, Node::Folder(_)) { Here::Folder } else { Here::Other };
                    entries.push((layer, here));
                }
            }
        }
        at.values_mut().for_each(|entries| entries.sort_by_key(|(layer, _)| *layer));
        Tree { at }
    }

    /// Follows `path` from the root, and every link.
    pub(super) fn follow(&self, view: View, path: &str) -> Option<Found<'a>> {
        let mut ahead: VecDeque<&'a str> = VecDeque::new();
        let mut names: VecDeque<&str> = components(path).collect();
        // Each folder on the way, and the lowest layer that still counts below it.
        let mut way: Vec<(String, usize)> = vec![(String::new(), 0)];
        let mut links = 0;
        while let Some(name) = ahead.pop_front().or_else(|| names.pop_front()) {
            if name == ".." {
                way.truncate((way.len() - 1).max(1));
                continue;
            }
            let (folder, lowest) = way.last()?;
            let below = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            let (found, lowest) = self.seen(view, &below, *lowest)?;
            match found.here {
                Here::Folder => way.push((below, lowest)),
                Here::Link(target) => {
                    links += 1;
                    if links > MOST_LINKS {
                        return None;
                    }
                    if target.starts_with('/') {
                        way.truncate(1);
                    }
                    components(target).rev().for_each(|name| ahead.push_front(name));
                }
                _ if ahead.is_empty() && names.is_empty() => return Some(found),
                _ => return None,
            }
        }
        None
    }

    /// What is seen at a path, and, of a folder, the lowest layer that it is joined from.
    fn seen(&self, view: View, path: &str, lowest: usize) -> Option<(Found<'a>, usize)> {
        let entries = self.at.get(path)?.iter().rev();
        let mut entries = entries.filter(|(layer, _)| view.has(*layer) && *layer >= lowest);
        let (layer, here) = *entries.next()?;
        let hiding = entries.find(|(_, below)| !matches!(below, Here::Folder));
        Some((Found { here, layer }, hiding.map_or(lowest, |(layer, _)| layer + 1)))
    }
}

fn components(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|name| !name.is_empty() && *name != ".")
}
