//! `lamina deps`: what a package needs to be built and to run, each in the version that it comes to, and who needs it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use serde_json::{Value, json};

use super::context::Context;
use super::store::choice_as_json;
use super::targets::{self, OnePackage};
use super::{at_most_one, print, print_json};
use crate::choice::{Asker, Wishes};
use crate::collection::roots::requests_of_tree;
use crate::error::Result;
use crate::graph::edges::{Edge, Needs, Phase};
use crate::graph::{Graph, Package, Request};
use crate::store::Store;

/// Show what a package needs to be built and to run, as a tree: each package with its version and who has decided about it, the choices
/// that differ from its defaults, its id, and whether it is built.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "deps",
    example = "lamina deps dropbear\nlamina deps curl tls=libressl --run",
    example = "lamina deps zlib --reverse",
    note = "What is shown was decided as `lamina build` with the same words would decide it. A package that stands there twice has what it needs \
below it the first time only.",
    note = "--reverse looks at the whole tree: all its packages with their defaults, and its profiles. With choices or a version it is about \
that build alone."
)]
pub struct Deps {
    /// a package, and choices behind it: +NAME, -NAME, NAME=VALUE
    #[argh(positional)]
    package: Vec<String>,
    /// only what it needs to run
    #[argh(switch)]
    run: bool,
    /// only what it needs to be built
    #[argh(switch)]
    build: bool,
    /// a list without edges, in an order in which it can be built
    #[argh(switch)]
    flat: bool,
    /// who in the tree needs it, in place of what it needs
    #[argh(switch)]
    reverse: bool,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

/// Packages and who needs whom, as they are shown.
struct Shown<'g> {
    graph: &'g Graph,
    store: Store,
    /// Where the tree begins.
    roots: Vec<usize>,
    /// For each package, those that stand below it in the tree.
    below: BTreeMap<usize, Vec<Edge<'g>>>,
    /// Whether the edges lead to those who need something.
    reverse: bool,
}

/// A tree, as far as it is drawn.
#[derive(Default)]
struct Drawn {
    lines: Vec<String>,
    seen: BTreeSet<usize>,
    /// The layers at the bottom of builds.
    bottoms: BTreeSet<usize>,
}

