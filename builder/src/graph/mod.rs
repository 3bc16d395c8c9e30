//! The packages that a request needs, each with every choice made and its id, dependencies before dependents.

pub mod package_id;
mod settle;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use profiles::version::Condition;
use profiles::{Digest, Name};

use self::settle::{Need, OneOfEach, needs};
use crate::bootstrap::Bootstrap;
use crate::choice::{Asker, Selection, Wishes};
use crate::error::{AtSpan, Error, Result};
use crate::fetch::Source;
use crate::graph::package_id::Ingredients;
use crate::image::format::ImageFormat;
use crate::recipe::pins::{Pin, Pins};
use crate::recipe::{
    Dependency, Instructions, Making, Recipe, RecipeFile, RecipeFolder, VersionDemand, Versions, read_ahead,
};

/// One package to build, resolved.
#[derive(Debug, Clone)]
pub struct Package {
    /// As `packages/NAME/recipe.kdl` has it in the version that was chosen.
    pub recipe: Arc<Recipe>,
    /// All versions that there are.
    pub versions: Arc<Versions>,
    /// Its features and variant.
    pub selection: Selection,
    /// What of the recipe holds for them.
    pub instructions: Instructions,
    /// All who have asked for this build.
    pub asked: Vec<Request>,
    /// The line of the tree's pins that is about it.
    pub pin: Option<Pin>,
    /// The id of the build.
    pub id: Digest,
    /// The text that the id is the hash of.
    pub canonical: String,
    /// Patches and files of the recipe with their digests.
    pub inputs: Vec<(String, Digest)>,
    /// What the image is written as.
    pub format: ImageFormat,
    /// The layers under the build, bottom first, as indices into the graph; the bootstrap layer is the first.
    pub build_root: Vec<usize>,
    /// What must be below this package when it runs, as indices into the graph, in written order.
    pub depends: Vec<usize>,
}

/// Packages in an order in which they can be built.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    packages: Vec<Package>,
    /// Which index a name with its wishes has.
    known: BTreeMap<(String, String, Selection), usize>,
}

/// Something to build: a package and what is wished of it.
#[derive(Debug, Clone)]
pub struct Request {
    /// The package.
    pub name: Name,
    /// Its features and variant.
    pub wishes: Wishes,
    /// The versions that will do.
    pub condition: Condition,
}

impl Request {
    /// The package with its defaults.
    pub fn plain(name: Name) -> Self {
        Request { name, wishes: Wishes::none(Asker::CommandLine), condition: Condition::default() }
    }
}

/// How many packages may need each other in a row. Each takes stack: a few thousand of them used up 8 MiB.
const DEEPEST: usize = 500;

/// A walk in progress.
struct Walk<'a> {
    recipes: &'a RecipeFolder,
    loaded: BTreeMap<String, Result<Arc<Versions>>>,
    pins: Pins,
    /// The packages between the request and the one at hand, for cycles and for messages.
    path: Vec<String>,
    graph: Graph,
}

impl Graph {
    /// Resolves `requests` with everything they need. The second value has an index for each request.
    pub fn resolve(recipes: &RecipeFolder, requests: &[Request]) -> Result<(Self, Vec<usize>)> {
        let loaded = read_ahead(recipes, requests.iter().map(|request| &request.name));
        let mut walk =
            Walk { recipes, loaded, pins: recipes.pins()?, path: Vec::new(), graph: Graph::default() };
        let visit = |request: &Request| walk.visit(request).map_err(|error| request.wishes.by.point(error));
        let indices = requests.iter().map(visit).collect::<Result<Vec<_>>>()?;
        Ok((walk.graph, indices))
    }

    /// The packages; each stands after all that it needs.
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// `roots` and what they need to run, each after what it needs.
    fn with_depends(&self, roots: &[usize], one: &OneOfEach) -> Vec<usize> {
        let (mut order, mut seen) = (Vec::new(), BTreeSet::new());
        for root in roots {
            self.add_with_depends(one.of(self, *root), one, &mut order, &mut seen);
        }
        order
    }

