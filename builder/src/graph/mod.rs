//! The packages that a request needs, each with every choice made and its id, dependencies before dependents.

pub mod package_id;
pub mod selection;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use profiles::{Digest, Name, Span};

use crate::bootstrap::Bootstrap;
use crate::error::{AtSpan, Error, Result};
use crate::fetch::Source;
use crate::graph::package_id::Ingredients;
use crate::graph::selection::{Selection, Wishes};
use crate::image::format::ImageFormat;
use crate::recipe::{Dependency, Making, Recipe, RecipeFile, RecipeFolder, read_ahead};
use profiles::version::Condition;

/// One package to build, resolved.
#[derive(Debug, Clone)]
pub struct Package {
    /// As `packages/NAME/recipe.kdl` has it.
    pub recipe: Recipe,
    /// Its features and variant.
    pub selection: Selection,
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
    known: BTreeMap<(String, Selection), usize>,
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
    /// Where a profile says so.
    pub span: Option<Span>,
}

impl Request {
    /// The package with its defaults.
    pub fn plain(name: Name) -> Self {
        Request { name, wishes: Wishes::default(), condition: Condition::default(), span: None }
    }
}

/// How many packages may need each other in a row. Each takes stack: a few thousand of them used up 8 MiB.
const DEEPEST: usize = 500;

/// A walk in progress.
struct Walk<'a> {
    recipes: &'a RecipeFolder,
    loaded: BTreeMap<String, Result<Arc<Recipe>>>,
    /// The packages between the request and the one at hand, for cycles and for messages.
    path: Vec<String>,
    graph: Graph,
}

impl Graph {
    /// Resolves `requests` with everything they need. The second value has an index for each request.
    pub fn resolve(recipes: &RecipeFolder, requests: &[Request]) -> Result<(Self, Vec<usize>)> {
        let loaded = read_ahead(recipes, requests.iter().map(|request| &request.name));
        let mut walk = Walk { recipes, loaded, path: Vec::new(), graph: Graph::default() };
        let visit = |request: &Request| {
            walk.visit(request).map_err(|error| match &request.span {
                Some(span) => error.at(span),
                None => error,
            })
        };
        let indices = requests.iter().map(visit).collect::<Result<Vec<_>>>()?;
        Ok((walk.graph, indices))
    }

    /// The packages; each stands after all that it needs.
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// `roots` and what they need to run, each after what it needs.
    pub fn with_depends(&self, roots: &[usize]) -> Vec<usize> {
        let (mut order, mut seen) = (Vec::new(), BTreeSet::new());
        for root in roots {
            self.add_with_depends(*root, &mut order, &mut seen);
        }
        order
    }

    fn add_with_depends(&self, index: usize, order: &mut Vec<usize>, seen: &mut BTreeSet<usize>) {
        if !seen.insert(index) {
            return;
        }
        for dependency in &self.packages[index].depends {
            self.add_with_depends(*dependency, order, seen);
        }
        order.push(index);
    }

    /// The layers of a system, bottom first: `roots` in written order, and below each what it needs to run and no root is.
    ///
    /// A root stands for every dependency of its name, whatever features it was asked for with.
    pub fn stack(&self, roots: &[usize]) -> Vec<usize> {
        let name = |index: usize| &self.packages[index].recipe.name;
        let mut order: Vec<usize> = Vec::new();
        let mut taken: BTreeSet<&Name> = roots.iter().map(|root| name(*root)).collect();
        for root in roots {
            for needed in self.with_depends(&[*root]) {
                if needed == *root || taken.insert(name(needed)) {
                    order.push(needed);
                }
            }
        }
        order
    }
}

