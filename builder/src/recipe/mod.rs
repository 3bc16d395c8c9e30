//! Recipes: what `packages/NAME/recipe.kdl` says, checked. The language is described in docs/recipes.md.

mod decode;
mod feature_name;
mod folder;
mod pin;
mod read_ahead;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

pub use feature_name::feature_variable;
pub(crate) use folder::NONE_HERE;
use folder::RECIPE_FILE;
pub use folder::RecipeFolder;
use profiles::{Digest, Name, Span};

use crate::error::{AtSpan, Error, Result};
use crate::fetch::Source;
use crate::image::path_metadata::PathMetadata;
use crate::limits::LimitWishes;
use crate::shell_word::quote;
use crate::text_file;
pub use pin::{PinnedSource, pin_into};
use profiles::version::{Condition, Version};
use profiles::written::Override;
pub(crate) use read_ahead::read_ahead;

/// The file of a `debian` recipe that says which packages are wanted.
pub const DEBIAN_DESCRIPTION: &str = "debian.kdl";
/// The file of a `debian` recipe that pins them.
pub const DEBIAN_PINS: &str = "lock.kdl";

/// The steps in the order they run.
pub const STEP_NAMES: [&str; 5] = ["unpack", "patch", "configure", "make", "install"];

/// A recipe as its author wrote it.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The package's name, which is the folder's too.
    pub name: Name,
    /// Where the word `recipe` stands.
    pub span: Span,
    /// The version of what is packaged.
    pub version: Version,
    /// One line for people.
    pub description: String,
    /// An SPDX expression.
    pub license: String,
    /// Where the software lives.
    pub homepage: Option<String>,
    /// What is downloaded.
    pub sources: Vec<Source>,
    /// Patches in the order they are applied.
    pub patches: Vec<RecipeFile>,
    /// Other files that the steps may read.
    pub files: Vec<RecipeFile>,
    /// Switches of the package, sorted by name.
    pub features: Vec<Feature>,
    /// Ways to make the package.
    pub variants: Option<Variants>,
    /// What the build sees besides the bootstrap layer.
    pub build_depends: Vec<Dependency>,
    /// What must be below this package when it runs.
    pub depends: Vec<Dependency>,
    /// How the image is made.
    pub making: Making,
    /// Modes and owners in the image, sorted by path.
    pub metadata: Vec<PathMetadata>,
    /// The extended attributes `user.NAME` that its files keep, sorted.
    pub attributes: Vec<String>,
    /// The folders of layers under the build that may hide others'; no part of the id.
    pub overrides: Vec<Override>,
    /// The recipe of the layer under the build.
    pub bootstrap: Name,
    /// What its build may use, where that differs from the usual; no part of the id.
    pub limits: LimitWishes,
    /// Whether `--all` leaves it out; no part of the id.
    pub apart: bool,
    /// The folder that the recipe lies in.
    pub folder: PathBuf,
}

/// How an image is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Making {
    /// By scripts in the sandbox, by step name.
    Steps(BTreeMap<&'static str, String>),
    /// From pinned Debian packages.
    Debian,
}

/// What is done in a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepWork {
    /// `/bin/sh` runs this text.
    Script(String),
    /// The builder itself unpacks the source of this name, when it is an archive. Which one it is, only its bytes tell, and
    /// they are not there yet when a build is planned.
    Unpack(String),
}

/// A file beside the recipe.
#[derive(Debug, Clone)]
pub struct RecipeFile {
    /// Its path below the recipe's folder.
    pub path: String,
    /// Where the recipe names it.
    pub span: Span,
}

/// A switch of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// The name, as in profiles.
    pub name: String,
    /// On, when nobody chooses.
    pub default: bool,
    /// One line for people.
    pub description: Option<String>,
}

/// The ways to make a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variants {
    /// All of them.
    pub names: Vec<String>,
    /// The one taken when nobody chooses.
    pub default: String,
}

/// Another package that this one needs.
#[derive(Debug, Clone)]
pub struct Dependency {
    /// The package, as its folder in the tree of recipes is called.
    pub name: Name,
    /// The versions that will do.
    pub condition: Condition,
    /// Needed only when this feature of the depending package is on.
    pub feature: Option<String>,
    /// Where the recipe names it.
    pub span: Span,
}

impl Recipe {
    /// Reads `PACKAGES/NAME/recipe.kdl`, which must be the recipe `name`.
    fn load(packages: &Path, name: &Name) -> Result<Self> {
        let folder = packages.join(name.as_str());
        let path = folder.join(RECIPE_FILE);
        let bytes = text_file::read_below(packages, &path)?;
        let recipe = decode::recipe(&path.display().to_string(), &bytes, &folder)?;
        if recipe.name != *name {
            let cause = format!("the recipe is called '{}', its folder '{name}'", recipe.name);
            return Err(Error::caused("", recipe.span.error(cause, "give both the same name")));
        }
        Ok(recipe)
    }

    /// The digest of a patch or file of the recipe; it must be a regular file inside the recipe's folder.
    pub fn digest_of(&self, file: &RecipeFile) -> Result<Digest> {
        self.path_of(&file.path)
            .and_then(|path| crate::digest::digest_file(&path))
            .map(|(digest, _)| digest)
            .map_err(|error| error.at(&file.span))
    }

    /// Where a patch or file of the recipe lies. Links that lead out of the recipe's folder are refused.
    pub fn path_of(&self, file: &str) -> Result<PathBuf> {
        let path = self.folder.join(file);
        let refuse = |cause: String| {
            Error::new(path.display(), cause).remedy("put the file there, or remove this node")
        };
        let real = fs::canonicalize(&path).map_err(|error| refuse(error.to_string()))?;
        let folder = fs::canonicalize(&self.folder).map_err(Error::on(self.folder.display()))?;
        if !real.starts_with(&folder) {
            return Err(refuse("is a link that leads out of the recipe's folder".to_owned()));
        }
        if !real.is_file() {
            return Err(refuse("is not a regular file".to_owned()));
        }
        Ok(real)
    }

    /// What is done in a step: the recipe's script, or the default that docs/recipes.md describes. `None`: nothing.
    pub fn work(&self, step: &str) -> Option<StepWork> {
        let Making::Steps(scripts) = &self.making else { return None };
        if let Some(script) = scripts.get(step) {
            return Some(StepWork::Script(script.clone()));
        }
        match step {
            "unpack" => self.sources.first().map(|source| StepWork::Unpack(source.file.clone())),
            "patch" => self.default_patch().map(StepWork::Script),
            _ => None,
        }
    }

    fn default_patch(&self) -> Option<String> {
        let line =
            |patch: &RecipeFile| format!("patch -p1 -i {}\n", quote(&format!("/recipe/{}", patch.path)));
        (!self.patches.is_empty()).then(|| self.patches.iter().map(line).collect())
    }
}

#[cfg(test)]
mod tests;
