//! Recipes: what `packages/NAME/recipe.kdl` says, checked. The language is described in docs/recipes.md.

mod decode;
pub mod effect;
mod folder;
mod instructions;
mod pin;
pub mod pins;
mod read_ahead;
mod versions;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) use folder::NONE_HERE;
use folder::RECIPE_FILE;
pub use folder::RecipeFolder;
pub use instructions::{Instructions, Library, Step, StepWork};
use profiles::{Choice, Digest, Name, Span};

use crate::choice::{self, Feature, Selection, When, Wishes};
use crate::error::{AtSpan, Error, Result};
use crate::fetch::Source;
use crate::image::path_metadata::PathMetadata;
use crate::limits::LimitWishes;
use crate::text_file;
use package_version::Version;
pub use pin::{PinnedSource, pin_into};
use profiles::version::Condition;
use profiles::written::Override;
pub(crate) use read_ahead::read_ahead;
pub use versions::{VersionDemand, Versions};

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
    pub sources: Vec<Conditional<Source>>,
    /// Patches in the order they are applied.
    pub patches: Vec<Conditional<RecipeFile>>,
    /// Other files that the steps may read.
    pub files: Vec<Conditional<RecipeFile>>,
    /// What the package leaves open, sorted by name; its variants are a feature of that name.
    pub features: Vec<Feature>,
    /// What it is linked with.
    pub libraries: Vec<Conditional<Dependency>>,
    /// What stays shared in a mixed package: names of libraries, and of features that choose some.
    pub shared: Vec<Name>,
    /// What the build sees besides the bootstrap layer.
    pub build_depends: Vec<Conditional<Dependency>>,
    /// What must be below this package when it runs.
    pub depends: Vec<Conditional<Dependency>>,
    /// The words that steps are called with, in written order.
    pub arguments: Vec<Conditional<StepArguments>>,
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

/// What stands in a recipe for some choices only.
#[derive(Debug, Clone)]
pub struct Conditional<T> {
    /// The choices.
    pub when: When,
    /// Those for which a nearer block of the recipe says something else in its place.
    pub unless: Vec<When>,
    /// Where the recipe says so.
    pub span: Span,
    /// What stands there.
    pub item: T,
}

/// How an image is made.
#[derive(Debug, Clone)]
pub enum Making {
    /// By scripts in the sandbox.
    Steps(Vec<Conditional<StepScript>>),
    /// From pinned Debian packages.
    Debian,
}

/// The script of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepScript {
    /// Which step, of [`STEP_NAMES`].
    pub step: String,
    /// What `/bin/sh` reads.
    pub text: String,
}

/// Words that a step is called with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepArguments {
    /// Which step, of [`STEP_NAMES`].
    pub step: String,
    /// The words.
    pub words: Vec<String>,
}

/// A file beside the recipe.
#[derive(Debug, Clone)]
pub struct RecipeFile {
    /// Its path below the recipe's folder.
    pub path: String,
    /// Where the recipe names it.
    pub span: Span,
}

/// Another package that this one needs.
#[derive(Debug, Clone)]
pub struct Dependency {
    /// The package, as its folder in the tree of recipes is called.
    pub name: Name,
    /// The versions that will do.
    pub condition: Condition,
    /// What is asked of it.
    pub choices: BTreeMap<String, Choice>,
    /// Where the recipe names it.
    pub span: Span,
}

impl<T> Conditional<T> {
    /// Whether it stands there for what was chosen.
    pub fn holds(&self, selection: &Selection) -> bool {
        self.when.holds(selection) && !self.unless.iter().any(|nearer| nearer.holds(selection))
    }

    /// Whether it stands there whatever is chosen.
    pub fn is_always_there(&self) -> bool {
        self.when.is_empty() && self.unless.is_empty()
    }
}

impl Conditional<Dependency> {
    /// Whether `name` means this line: the package is called so, or a feature of that name chooses it.
    fn is_meant_by(&self, name: &Name) -> bool {
        self.item.name == *name || self.when.features().any(|feature| feature == name.as_str())
    }
}

impl Recipe {
    /// Reads `PACKAGES/NAME/recipe.kdl`, which must be the recipe `name`.
    fn load(packages: &Path, name: &Name) -> Result<Versions> {
        let folder = packages.join(name.as_str());
        let path = folder.join(RECIPE_FILE);
        let bytes = text_file::read_below(packages, &path)?;
        let versions = decode::recipe(&path.display().to_string(), &bytes, &folder)?;
        let recipe = versions.newest();
        if recipe.name != *name {
            let cause = format!("the recipe is called '{}', its folder '{name}'", recipe.name);
            return Err(Error::caused("", recipe.span.error(cause, "give both the same name")));
        }
        Ok(versions)
    }

    /// Every choice made, as `wishes` and else its defaults have it.
    ///
    /// # Errors
    /// The wishes cannot be had.
    pub fn choose(&self, wishes: &Wishes) -> Result<Selection> {
        choice::choose(&self.name, &self.features, wishes)
    }

    /// Whether it has a feature of this name.
    pub fn leaves_open(&self, feature: &str) -> bool {
        self.features.iter().any(|it| it.name == feature)
    }

    /// Whether it has a feature of this name that can be this.
    pub fn can_be(&self, feature: &str, choice: &Choice) -> bool {
        self.features.iter().any(|it| it.name == feature && it.accept(choice).is_ok())
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
}

#[cfg(test)]
mod tests;
