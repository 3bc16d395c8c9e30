//! From what is asked for to what that needs, one package after the other: a pass without a solver.

use std::collections::BTreeMap;
use std::sync::Arc;

use profiles::linkage::LINKAGE;
use profiles::{Choice, Digest, Name};

use super::package_id::Ingredients;
use super::settle::{OneOfEach, needs};
use super::{Beside, Graph, Package, Place, Request};
use crate::choice::linkage::Linkage;
use crate::choice::{Asker, Selection, Wishes};
use crate::error::{AtSpan, Error, Result};
use crate::image::format::ImageFormat;
use crate::recipe::pins::Pins;
use crate::recipe::{
    Dependency, Instructions, Library, Making, Recipe, RecipeFile, RecipeFolder, VersionDemand, Versions,
    read_ahead,
};

/// How many packages may need each other in a row. Each takes stack: a few thousand of them used up 8 MiB.
const DEEPEST: usize = 500;

/// A walk in progress.
pub(super) struct Walk<'a> {
    recipes: &'a RecipeFolder,
    loaded: BTreeMap<String, Result<Arc<Versions>>>,
    pins: Pins,
    /// The packages between the request and the one at hand, for cycles and for messages.
    path: Vec<String>,
    graph: Graph,
}

/// What a package needs, as indices into the graph; see [`Package`].
struct Needed {
    bootstrap: Option<usize>,
    libraries: Vec<usize>,
    run_depends: Vec<Dependency>,
    depends: Vec<usize>,
    /// The layers of its build above the bootstrap layer, bottom first.
    above: Vec<usize>,
}

impl<'a> Walk<'a> {
    /// One that has met nothing yet; recipes that `requests` come to are read ahead.
    pub(super) fn start(recipes: &'a RecipeFolder, requests: &[Request]) -> Result<Self> {
        let loaded = read_ahead(recipes, requests.iter().map(|request| &request.name));
        Ok(Walk { recipes, loaded, pins: recipes.pins()?, path: Vec::new(), graph: Graph::default() })
    }

    pub(super) fn into_graph(self) -> Graph {
        self.graph
    }

    pub(super) fn visit(&mut self, request: &Request) -> Result<usize> {
        let name = request.name.as_str().to_owned();
        if let Some(start) = self.path.iter().position(|seen| *seen == name) {
            let mut cycle = self.path[start..].to_vec();
            cycle.push(name);
            return Err(Error::new(
                "packages",
                format!("need each other in a circle: {}", cycle.join(" -> ")),
            )
            .remedy("remove one of these from `libraries`, `depends` or `build-depends`"));
        }
        if self.path.len() == DEEPEST {
            return Err(Error::new(
                self.label(&name),
                format!("stands at the end of a chain of {DEEPEST} packages"),
            )
            .remedy("let one of them do without the next: a package is needed through fewer others"));
        }
        let versions = self.versions(&request.name)?;
        let recipe = Arc::clone(versions.pick(&self.demands(request))?);
        let selection = recipe.choose(&request.wishes_of(&recipe))?;
        let key = (name.clone(), recipe.version.as_str().to_owned(), selection.clone());
        if let Some(index) = self.graph.known.get(&key).copied() {
            self.graph.packages[index].asked.push(request.clone());
            return Ok(index);
        }
        self.path.push(name);
        let mut package = self.resolve((&recipe, &versions), selection)?;
        package.asked.push(request.clone());
        self.path.pop();
        self.graph.packages.push(package);
        let index = self.graph.packages.len() - 1;
        self.graph.known.insert(key, index);
        Ok(index)
    }

    /// What is said of the version: whoever calls `lamina` is not held by a pin.
    fn demands(&self, request: &Request) -> Vec<VersionDemand> {
        let asked = VersionDemand { condition: request.condition.clone(), by: request.wishes.by.clone() };
        let is_given = matches!(request.wishes.by, Asker::CommandLine) && !request.condition.is_any();
        let pin = self.pins.of(&request.name).filter(|_| !is_given);
        let pin = pin
            .map(|pin| VersionDemand { condition: pin.condition.clone(), by: Asker::Pin(pin.span.clone()) });
        [asked].into_iter().chain(pin).collect()
    }

    fn versions(&mut self, name: &Name) -> Result<Arc<Versions>> {
        let load = || self.recipes.load_all(name).map(Arc::new);
        self.loaded.entry(name.as_str().to_owned()).or_insert_with(load).clone()
    }

