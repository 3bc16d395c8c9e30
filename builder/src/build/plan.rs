//! What a build will do, decided before anything is done.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fmt;

use profiles::Name;

use crate::error::Result;
use crate::graph::{Graph, Package};
use crate::recipe::Making;
use crate::stacking::check_layers;
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
        let earlier = Earlier::of(store);
        let mut waiting = wanted.to_vec();
        while let Some(index) = waiting.pop() {
            if actions[index].is_some() {
                continue;
            }
            let package = &graph.packages()[index];
            let action = match store.finished_build(&package.id)? {
                Some(record) => Action::Keep(Box::new(record)),
                None => Action::Build(reason(graph, package, &earlier)?),
            };
            if matches!(action, Action::Build(_)) {
                check_layers(
                    format!("package {}", package.recipe.name),
                    "its build",
                    package.build_root.len(),
                )?;
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

/// The records of earlier builds by the name of their package, read once, when the first is asked for.
struct Earlier<'a> {
    store: &'a Store,
    records: OnceCell<Result<BTreeMap<Name, Vec<BuildRecord>>>>,
}

impl<'a> Earlier<'a> {
    fn of(store: &'a Store) -> Self {
        Earlier { store, records: OnceCell::new() }
    }

    fn named(&self, name: &Name) -> Result<&[BuildRecord]> {
        let read = || {
            let mut by_name: BTreeMap<Name, Vec<BuildRecord>> = BTreeMap::new();
            for record in self.store.records()?.sound {
                by_name.entry(record.name.clone()).or_default().push(record);
            }
            Ok(by_name)
        };
        let records = self.records.get_or_init(read).as_ref().map_err(Clone::clone)?;
        Ok(records.get(name).map(Vec::as_slice).unwrap_or_default())
    }
}

/// Why a package is built: its first time, a lost image, or what differs from the build of its name that is most like it.
fn reason(graph: &Graph, package: &Package, earlier: &Earlier<'_>) -> Result<String> {
    match earlier.store.record(&package.id) {
        Ok(Some(_)) => return Ok("its image is missing or has another size".to_owned()),
        Err(finding) => return Ok(format!("its record is damaged ({})", finding.cause())),
        Ok(None) => {}
    }
    let known = earlier.named(&package.recipe.name)?;
    let fewest = known.iter().map(|record| differences(graph, package, record)).min_by_key(Vec::len);
    Ok(match fewest {
        None => "never built".to_owned(),
        Some(list) if list.is_empty() && matches!(package.recipe.making, Making::Debian) => {
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
    if record.variant.as_deref() != package.selection.variant() {
        list.push("another variant".to_owned());
    }
    if !record.features.iter().map(|(name, choice)| (name.as_str(), choice)).eq(package.selection.features())
    {
        list.push("other features".to_owned());
    }
    let mut sources: Vec<_> = package.instructions.sources.iter().map(|source| source.sha256).collect();
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
