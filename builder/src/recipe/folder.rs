//! The folder of recipes, `packages/`, which makes its parent a tree; and several of them, one over the other.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use profiles::{Name, suggest};

use super::pins::{self, Pins};
use super::{Recipe, Versions};
use crate::error::{AtSpan, Error, Result};
use crate::text_file;

/// What to do when a tree has nothing of what is asked for.
pub(crate) const NONE_HERE: &str = "there are none here: is it the right tree? `--tree DIR` names another";

/// The node of a recipe that `--all` leaves out.
pub(super) const APART: &str = "apart";

/// What makes a folder a recipe.
pub(super) const RECIPE_FILE: &str = "recipe.kdl";

/// The folder of recipes, `packages/`, or those of several trees: a recipe of a higher one stands in place of those below.
#[derive(Debug, Clone)]
pub struct RecipeFolder {
    /// The highest first; never empty.
    paths: Vec<PathBuf>,
}

impl RecipeFolder {
    /// The recipes below `path`; nothing is read yet.
    pub fn new(path: PathBuf) -> Self {
        RecipeFolder { paths: vec![path] }
    }

    /// The same with those of a tree below.
    #[must_use]
    pub fn over(mut self, path: PathBuf) -> Self {
        self.paths.push(path);
        self
    }

    /// Whether there is a recipe of this name.
    pub fn has(&self, name: &Name) -> bool {
        self.having(name).next().is_some()
    }

    /// The folders `packages/` that have a recipe of this name; the first is the one that counts.
    pub fn having<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = &'a Path> {
        let paths = self.paths.iter().map(PathBuf::as_path);
        paths.filter(|path| is_recipe(&path.join(name.as_str())))
    }

    /// The folder of the recipe of this name, which need not be sound.
    ///
    /// # Errors
    /// There is none.
    pub fn folder_of(&self, name: &Name) -> Result<PathBuf> {
        match self.having(name).next() {
            Some(path) => Ok(path.join(name.as_str())),
            None => Err(self.missing(name)?),
        }
    }

    /// The recipe of this name in its newest version; an error that lists near names when there is none.
    pub fn load(&self, name: &Name) -> Result<Recipe> {
        self.load_all(name).map(Versions::into_newest)
    }

    /// The same in all its versions.
    pub fn load_all(&self, name: &Name) -> Result<Versions> {
        match self.having(name).next() {
            Some(path) => Recipe::load(path, name),
            None => Err(self.missing(name)?),
        }
    }

    /// The pins of the trees that these recipes belong to: of two about one package, that of the higher tree.
    ///
    /// # Errors
    /// They cannot be read, or are about a package that there is not.
    pub fn pins(&self) -> Result<Pins> {
        let mut pins = Pins::default();
        for path in self.paths.iter().rev() {
            pins.join(pins::of_tree(tree_of(path))?);
        }
        if let Some((name, pin)) = pins.names().find(|(name, _)| !self.has(name)) {
            return Err(self.missing(name)?.at(&pin.span));
        }
        Ok(pins)
    }

    /// The folder of the highest tree.
    pub fn tree(&self) -> &Path {
        self.paths.first().map_or(Path::new("."), |path| tree_of(path))
    }

    /// The error for a name without a recipe.
    fn missing(&self, name: &Name) -> Result<Error> {
        let files = self.paths.iter().map(|path| format!("{}/{name}/recipe.kdl", path.display()));
        let cause = format!("there is no {}", files.collect::<Vec<_>>().join(", and no "));
        let names = self.names()?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let remedy = suggest::remedy_or(name.as_str(), &names, NONE_HERE);
        Ok(Error::new(format!("package {}", name.as_str()), cause).remedy(remedy))
    }

    /// The packages that `--all` means, sorted: all but those that are `apart`. A recipe that cannot be read is among them, for whoever reads
    /// it says why.
    ///
    /// # Errors
    /// The folder, or a name in it, cannot be read.
    pub fn all(&self) -> Result<Vec<Name>> {
        let names = self.names()?.into_iter().map(|name| Name::parse(&name).map_err(Error::on(&name)));
        let names: Vec<Name> = names.collect::<Result<_>>()?;
        Ok(names.into_iter().filter(|name| !self.is_apart(name)).collect())
    }

    fn is_apart(&self, name: &Name) -> bool {
        // Parsing is most of what planning takes, and is done once: by whoever needs the recipe.
        let Some(packages) = self.having(name).next() else { return false };
        let path = packages.join(name.as_str()).join(RECIPE_FILE);
        let bytes = text_file::read_below(packages, &path).unwrap_or_default();
        let may_be = bytes.windows(APART.len()).any(|word| word == APART.as_bytes());
        may_be && self.load(name).is_ok_and(|recipe| recipe.apart)
    }

    /// The names of all recipes, sorted.
    pub fn names(&self) -> Result<Vec<String>> {
        let names: Vec<Vec<String>> = self.paths.iter().map(|path| names_in(path)).collect::<Result<_>>()?;
        let names: BTreeSet<String> = names.into_iter().flatten().collect();
        Ok(names.into_iter().collect())
    }
}

fn names_in(packages: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(packages).map_err(Error::on(packages.display()))?;
    let entries: Vec<fs::DirEntry> =
        entries.collect::<std::io::Result<_>>().map_err(Error::on(packages.display()))?;
    let recipes = entries.into_iter().filter(|entry| is_recipe(&entry.path()));
    Ok(recipes.filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

fn tree_of(packages: &Path) -> &Path {
    packages.parent().unwrap_or(packages)
}

/// Whether there is anything called `recipe.kdl`; reading it says what is wrong with it.
fn is_recipe(folder: &Path) -> bool {
    fs::symlink_metadata(folder.join(RECIPE_FILE)).is_ok()
}