    fn resolve(
        &mut self,
        (recipe, versions): (&Arc<Recipe>, &Arc<Versions>),
        selection: Selection,
    ) -> Result<Package> {
        let instructions = recipe.instructions(&selection)?;
        let format = match recipe.making {
            Making::Steps(_) => ImageFormat::PACKAGE,
            Making::Debian => ImageFormat::BOOTSTRAP,
        };
        let Needed { bootstrap, libraries, run_depends, depends, above } =
            self.needed(recipe, &instructions)?;
        let id_of = |index: &usize| self.graph.packages[*index].id;
        let digests = |files: &[RecipeFile]| -> Result<Vec<(String, Digest)>> {
            files.iter().map(|file| Ok((file.path.clone(), recipe.digest_of(file)?))).collect()
        };
        let ingredients = Ingredients {
            recipe,
            instructions: &instructions,
            selection: &selection,
            run_depends: &run_depends,
            bootstrap: bootstrap.as_ref().map(id_of),
            build_root: above
                .iter()
                .map(|index| (self.graph.packages[*index].recipe.name.as_str().to_owned(), id_of(index)))
                .collect(),
            patches: digests(&instructions.patches)?,
            files: digests(&instructions.files)?,
            image: format,
        };
        let (canonical, id) = (ingredients.canonical(), ingredients.id());
        let inputs = [ingredients.patches, ingredients.files].concat();
        let build_root = bootstrap.into_iter().chain(above).collect();
        let (recipe, versions) = (Arc::clone(recipe), Arc::clone(versions));
        let (asked, pin) = (Vec::new(), self.pins.of(&recipe.name).cloned());
        Ok(Package {
            selection,
            instructions,
            asked,
            pin,
            id,
            canonical,
            inputs,
            format,
            build_root,
            libraries,
            run_depends,
            depends,
            recipe,
            versions,
        })
    }

    /// What a build needs, each thing resolved.
    fn needed(&mut self, recipe: &Arc<Recipe>, instructions: &Instructions) -> Result<Needed> {
        let bootstrap = match recipe.making {
            Making::Steps(_) => {
                let request = Request::plain(recipe.bootstrap.clone());
                Some(self.visit(&request).map_err(|error| error.at(&recipe.span))?)
            }
            Making::Debian => None,
        };
        let (asked, libraries): (Vec<Dependency>, Vec<usize>) =
            self.visit_libraries(recipe, &instructions.libraries)?.into_iter().unzip();
        let direct = self.visit_all(recipe, &instructions.build_depends)?;
        let mut depends = self.visit_all(recipe, &instructions.depends)?;
        let below = [
            needs(recipe, libraries.iter().copied().map(Place::linked), &asked),
            needs(recipe, direct.iter().copied().map(Place::to_run), &instructions.build_depends),
        ]
        .concat();
        let one = OneOfEach::decide(&self.graph, &below, &[])?;
        let places = below.iter().map(|need| need.place);
        let above = self.graph.with_depends(places, &one, Beside::ByName);
        let libraries: Vec<usize> =
            libraries.into_iter().map(|index| one.of(&self.graph, Place::linked(index)).index).collect();
        let mut run_depends = instructions.depends.clone();
        for (mut dependency, index) in asked.into_iter().zip(&libraries) {
            let Package { selection, recipe: library, .. } = &self.graph.packages[*index];
            if Linkage::of(selection).is_some_and(Linkage::is_needed_to_run) {
                if library.leaves_open(LINKAGE) {
                    dependency.choices.insert(LINKAGE.to_owned(), selection.get(LINKAGE).clone());
                }
                run_depends.push(dependency);
                depends.push(*index);
            }
        }
        Ok(Needed { bootstrap, libraries, run_depends, depends, above })
    }

    fn visit_all(&mut self, recipe: &Recipe, dependencies: &[Dependency]) -> Result<Vec<usize>> {
        dependencies.iter().map(|dependency| self.visit_one(recipe, dependency, &BTreeMap::new())).collect()
    }

    /// Each with all that is insisted on: what it does not leave open, nobody has asked for, and what a mixed package would have as an
    /// archive may be shared all the same, where one of its shared libraries needs it so.
    fn visit_libraries(
        &mut self,
        recipe: &Recipe,
        libraries: &[Library],
    ) -> Result<Vec<(Dependency, usize)>> {
        let visit = |library: &Library| {
            let index = self.visit_one(recipe, &library.dependency, &library.handed_on)?;
            let chosen = &self.graph.packages[index].recipe;
            let is_meant = |name: &str| chosen.leaves_open(name) && (name != LINKAGE || library.insists);
            Ok((library.asking(is_meant), index))
        };
        libraries.iter().map(visit).collect()
    }

    fn visit_one(
        &mut self,
        recipe: &Recipe,
        dependency: &Dependency,
        handed_on: &BTreeMap<String, Choice>,
    ) -> Result<usize> {
        let by = Asker::Dependent(recipe.name.clone(), dependency.span.clone());
        let request = Request {
            name: dependency.name.clone(),
            wishes: Wishes { choices: dependency.choices.clone(), by },
            condition: dependency.condition.clone(),
            handed_on: handed_on.clone(),
            preferred: BTreeMap::new(),
        };
        self.visit(&request).map_err(|error| error.at(&dependency.span))
    }

    /// `package zlib (needed by dropbear, needed by console)`.
    fn label(&self, name: &str) -> String {
        match self.path.last() {
            Some(last) if last != name => format!("package {name} (needed by {last})"),
            _ => format!("package {name}"),
        }
    }
}
