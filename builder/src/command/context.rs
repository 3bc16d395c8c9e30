//! What every command works with: where the store is, where the recipes are, how much to say.

use std::num::NonZero;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::fetch::Fetcher;
use crate::profile::folder::ProfileFolder;
use crate::recipe::RecipeFolder;
use crate::report::Report;
use crate::store::Store;

/// The folder that makes a folder a tree of recipes.
const PACKAGES: &str = "packages";
/// Where a tree has its written profiles.
const PROFILES: &str = "profiles";

/// The options of the whole command line. Nothing is opened before it is needed.
#[derive(Debug, Clone)]
pub struct Context {
    store: Option<String>,
    /// The highest first.
    trees: Vec<String>,
    /// Whether leftovers of killed commands stay in the store.
    only_reading: bool,
    /// Where progress goes.
    pub report: Report,
}

impl Context {
    /// From `--store`, `--tree` and `--verbose`.
    pub fn new(store: Option<String>, trees: Vec<String>, verbose: bool) -> Self {
        Context { store, trees, only_reading: false, report: Report::new(verbose) }
    }

    /// For what must never write, also not to clean up.
    pub fn only_reading(store: Option<String>, trees: Vec<String>) -> Self {
        Context { only_reading: true, ..Context::new(store, trees, false) }
    }

    /// The same with this tree.
    #[must_use]
    pub fn with_tree(&self, tree: &Path) -> Self {
        Context { trees: vec![tree.display().to_string()], ..self.clone() }
    }

    /// Opens the store, and removes what killed commands left there, as far as this process may: a store that cannot be written to
    /// is opened all the same, and is read.
    pub fn store(&self) -> Result<Store> {
        let path = match &self.store {
            Some(path) => not_empty("--store", path)?,
            None => Store::default_path()?,
        };
        let store = Store::open(&path)?;
        self.report.detail(format_args!("store: {}", store.root().display()));
        if self.only_reading {
            return Ok(store);
        }
        for left in store.sweep() {
            self.report.line(format_args!("warning: {left}"));
        }
        Ok(store)
    }

    /// The folders with `packages/` and `profiles/`, the highest first: those of `--tree`, of `$LAMINA_TREE`, or the nearest one upwards.
    fn trees(&self) -> Result<(PathBuf, Vec<PathBuf>)> {
        let named = self.named_trees();
        let mut trees = named.iter().map(|path| tree(path)).collect::<Result<Vec<_>>>()?.into_iter();
        match trees.next() {
            Some(highest) => Ok((highest, trees.collect())),
            None => Ok((nearest_tree()?, Vec::new())),
        }
    }

    fn named_trees(&self) -> Vec<String> {
        if !self.trees.is_empty() {
            return self.trees.clone();
        }
        let listed = std::env::var("LAMINA_TREE").unwrap_or_default();
        listed.split(':').filter(|path| !path.is_empty()).map(str::to_owned).collect()
    }

    /// Where `path` lies in the highest tree that has it.
    pub fn in_trees(&self, path: &str) -> Result<Option<PathBuf>> {
        let (highest, below) = self.trees()?;
        let paths = [highest].into_iter().chain(below).map(|tree| tree.join(path));
        Ok({ paths }.find(|path| path.exists()))
    }

    /// Whether `--tree` or `$LAMINA_TREE` names one.
    pub fn names_a_tree(&self) -> bool {
        !self.named_trees().is_empty()
    }

    /// The recipes of the trees.
    pub fn recipes(&self) -> Result<RecipeFolder> {
        let (highest, below) = self.trees()?;
        let highest = RecipeFolder::new(highest.join(PACKAGES));
        Ok(below.into_iter().fold(highest, |above, tree| above.over(tree.join(PACKAGES))))
    }

    /// The written profiles of the trees.
    pub fn profiles(&self) -> Result<ProfileFolder> {
        let (highest, below) = self.trees()?;
        let highest = ProfileFolder::new(highest.join(PROFILES));
        Ok(below.into_iter().fold(highest, |above, tree| above.over(tree.join(PROFILES))))
    }

    /// Where sources come from: the store, the cache, the mirrors.
    pub fn fetcher(&self, store: &Store) -> Result<Fetcher> {
        Ok(Fetcher::new(store.sources()).with_cache(Fetcher::default_cache()?))
    }
}

fn tree(path: &str) -> Result<PathBuf> {
    let path = not_empty("--tree", path)?;
    match path.join(PACKAGES).is_dir() {
        true => Ok(path),
        false => Err(Error::new(path.display(), "has no folder packages/")
            .remedy("give the folder of a checkout with `--tree DIR` or LAMINA_TREE")),
    }
}

fn nearest_tree() -> Result<PathBuf> {
    let here = std::env::current_dir().map_err(Error::on("the current folder"))?;
    let found = here.ancestors().find(|folder| folder.join(PACKAGES).is_dir());
    found.map(Path::to_path_buf).ok_or_else(|| {
        Error::new(here.display(), "neither it nor a folder above it has a folder packages/")
            .remedy("go to a checkout of Lamina, or give it with `--tree DIR` or LAMINA_TREE")
    })
}

fn not_empty(option: &str, path: &str) -> Result<PathBuf> {
    match path {
        "" => Err(Error::new(option, "is empty").remedy("give a folder, or leave the option out")),
        path => Ok(PathBuf::from(path)),
    }
}

/// `--jobs`, or the processors of this machine.
pub fn jobs_or_processors(jobs: Option<NonZero<usize>>) -> NonZero<usize> {
    jobs.unwrap_or_else(|| std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN))
}
