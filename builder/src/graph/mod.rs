//! The packages that a request needs, each with every choice made and its id, dependencies before dependents.

mod decided;
pub mod edges;
pub mod package_id;
mod settle;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use profiles::version::Condition;
use profiles::{Choice, Digest, Name};

use self::settle::{Need, OneOfEach};
use self::walk::Walk;
use crate::bootstrap::Bootstrap;
use crate::choice::linkage::Linkage;
use crate::choice::{Asker, Selection, Wishes};
use crate::error::Result;
use crate::fetch::Source;
use crate::image::format::ImageFormat;
use crate::recipe::pins::Pin;
use crate::recipe::{Dependency, Instructions, Making, Recipe, RecipeFolder, Versions};

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
    /// What it is linked with, as indices into the graph, in written order.
    pub libraries: Vec<usize>,
    /// What must be below this package when it runs: what its recipe says, and its shared libraries.
    pub run_depends: Vec<Dependency>,
    /// The builds of these, as indices into the graph, in the same order.
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
    /// What is asked of it besides, where its recipe leaves that open.
    pub handed_on: BTreeMap<String, Choice>,
    /// What it is asked for where it can be that.
    pub preferred: BTreeMap<String, Choice>,
}

impl Request {
    /// What is wished of this recipe of the package.
    pub fn wishes_of(&self, recipe: &Recipe) -> Wishes {
        let handed_on = self.handed_on.iter().filter(|(name, _)| recipe.leaves_open(name));
        let preferred = self.preferred.iter().filter(|(name, choice)| recipe.can_be(name, choice));
        let asked = handed_on.chain(preferred);
        self.wishes.clone().or(&asked.map(|(name, choice)| (name.clone(), choice.clone())).collect())
    }

    /// The package with its defaults.
    pub fn plain(name: Name) -> Self {
        Request {
            name,
            wishes: Wishes::none(Asker::CommandLine),
            condition: Condition::default(),
            handed_on: BTreeMap::new(),
            preferred: BTreeMap::new(),
        }
    }
}

/// A build, and what it is to what stands above it in a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    index: usize,
    /// Whether it is linked with, and not only there to run.
    linked: bool,
}

/// In which order layers lie of which none needs the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    /// As recipes and profiles have them.
    AsWritten,
    /// Those of a build: an id has no order of lines in it, so that none may count.
    ByName,
}

impl Place {
    fn to_run(index: usize) -> Self {
        Place { index, linked: false }
    }

    fn linked(index: usize) -> Self {
        Place { index, linked: true }
    }
}

impl Graph {
    /// Resolves `requests` with everything they need. The second value has an index for each request.
    pub fn resolve(recipes: &RecipeFolder, requests: &[Request]) -> Result<(Self, Vec<usize>)> {
        let mut walk = Walk::start(recipes, requests)?;
        let visit = |request: &Request| walk.visit(request).map_err(|error| request.wishes.by.point(error));
        let indices = requests.iter().map(visit).collect::<Result<Vec<_>>>()?;
        Ok((walk.into_graph(), indices))
    }

    /// The packages; each stands after all that it needs.
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// `roots` and all that comes with them, each after what it needs.
    fn with_depends(
        &self,
        roots: impl Iterator<Item = Place>,
        one: &OneOfEach,
        beside: Beside,
    ) -> Vec<usize> {
        let (mut order, mut seen) = (Vec::new(), BTreeSet::new());
        for root in self.in_order(roots, beside) {
            self.add_with_depends(one.of(self, root), (one, beside), &mut order, &mut seen);
        }
        // One that is linked with and needed to run is met twice.
        let mut placed = BTreeSet::new();
        order.retain(|index| placed.insert(*index));
        order
    }

    fn add_with_depends(
        &self,
        place: Place,
        (one, beside): (&OneOfEach, Beside),
        order: &mut Vec<usize>,
        seen: &mut BTreeSet<Place>,
    ) {
        if !seen.insert(place) {
            return;
        }
        for below in self.in_order(self.packages[place.index].below(self, place.linked), beside) {
            self.add_with_depends(one.of(self, below), (one, beside), order, seen);
        }
        order.push(place.index);
    }

    fn in_order(&self, places: impl Iterator<Item = Place>, beside: Beside) -> Vec<Place> {
        let mut places: Vec<Place> = places.collect();
        match beside {
            Beside::AsWritten => {}
            Beside::ByName => places.sort_by_key(|place| &self.packages[place.index].recipe.name),
        }
        places
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
                place: Place::to_run(*root),
                condition: Condition::default(),
                choices: BTreeMap::new(),
                by: Asker::CommandLine,
            })
            .collect();
        let one = OneOfEach::decide(self, &needs, roots)?;
        let mut order: Vec<usize> = Vec::new();
        let mut taken: BTreeSet<&Name> = roots.iter().map(|root| name(*root)).collect();
        for root in roots {
            for needed in self.with_depends([Place::to_run(*root)].into_iter(), &one, Beside::AsWritten) {
                if needed == *root || taken.insert(name(needed)) {
                    order.push(needed);
                }
            }
        }
        Ok(order)
    }
}

impl Package {
    /// All that comes with it: what it needs to run, and, where it is linked with, what it is linked with itself.
    fn below<'a>(&'a self, graph: &'a Graph, linked: bool) -> impl Iterator<Item = Place> + 'a {
        let comes_along = move |index: &usize| linked && self.leaves_to_others(&graph.packages[*index]);
        let libraries = self.libraries.iter().copied().filter(comes_along).map(Place::linked);
        self.depends.iter().copied().map(Place::to_run).chain(libraries)
    }

    /// Whether whoever links with this package needs its library too: not what a shared library has linked in.
    fn leaves_to_others(&self, library: &Package) -> bool {
        Linkage::of(&self.selection) == Some(Linkage::Static)
            || Linkage::of(&library.selection) != Some(Linkage::Static)
    }

    /// Everything that is fetched for the build.
    pub fn sources(&self) -> Result<Vec<Source>> {
        match self.recipe.making {
            Making::Steps(_) => Ok(self.instructions.sources.clone()),
            Making::Debian => Ok(Bootstrap::load(&self.recipe.folder)?.sources()),
        }
    }
}
