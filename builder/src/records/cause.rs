//! Why a package comes to another id than a build of it in the store: what has changed of itself, and of all that it is built with, down
//! to where it began.

use std::collections::BTreeSet;

use profiles::{Digest, Name};

use super::difference::{BOOTSTRAP, Difference};
use super::known_text::{KnownTexts, Origin, layer_of};
use super::words;
use crate::graph::{Graph, Package};

/// What has changed, the packages first that others are built with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Why {
    /// The packages of which more has changed than what they are built with.
    pub causes: Vec<Cause>,
    /// The packages between these and the one at hand: they are other builds because what they are built with is another.
    pub through: Vec<Name>,
}

/// What has changed of one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The package.
    pub package: Name,
    /// In words: `version 1.3 in place of 1.2`.
    pub changes: Vec<String>,
}

/// Builds of a store, held against what the recipes give.
#[derive(Debug)]
pub struct Comparison<'a> {
    /// What the recipes give.
    pub graph: &'a Graph,
    /// What is known of the builds.
    pub texts: &'a KnownTexts<'a>,
}

impl Comparison<'_> {
    /// Why the package `index` of the graph is not the build `before`.
    pub fn why(&self, index: usize, before: &Digest) -> Why {
        let mut search = Search { comparison: self, seen: BTreeSet::new(), why: Why::default() };
        search.visit(index, before);
        let name = &self.graph.packages()[index].recipe.name;
        search.why.through.retain(|through| through != name);
        search.why
    }

    /// How many lines differ, as far as they are known.
    pub fn distance(&self, index: usize, before: &Digest) -> usize {
        let now = &self.graph.packages()[index].canonical;
        let known = self.texts.of(before, now).ok().flatten();
        known.map_or(usize::MAX, |known| known.against(now).lines())
    }
}

/// What is said where a record has the same as the recipe gives now, and the id is another.
const ALL_UNKNOWN: &str = "its steps, patches, files or what it needs to run changed";
/// What is said besides where it has something else.
const MORE_UNKNOWN: &str = "more may have changed";

/// A search in progress. It goes no deeper than the graph, whose depth is limited.
struct Search<'a> {
    comparison: &'a Comparison<'a>,
    seen: BTreeSet<(Digest, usize)>,
    why: Why,
}

impl Search<'_> {
    fn visit(&mut self, index: usize, before: &Digest) {
        if !self.seen.insert((*before, index)) {
            return;
        }
        let package = &self.comparison.graph.packages()[index];
        let changes = match self.comparison.texts.of(before, &package.canonical) {
            Ok(Some(known)) => {
                let difference = known.against(&package.canonical);
                self.visit_layers(package, &difference);
                let mut changes: Vec<String> = difference.groups.iter().flat_map(words::of_group).collect();
                if known.origin == Origin::RecordAlone {
                    let more = if difference.groups.is_empty() { ALL_UNKNOWN } else { MORE_UNKNOWN };
                    changes.push(format!("{more} (an older record: the text of its id was not kept)"));
                }
                changes
            }
            Ok(None) => vec![format!("was {}, of which the store has no record", &before.hex()[..12])],
            Err(error) => vec![format!("was another build; {} {}", error.object(), error.cause())],
        };
        let package = package.recipe.name.clone();
        match changes.is_empty() {
            true if !self.why.through.contains(&package) => self.why.through.push(package),
            true => {}
            false => self.why.causes.push(Cause { package, changes }),
        }
    }

    /// Looks into the layers that are there before and after and are not the same build.
    fn visit_layers(&mut self, package: &Package, difference: &Difference) {
        for change in difference.groups.iter().flat_map(|group| &group.changes) {
            let (before, after) = (change.before().and_then(layer_of), change.after().and_then(layer_of));
            if let (Some((_, before)), Some((name, _))) = (before, after)
                && let Some(index) = layer(self.comparison.graph, package, name)
            {
                self.visit(index, &before);
            }
        }
    }
}

/// The layer of this name under a build, as an index into the graph.
pub fn layer(graph: &Graph, package: &Package, name: &str) -> Option<usize> {
    let mut layers = package.build_root.iter().copied();
    match name {
        BOOTSTRAP => layers.next(),
        name => layers.skip(1).find(|index| graph.packages()[*index].recipe.name.as_str() == name),
    }
}