    fn add_with_depends(
        &self,
        index: usize,
        one: &OneOfEach,
        order: &mut Vec<usize>,
        seen: &mut BTreeSet<usize>,
    ) {
        if !seen.insert(index) {
            return;
        }
        for dependency in &self.packages[index].depends {
            self.add_with_depends(one.of(self, *dependency), one, order, seen);
        }
        order.push(index);
    }

    /// The layers of a system, bottom first: `roots` in written order, and below each what it needs to run and no root is.
    ///
    /// A root stands for every dependency of its name that asks for nothing else.
    ///
    /// # Errors
    /// A dependency asks for what the root of its name is not, or two dependencies ask for what excludes each other.
    pub fn stack(&self, roots: &[usize]) -> Result<Vec<usize>> {
        let name = |index: usize| &self.packages[index].recipe.name;
        let needs: Vec<Need> = roots
            .iter()
            .map(|root| Need {
                index: *root,
                condition: Condition::default(),
                choices: BTreeMap::new(),
                by: Asker::CommandLine,
            })
            .collect();
        let one = OneOfEach::decide(self, &needs, roots)?;
        let mut order: Vec<usize> = Vec::new();
        let mut taken: BTreeSet<&Name> = roots.iter().map(|root| name(*root)).collect();
        for root in roots {
            for needed in self.with_depends(&[*root], &one) {
                if needed == *root || taken.insert(name(needed)) {
                    order.push(needed);
                }
            }
        }
        Ok(order)
    }
}

impl Package {
    /// Everything that is fetched for the build.
    pub fn sources(&self) -> Result<Vec<Source>> {
        match self.recipe.making {
            Making::Steps(_) => Ok(self.instructions.sources.clone()),
            Making::Debian => Ok(Bootstrap::load(&self.recipe.folder)?.sources()),
        }
    }
}

impl Walk<'_> {
    fn visit(&mut self, request: &Request) -> Result<usize> {
        let name = request.name.as_str().to_owned();
        if let Some(start) = self.path.iter().position(|seen| *seen == name) {
            let mut cycle = self.path[start..].to_vec();
            cycle.push(name);
            return Err(Error::new(
                "packages",
                format!("need each other in a circle: {}", cycle.join(" -> ")),
            )
            .remedy("remove one of these from `depends` or `build-depends`"));
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
        let selection = recipe.choose(&request.wishes)?;
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
        let (bootstrap, format) = match recipe.making {
            Making::Steps(_) => {
                let request = Request::plain(recipe.bootstrap.clone());
                let bootstrap = self.visit(&request).map_err(|error| error.at(&recipe.span))?;
                (Some(bootstrap), ImageFormat::PACKAGE)
            }
            Making::Debian => (None, ImageFormat::BOOTSTRAP),
        };
        let direct = self.visit_all(recipe, &instructions.build_depends)?;
        let depends = self.visit_all(recipe, &instructions.depends)?;
        let one = OneOfEach::decide(&self.graph, &needs(recipe, &direct, &instructions.build_depends), &[])?;
        let above = self.graph.with_depends(&direct, &one);
        let id_of = |index: &usize| self.graph.packages[*index].id;
        let digests = |files: &[RecipeFile]| -> Result<Vec<(String, Digest)>> {
            files.iter().map(|file| Ok((file.path.clone(), recipe.digest_of(file)?))).collect()
        };
        let ingredients = Ingredients {
            recipe,
            instructions: &instructions,
            selection: &selection,
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
            depends,
            recipe,
            versions,
        })
    }

    fn visit_all(&mut self, recipe: &Recipe, dependencies: &[Dependency]) -> Result<Vec<usize>> {
        let visit = |dependency: &Dependency| {
            let by = Asker::Dependent(recipe.name.clone(), dependency.span.clone());
            let wishes = Wishes { choices: dependency.choices.clone(), by };
            let (name, condition) = (dependency.name.clone(), dependency.condition.clone());
            self.visit(&Request { name, wishes, condition }).map_err(|error| error.at(&dependency.span))
        };
        dependencies.iter().map(visit).collect()
    }

    /// `package zlib (needed by dropbear, needed by console)`.
    fn label(&self, name: &str) -> String {
        match self.path.last() {
            Some(last) if last != name => format!("package {name} (needed by {last})"),
            _ => format!("package {name}"),
        }
    }
}
