//! Who needs whom: what one package is built with and runs on, and who is built with it or runs on it.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Graph, Package};
use crate::error::Result;
use crate::recipe::{Dependency, Making};

/// What a package is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// For being linked with: it is a layer under the build, and what it is linked with itself may come along.
    Link,
    /// For a build: it is a layer under that.
    Build,
    /// For running: it is below in every system.
    Run,
}

impl Purpose {
    /// Whether it is needed when the package is built, and not when it runs.
    pub fn is_to_build(self) -> bool {
        matches!(self, Purpose::Link | Purpose::Build)
    }

    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Purpose::Link => "link",
            Purpose::Build => "build",
            Purpose::Run => "run",
        }
    }
}

/// When something is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// When a package is built.
    Build,
    /// When it runs.
    Run,
}

/// That one package needs another.
#[derive(Debug, Clone, Copy)]
pub struct Edge<'g> {
    /// Who needs.
    pub from: usize,
    /// What is needed, in the build that is taken there.
    pub to: usize,
    /// For what.
    pub purpose: Purpose,
    /// The line of the recipe that says so; none says it of the layer at the bottom.
    pub asked: Option<&'g Dependency>,
}

/// Which build a name stands for in one root.
type Taken = Rc<BTreeMap<String, usize>>;

/// All that one package needs.
#[derive(Debug)]
pub struct Needs<'g> {
    edges: BTreeMap<usize, Vec<Edge<'g>>>,
}

impl Graph {
    /// What `root` needs for what is `meant`, or for everything; and what these need in their turn.
    ///
    /// # Errors
    /// Two of those that it needs to run ask for what excludes each other.
    pub fn needs(&self, root: usize, meant: Option<Phase>) -> Result<Needs<'_>> {
        let mut needs = Needs { edges: BTreeMap::new() };
        let stack = match meant {
            Some(Phase::Build) => Vec::new(),
            _ => self.stack(&[root])?,
        };
        let mut waiting = vec![(root, self.taken(&stack))];
        while let Some((index, taken)) = waiting.pop() {
            if needs.edges.contains_key(&index) {
                continue;
            }
            let is_meant = |edge: &Edge<'_>| match meant {
                // What a layer needs to run must be under the build too.
                Some(Phase::Build) => index != root || edge.purpose.is_to_build(),
                Some(Phase::Run) => !edge.purpose.is_to_build(),
                None => true,
            };
            let edges: Vec<Edge<'_>> = self.edges(index, &taken).into_iter().filter(is_meant).collect();
            let own = self.taken(&self.packages[index].build_root);
            // The last is looked at first: what runs in this root is, before the same name in another.
            for edge in &edges {
                let there = if edge.purpose.is_to_build() { &own } else { &taken };
                waiting.push((edge.to, Rc::clone(there)));
            }
            needs.edges.insert(index, edges);
        }
        Ok(needs)
    }

    /// Who needs the packages for which `is_meant` holds, and who needs these: for each that is needed, by whom.
    pub fn needed_by(&self, is_meant: impl Fn(&Package) -> bool) -> BTreeMap<usize, Vec<Edge<'_>>> {
        let mut above: BTreeMap<usize, Vec<Edge<'_>>> = BTreeMap::new();
        for index in 0..self.packages.len() {
            for edge in self.edges(index, &self.taken(&[])) {
                above.entry(edge.to).or_default().push(edge);
            }
        }
        let meant = self.packages.iter().enumerate().filter(|(_, package)| is_meant(package));
        let mut waiting: Vec<usize> = meant.map(|(index, _)| index).collect();
        let mut found = BTreeMap::new();
        while let Some(index) = waiting.pop() {
            found.entry(index).or_insert_with(|| {
                let edges = above.remove(&index).unwrap_or_default();
                waiting.extend(edges.iter().map(|edge| edge.from));
                edges
            });
        }
        found
    }

    fn taken(&self, layers: &[usize]) -> Taken {
        let name = |index: &usize| (self.packages[*index].recipe.name.as_str().to_owned(), *index);
        Rc::new(layers.iter().map(name).collect())
    }

    /// What one package needs itself, where `taken` says which build a name stands for when it runs.
    fn edges(&self, from: usize, taken: &Taken) -> Vec<Edge<'_>> {
        let package = &self.packages[from];
        let own = self.taken(&package.build_root);
        let bottom = package.build_root.first().filter(|_| package.has_bootstrap());
        let bottom = bottom.map(|to| Edge { from, to: *to, purpose: Purpose::Build, asked: None });
        let libraries = package.instructions.libraries.iter().map(|it| (Purpose::Link, &it.dependency));
        let build = package.instructions.build_depends.iter().map(|asked| (Purpose::Build, asked));
        let build = libraries.chain(build).filter_map(|(purpose, asked)| {
            let to = *own.get(asked.name.as_str())?;
            Some(Edge { from, to, purpose, asked: Some(asked) })
        });
        let run = package.run_depends.iter().zip(&package.depends).map(|(asked, index)| {
            let to = taken.get(asked.name.as_str()).copied().unwrap_or(*index);
            Edge { from, to, purpose: Purpose::Run, asked: Some(asked) }
        });
        bottom.into_iter().chain(build).chain(run).collect()
    }
}

impl Package {
    /// Whether its lowest layer is a bootstrap layer: it is built in steps.
    fn has_bootstrap(&self) -> bool {
        matches!(self.recipe.making, Making::Steps(_))
    }
}

impl<'g> Needs<'g> {
    /// What one package of these needs itself, in the order of its recipe.
    pub fn of(&self, index: usize) -> &[Edge<'g>] {
        self.edges.get(&index).map(Vec::as_slice).unwrap_or_default()
    }

    /// All packages of these, in an order in which they can be built.
    pub fn in_build_order(&self) -> impl Iterator<Item = usize> {
        self.edges.keys().copied()
    }
}