impl Package {
    /// Everything that is fetched for the build.
    pub fn sources(&self) -> Result<Vec<Source>> {
        match self.recipe.making {
            Making::Steps(_) => Ok(self.recipe.sources.clone()),
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
        let recipe = self.recipe(&request.name)?;
        if !request.condition.allows(&recipe.version) {
            let cause = format!("is version {}, and {} is asked for", recipe.version, request.condition);
            return Err(Error::new(self.label(&name), cause)
                .remedy("change the condition, or the version of the recipe"));
        }
        let selection = Selection::choose(&recipe, &request.wishes)?;
        let key = (name.clone(), selection.clone());
        if let Some(index) = self.graph.known.get(&key) {
            return Ok(*index);
        }
        self.path.push(name);
        let package = self.resolve(&recipe, selection)?;
        self.path.pop();
        self.graph.packages.push(package);
        let index = self.graph.packages.len() - 1;
        self.graph.known.insert(key, index);
        Ok(index)
    }

    fn recipe(&mut self, name: &Name) -> Result<Arc<Recipe>> {
        let load = || self.recipes.load(name).map(Arc::new);
        self.loaded.entry(name.as_str().to_owned()).or_insert_with(load).clone()
    }

    fn resolve(&mut self, recipe: &Recipe, selection: Selection) -> Result<Package> {
        let (bootstrap, format) = match recipe.making {
            Making::Steps(_) => {
                let request = Request::plain(recipe.bootstrap.clone());
                let bootstrap = self.visit(&request).map_err(|error| error.at(&recipe.span))?;
                (Some(bootstrap), ImageFormat::PACKAGE)
            }
            Making::Debian => (None, ImageFormat::BOOTSTRAP),
        };
        let direct = self.visit_all(&selection, &recipe.build_depends)?;
        let depends = self.visit_all(&selection, &recipe.depends)?;
        let above = self.graph.with_depends(&direct);
        self.check_one_of_each(&above)?;
        let id_of = |index: &usize| self.graph.packages[*index].id;
        let digests = |files: &[RecipeFile]| -> Result<Vec<(String, Digest)>> {
            files.iter().map(|file| Ok((file.path.clone(), recipe.digest_of(file)?))).collect()
        };
        let ingredients = Ingredients {
            recipe,
            selection: &selection,
            bootstrap: bootstrap.as_ref().map(id_of),
            build_root: above
                .iter()
                .map(|index| (self.graph.packages[*index].recipe.name.as_str().to_owned(), id_of(index)))
                .collect(),
            patches: digests(&recipe.patches)?,
            files: digests(&recipe.files)?,
            image: format,
        };
        let (canonical, id) = (ingredients.canonical(), ingredients.id());
        let inputs = [ingredients.patches, ingredients.files].concat();
        let build_root = bootstrap.into_iter().chain(above).collect();
        Ok(Package { selection, id, canonical, inputs, format, build_root, depends, recipe: recipe.clone() })
    }

    fn visit_all(&mut self, selection: &Selection, dependencies: &[Dependency]) -> Result<Vec<usize>> {
        let visit = |dependency: &Dependency| {
            let condition = dependency.condition.clone();
            let request = Request { condition, ..Request::plain(dependency.name.clone()) };
            self.visit(&request).map_err(|error| error.at(&dependency.span))
        };
        selection.wanted(dependencies).map(visit).collect()
    }

    /// A root with two builds of one package would show a mix of both.
    fn check_one_of_each(&self, indices: &[usize]) -> Result<()> {
        let mut names = BTreeMap::new();
        for index in indices {
            let name = self.graph.packages[*index].recipe.name.as_str();
            if names.insert(name, *index).is_some_and(|other| other != *index) {
                return Err(Error::new(self.label(name), "two builds of it would be in one build root")
                    .remedy("let all its dependents ask for the same features"));
            }
        }
        Ok(())
    }

    /// `package zlib (needed by dropbear, needed by console)`.
    fn label(&self, name: &str) -> String {
        match self.path.last() {
            Some(last) if last != name => format!("package {name} (needed by {last})"),
            _ => format!("package {name}"),
        }
    }
}
