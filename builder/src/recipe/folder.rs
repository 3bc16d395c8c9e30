//! The folder of recipes, `packages/`, which makes its parent a tree.

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

/// The folder of recipes, `packages/`.
#[derive(Debug, Clone)]
pub struct RecipeFolder {
    path: PathBuf,
}

impl RecipeFolder {
    /// The recipes below `path`; nothing is read yet.
    pub fn new(path: PathBuf) -> Self {
        RecipeFolder { path }
    }

    /// Whether there is a recipe of this name.
    pub fn has(&self, name: &Name) -> bool {
        is_recipe(&self.path.join(name.as_str()))
    }

    /// The folder of the recipe of this name, which need not be sound.
    ///
    /// # Errors
    /// There is none.
    pub fn folder_of(&self, name: &Name) -> Result<PathBuf> {
        match self.has(name) {
            true => Ok(self.path.join(name.as_str())),
            false => Err(self.missing(name)?),
        }
    }

    /// The recipe of this name in its newest version; an error that lists near names when there is none.
    pub fn load(&self, name: &Name) -> Result<Recipe> {
        self.load_all(name).map(Versions::into_newest)
    }

    /// The same in all its versions.
    pub fn load_all(&self, name: &Name) -> Result<Versions> {
        if !self.has(name) {
            return Err(self.missing(name)?);
        }
        Recipe::load(&self.path, name)
    }

    /// The pins of the tree that these recipes belong to.
    ///
    /// # Errors
    /// They cannot be read, or are about a package that there is not.
    pub fn pins(&self) -> Result<Pins> {
        let pins = pins::of_tree(self.tree())?;
        if let Some((name, pin)) = pins.names().find(|(name, _)| !self.has(name)) {
            return Err(self.missing(name)?.at(&pin.span));
        }
        Ok(pins)
    }

    /// The folder of the tree.
    pub fn tree(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// The error for a name without a recipe.
    fn missing(&self, name: &Name) -> Result<Error> {
        let cause = format!("there is no {}/{}/recipe.kdl", self.path.display(), name.as_str());
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
        let path = self.path.join(name.as_str()).join(RECIPE_FILE);
        let bytes = text_file::read_below(&self.path, &path).unwrap_or_default();
        let may_be = bytes.windows(APART.len()).any(|word| word == APART.as_bytes());
        may_be && self.load(name).is_ok_and(|recipe| recipe.apart)
    }

    /// The names of all recipes, sorted.
    pub fn names(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.path).map_err(Error::on(self.path.display()))?;
        let entries: Vec<fs::DirEntry> =
            entries.collect::<std::io::Result<_>>().map_err(Error::on(self.path.display()))?;
        let mut names: Vec<String> = entries
            .into_iter()
            .filter(|entry| is_recipe(&entry.path()))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        Ok(names)
    }
}

/// Whether there is anything called `recipe.kdl`; reading it says what is wrong with it.
fn is_recipe(folder: &Path) -> bool {
    fs::symlink_metadata(folder.join(RECIPE_FILE)).is_ok()
}