impl Deps {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        at_most_one(&[("--run", self.run), ("--build", self.build)])?;
        let target = targets::one(&self.package)?;
        match self.reverse {
            true => self.needed_by(context, &target),
            false => self.needs(context, target),
        }
    }

    fn phase(&self) -> Option<Phase> {
        match (self.run, self.build) {
            (true, _) => Some(Phase::Run),
            (_, true) => Some(Phase::Build),
            _ => None,
        }
    }

    fn needs(&self, context: &Context, target: OnePackage) -> Result<ExitCode> {
        let (graph, roots) = Graph::resolve(&context.recipes()?, &[request(target)])?;
        let needs: Needs<'_> = graph.needs(roots[0], self.phase())?;
        let below = needs.in_build_order().map(|index| (index, needs.of(index).to_vec())).collect();
        self.show(&Shown { graph: &graph, store: context.store()?, roots, below, reverse: false })
    }

    fn needed_by(&self, context: &Context, target: &OnePackage) -> Result<ExitCode> {
        let recipes = context.recipes()?;
        recipes.folder_of(&target.name)?;
        let mut requests = requests_of_tree(&recipes, &context.profiles()?)?;
        let is_one = !target.choices.is_empty() || !target.version.is_any();
        if is_one {
            requests.push(request(target.clone()));
        }
        let (graph, roots) = Graph::resolve(&recipes, &requests)?;
        let meant = roots.last().filter(|_| is_one).map(|index| graph.packages()[*index].id);
        let is_meant = |package: &Package| {
            package.recipe.name == target.name && meant.is_none_or(|meant| meant == package.id)
        };
        let mut below = graph.needed_by(is_meant);
        if let Some(phase) = self.phase() {
            let is_meant = |edge: &Edge<'_>| edge.purpose.is_to_build() == (phase == Phase::Build);
            below.values_mut().for_each(|edges| edges.retain(is_meant));
        }
        let all = graph.packages().iter().enumerate();
        let roots = all.filter(|(_, package)| is_meant(package)).map(|(index, _)| index).collect();
        self.show(&Shown { graph: &graph, store: context.store()?, roots, below, reverse: true })
    }

    fn show(&self, shown: &Shown<'_>) -> Result<ExitCode> {
        match (self.json, self.flat) {
            (true, _) => print_json(&shown.as_json()?)?,
            (false, true) => {
                shown.in_order().into_iter().try_for_each(|index| print(shown.package(index)?))?
            }
            (false, false) => print(shown.tree()?.join("\n"))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn request(target: OnePackage) -> Request {
    let wishes = Wishes { choices: target.choices, by: Asker::CommandLine };
    Request { wishes, condition: target.version, ..Request::plain(target.name) }
}

impl<'g> Shown<'g> {
    /// The package at the other end of an edge.
    fn end(&self, edge: &Edge<'_>) -> usize {
        if self.reverse { edge.from } else { edge.to }
    }

    /// All that the tree shows, dependencies first.
    fn in_order(&self) -> Vec<usize> {
        let (mut found, mut waiting) = (BTreeSet::new(), self.roots.clone());
        while let Some(index) = waiting.pop() {
            if found.insert(index) {
                waiting.extend(self.edges(index).iter().map(|edge| self.end(edge)));
            }
        }
        found.into_iter().collect()
    }

    fn edges(&self, index: usize) -> &[Edge<'g>] {
        self.below.get(&index).map(Vec::as_slice).unwrap_or_default()
    }

    fn tree(&self) -> Result<Vec<String>> {
        let mut drawn = Drawn::default();
        self.roots.iter().try_for_each(|root| self.draw(*root, (0, ""), &mut drawn))?;
        for bottom in drawn.bottoms {
            drawn.lines.push(format!("{}  at the bottom of these builds", self.package(bottom)?));
        }
        Ok(drawn.lines)
    }

    /// Draws a package, what it is needed for, and what stands below it.
    fn draw(&self, index: usize, (depth, needed_for): (usize, &str), drawn: &mut Drawn) -> Result<()> {
        let before = format!("{}{needed_for}", "  ".repeat(depth));
        if !drawn.seen.insert(index) {
            let Package { recipe, .. } = &self.graph.packages()[index];
            drawn.lines.push(format!("{before}{} {}  as above", recipe.name, recipe.version));
            return Ok(());
        }
        drawn.lines.push(format!("{before}{}", self.package(index)?));
        let indent = "  ".repeat(depth + 1);
        let profiles = if self.reverse { self.profiles(index) } else { Vec::new() };
        if self.reverse && depth == 0 && profiles.is_empty() && self.edges(index).is_empty() {
            drawn.lines.push(format!("{indent}nobody in this tree needs it"));
        }
        drawn.lines.extend(profiles.into_iter().map(|line| format!("{indent}{line}")));
        for (end, needed_for) in self.ends(index, &mut drawn.bottoms) {
            self.draw(end, (depth + 1, &format!("{} ", needed_for.join("+"))), drawn)?;
        }
        Ok(())
    }

    /// What stands below a package, each once, with what it is needed for. The bottom of builds, which would stand below every package, is put
    /// aside.
    fn ends(&self, index: usize, bottoms: &mut BTreeSet<usize>) -> Vec<(usize, Vec<&'static str>)> {
        let mut ends: Vec<(usize, Vec<&str>)> = Vec::new();
        for edge in self.edges(index) {
            let (end, purpose) = (self.end(edge), edge.purpose.as_str());
            if edge.asked.is_none() && !self.reverse {
                bottoms.insert(end);
                continue;
            }
            match ends.iter_mut().find(|(there, _)| *there == end) {
                Some((_, words)) if words.contains(&purpose) => {}
                Some((_, words)) => words.push(purpose),
                None => ends.push((end, vec![purpose])),
            }
        }
        ends
    }

    /// The lines of profiles that ask for a package.
    fn profiles(&self, index: usize) -> Vec<String> {
        let asked = self.graph.packages()[index].asked.iter();
        let spans = asked.filter_map(|request| match &request.wishes.by {
            Asker::Profile(span) => Some(format!("profile at {span}")),
            _ => None,
        });
        spans.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// `zlib 1.3 +shared (the newest)  id 0123456789ab  built`.
    fn package(&self, index: usize) -> Result<String> {
        let package = &self.graph.packages()[index];
        let version = package.version_text();
        let (version, why) = version.split_once(' ').unwrap_or((&version, ""));
        let choices: String = package.chosen().map(|word| format!(" {word}")).collect();
        let built = if self.is_built(package)? { "built" } else { "not built" };
        let id = &package.id.hex()[..12];
        Ok(format!("{} {version}{choices} {why}  id {id}  {built}", package.recipe.name))
    }

    fn is_built(&self, package: &Package) -> Result<bool> {
        Ok(self.store.finished_build(&package.id)?.is_some())
    }

    fn as_json(&self) -> Result<Value> {
        let order = self.in_order();
        let id = |index: usize| self.graph.packages()[index].id.hex();
        let packages = order.iter().map(|index| self.package_as_json(*index)).collect::<Result<Vec<_>>>()?;
        let edges = order.iter().flat_map(|index| self.edges(*index)).map(|edge| {
            json!({
                "from": id(edge.from),
                "to": id(edge.to),
                "for": edge.purpose.as_str(),
                "asked": edge.asked.map(ToString::to_string),
                "at": edge.asked.map(|asked| asked.span.to_string()),
            })
        });
        let edges: Vec<Value> = edges.collect();
        let roots: Vec<String> = self.roots.iter().map(|root| id(*root)).collect();
        Ok(json!({ "roots": roots, "packages": packages, "edges": edges }))
    }

    fn package_as_json(&self, index: usize) -> Result<Value> {
        let package = &self.graph.packages()[index];
        let choices: BTreeMap<&str, Value> =
            package.selection.iter().map(|(name, choice)| (name, choice_as_json(choice))).collect();
        Ok(json!({
            "name": package.recipe.name.as_str(),
            "version": package.recipe.version.as_str(),
            "why": package.version_why(),
            "versions": package.versions.all().iter().map(|it| it.version.as_str()).collect::<Vec<_>>(),
            "choices": choices,
            "differs": package.chosen().collect::<Vec<_>>(),
            "id": package.id.hex(),
            "built": self.is_built(package)?,
            "profiles": if self.reverse { self.profiles(index) } else { Vec::new() },
        }))
    }
}
