//! What a build will do, decided before anything is done.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::Result;
use crate::graph::{Graph, Package};
use crate::recipe::Making;
use crate::store::{BuildRecord, Store};

/// What is to be done about one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Its image is in the store.
    Keep(Box<BuildRecord>),
    /// It is built, for a reason.
    Build(String),
}

/// The steps of a build, dependencies first.
#[derive(Debug, Clone)]
pub struct Plan<'a> {
    /// The packages.
    pub graph: &'a Graph,
    /// For each package of the graph, what is to be done; `None` when the request does not need its image.
    pub actions: Vec<Option<Action>>,
}

impl<'a> Plan<'a> {
    /// Looks into the store. `wanted` are the packages whose images shall be there; others are built only as far as those
    /// builds need them.
    pub fn make(graph: &'a Graph, wanted: &[usize], store: &Store) -> Result<Self> {
        let mut actions = vec![None; graph.packages().len()];
        let mut waiting = wanted.to_vec();
        while let Some(index) = waiting.pop() {
            if actions[index].is_some() {
                continue;
            }
            let package = &graph.packages()[index];
            let action = match store.finished_build(&package.id)? {
                Some(record) => Action::Keep(Box::new(record)),
                None => Action::Build(reason(graph, package, store)?),
            };
            if matches!(action, Action::Build(_)) {
                waiting.extend(&package.build_root);
            }
            actions[index] = Some(action);
        }
        Ok(Plan { graph, actions })
    }

    /// The packages to build, dependencies first.
    pub fn to_build(&self) -> Vec<usize> {
        let is_build = |index: &usize| matches!(self.actions[*index], Some(Action::Build(_)));
        (0..self.actions.len()).filter(is_build).collect()
    }

    /// The records of the packages that need nothing, by index into the graph.
    pub fn kept(&self) -> BTreeMap<usize, BuildRecord> {
        let record = |(index, action): (usize, &Option<Action>)| match action {
            Some(Action::Keep(record)) => Some((index, (**record).clone())),
            _ => None,
        };
        self.actions.iter().enumerate().filter_map(record).collect()
    }
}

impl fmt::Display for Plan<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (package, action) in self.graph.packages().iter().zip(&self.actions) {
            let (name, version) = (&package.recipe.name, &package.recipe.version);
            let short = &package.id.hex()[..12];
            match action {
                Some(Action::Build(reason)) => writeln!(out, "build {name} {version} ({short}): {reason}")?,
                Some(Action::Keep(_)) => writeln!(out, "keep  {name} {version} ({short})")?,
                None => {}
            }
        }
        Ok(())
    }
}

/// Why a package is built: its first time, a lost image, or what differs from the last build of its name.
fn reason(graph: &Graph, package: &Package, store: &Store) -> Result<String> {
    match store.record(&package.id) {
        Ok(Some(_)) => return Ok("its image is missing or has another size".to_owned()),
        Err(finding) => return Ok(format!("its record is damaged ({})", finding.cause)),
        Ok(None) => {}
    }
    let same_name = |record: &BuildRecord| record.name == package.recipe.name;
    let earlier: Vec<BuildRecord> = store.records()?.sound.into_iter().filter(same_name).collect();
    let fewest = earlier.iter().map(|record| differences(graph, package, record)).min_by_key(Vec::len);
    Ok(match fewest {
        None => "never built".to_owned(),
        Some(list) if list.is_empty() && package.recipe.making == Making::Debian => {
            "its Debian packages changed".to_owned()
        }
        Some(list) if list.is_empty() => "its steps, patches or files changed".to_owned(),
        Some(list) => list.join(", "),
    })
}

fn differences(graph: &Graph, package: &Package, record: &BuildRecord) -> Vec<String> {
    let mut list = Vec::new();
    if record.version != package.recipe.version.as_str() {
        list.push(format!("version {} instead of {}", package.recipe.version, record.version));
    }
    if record.variant != package.selection.variant {
        list.push("another variant".to_owned());
    }
    if record.features != package.selection.features {
        list.push("other features".to_owned());
    }
    let mut sources: Vec<_> = package.recipe.sources.iter().map(|source| source.sha256).collect();
    let mut recorded: Vec<_> = record.sources.iter().map(|source| source.sha256).collect();
    sources.sort();
    recorded.sort();
    if sources != recorded {
        list.push("other sources".to_owned());
    }
    let layers = package.build_root.iter().map(|index| &graph.packages()[*index]);
    let changed = layers.filter(|layer| !record.build_root.iter().any(|known| known.id == layer.id));
    list.extend(changed.map(|layer| format!("{} changed", layer.recipe.name)));
    list
}
