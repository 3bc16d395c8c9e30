//! What a recipe says of one build: all that its conditions leave, once every choice is made.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use profiles::{Choice, Name, Span};

use super::{Conditional, Dependency, Making, Recipe, RecipeFile, STEP_NAMES, StepScript};
use crate::choice::linkage::{self, Linkage, Role};
use crate::choice::{Selection, shown};
use crate::error::{Error, Result};
use crate::fetch::Source;
use crate::shell_word::{plain, quote};

/// What one build is made from and how.
#[derive(Debug, Clone)]
pub struct Instructions {
    /// What is downloaded.
    pub sources: Vec<Source>,
    /// Patches in the order they are applied.
    pub patches: Vec<RecipeFile>,
    /// Other files that the steps may read.
    pub files: Vec<RecipeFile>,
    /// What it is linked with.
    pub libraries: Vec<Library>,
    /// What the build sees besides the bootstrap layer.
    pub build_depends: Vec<Dependency>,
    /// What must be below this package when it runs.
    pub depends: Vec<Dependency>,
    /// What each step does, by its name; none, where Debian packages are put together.
    pub steps: BTreeMap<&'static str, Step>,
}

/// A package that another is linked with.
#[derive(Debug, Clone)]
pub struct Library {
    /// As the recipe has it.
    pub dependency: Dependency,
    /// What is asked of it where it leaves that open, and the recipe says nothing else.
    pub handed_on: BTreeMap<String, Choice>,
    /// Whether it stays shared in a mixed package.
    pub stays_shared: bool,
    /// Whether no other linkage will do.
    pub insists: bool,
}

/// What is done in a step, and the words that it is called with.
#[derive(Debug, Clone)]
pub struct Step {
    /// What is done.
    pub work: StepWork,
    /// `"$@"` of its script.
    pub arguments: Vec<String>,
    /// Where the recipe has the script; not for what is done when it has none.
    pub span: Option<Span>,
}

impl Step {
    /// Whether its script has this word in it.
    pub fn mentions(&self, word: &str) -> bool {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        matches!(&self.work, StepWork::Script(text) if text.split(|c| !is_part(c)).any(|part| part == word))
    }
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

impl Instructions {
    /// The libraries that stay shared though others are linked in, by name.
    pub fn shared(&self) -> BTreeSet<&Name> {
        self.libraries.iter().filter(|it| it.stays_shared).map(|it| &it.dependency.name).collect()
    }

    /// The steps, in the order they run.
    pub fn steps(&self) -> impl Iterator<Item = (&'static str, &Step)> {
        STEP_NAMES.into_iter().filter_map(|name| Some((name, self.steps.get(name)?)))
    }

    /// One line for everything in them, as the recipe has it; a script is told from others by where it stands.
    pub fn lines(&self) -> Vec<String> {
        let sources = self.sources.iter().map(|source| format!("source {}", source.file));
        let files = |word: &'static str, files: &[RecipeFile]| -> Vec<String> {
            files.iter().map(|file| format!("{word} {}", file.path)).collect()
        };
        let needed = |word: &'static str, list: &[Dependency]| -> Vec<String> {
            list.iter().map(|it| format!("{word} {it}")).collect()
        };
        let steps = self.steps().flat_map(|(name, step)| {
            let work = match (&step.work, &step.span) {
                (StepWork::Unpack(file), _) => format!("step {name}: unpack {file}"),
                (StepWork::Script(_), Some(span)) => format!("step {name} at {span}"),
                (StepWork::Script(_), None) => format!("step {name}"),
            };
            let words = step.arguments.iter().map(|word| format!("arguments {name} {}", plain(word)));
            [work].into_iter().chain(words.collect::<Vec<_>>())
        });
        let libraries = self.libraries.iter().map(|it| format!("libraries {}", it.with_all_asked()));
        sources
            .chain(files("patch", &self.patches))
            .chain(files("file", &self.files))
            .chain(libraries)
            .chain(needed("build-depends", &self.build_depends))
            .chain(needed("depends", &self.depends))
            .chain(steps)
            .collect()
    }
}

impl Library {
    /// The line of the recipe with what is handed on behind what it says itself.
    pub fn with_all_asked(&self) -> Dependency {
        self.asking(|_| true)
    }

    /// The same, with only those choices handed on that the library leaves open.
    pub fn asking(&self, leaves_open: impl Fn(&str) -> bool) -> Dependency {
        let mut dependency = self.dependency.clone();
        for (name, choice) in self.handed_on.iter().filter(|(name, _)| leaves_open(name)) {
            dependency.choices.entry(name.clone()).or_insert_with(|| choice.clone());
        }
        dependency
    }
}

/// As in a recipe, with what is asked of it: `curl >=8 tls=libressl`.
impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)?;
        if !self.condition.is_any() {
            write!(f, " {}", self.condition)?;
        }
        self.choices.iter().try_for_each(|(name, choice)| write!(f, " {}", shown(name, choice)))
    }
}

impl Recipe {
    /// What is done for a build of `selection`.
    ///
    /// # Errors
    /// Two lines of the recipe hold that exclude each other, with both places; a step of that name is missing.
    pub fn instructions(&self, selection: &Selection) -> Result<Instructions> {
        let sources = only("source", &self.sources, selection, |it| &it.file)?;
        let patches = only("patch", &self.patches, selection, |it| &it.path)?;
        let steps = match &self.making {
            Making::Debian => BTreeMap::new(),
            Making::Steps(scripts) => self.steps(scripts, selection, &sources, &patches)?,
        };
        Ok(Instructions {
            files: only("file", &self.files, selection, |it| &it.path)?,
            libraries: self.libraries(selection)?,
            build_depends: only("dependency", &self.build_depends, selection, |it| it.name.as_str())?,
            depends: only("dependency", &self.depends, selection, |it| it.name.as_str())?,
            sources,
            patches,
            steps,
        })
    }

    /// What it is linked with, and what each is asked for.
    fn libraries(&self, selection: &Selection) -> Result<Vec<Library>> {
        let is_mixed = Linkage::of(selection) == Some(Linkage::Mixed);
        let library = |given: &Conditional<Dependency>| {
            let stays_shared = is_mixed && self.shared.iter().any(|name| given.is_meant_by(name));
            let role = match stays_shared {
                _ if linkage::is_libc(selection, &given.item.name) => Role::Libc,
                true => Role::StaysShared,
                false => Role::Other,
            };
            let handed_on = linkage::handed_on(selection, role);
            let insists = !is_mixed || role != Role::Other;
            Library { dependency: given.item.clone(), handed_on, stays_shared, insists }
        };
        let left = left("library", &self.libraries, selection, |it| it.name.as_str())?;
        Ok(left.into_iter().map(library).collect())
    }

    /// The recipe's scripts, and the defaults that docs/recipes.md describes.
    fn steps(
        &self,
        scripts: &[Conditional<StepScript>],
        selection: &Selection,
        sources: &[Source],
        patches: &[RecipeFile],
    ) -> Result<BTreeMap<&'static str, Step>> {
        let mut steps = BTreeMap::new();
        for name in STEP_NAMES {
            let script = script_of(name, scripts, selection)?;
            let span = script.map(|script| script.span.clone());
            let work = match script {
                Some(script) => Some(StepWork::Script(script.item.text.clone())),
                None if name == "unpack" => {
                    sources.first().map(|source| StepWork::Unpack(source.file.clone()))
                }
                None if name == "patch" => default_patch(patches).map(StepWork::Script),
                None => None,
            };
            let given = self.arguments.iter().filter(|it| it.item.step == name && it.holds(selection));
            let arguments: Vec<String> = given.flat_map(|it| it.item.words.clone()).collect();
            match work {
                Some(work) => _ = steps.insert(name, Step { work, arguments, span }),
                None if name == "install" => {
                    let cause = "no step \"install\" is left by what is chosen";
                    return Err(Error::caused("", self.span.error(cause, "add one without `when`")));
                }
                None => {}
            }
        }
        Ok(steps)
    }
}

/// The script of a step: one whose condition holds, else the one that has none.
fn script_of<'a>(
    name: &str,
    scripts: &'a [Conditional<StepScript>],
    selection: &Selection,
) -> Result<Option<&'a Conditional<StepScript>>> {
    let of_name = || scripts.iter().filter(|script| script.item.step == name && script.holds(selection));
    let mut chosen = of_name().filter(|script| !script.when.is_empty());
    match (chosen.next(), chosen.next()) {
        (Some(first), Some(second)) => Err(both_hold("step", name, &first.span, &second.span)),
        (Some(only), None) => Ok(Some(only)),
        (None, _) => Ok(of_name().find(|script| script.when.is_empty())),
    }
}

/// What is left of a list, without where it stands.
fn only<T: Clone>(
    kind: &str,
    list: &[Conditional<T>],
    selection: &Selection,
    name: impl Fn(&T) -> &str,
) -> Result<Vec<T>> {
    Ok(left(kind, list, selection, name)?.into_iter().map(|given| given.item.clone()).collect())
}

/// What is left of a list; only one of each name may be.
fn left<'a, T>(
    kind: &str,
    list: &'a [Conditional<T>],
    selection: &Selection,
    name: impl Fn(&T) -> &str,
) -> Result<Vec<&'a Conditional<T>>> {
    let mut first: BTreeMap<&str, &Span> = BTreeMap::new();
    let mut left = Vec::new();
    for given in list.iter().filter(|it| it.holds(selection)) {
        if let Some(before) = first.insert(name(&given.item), &given.span) {
            return Err(both_hold(kind, name(&given.item), before, &given.span));
        }
        left.push(given);
    }
    Ok(left)
}

fn both_hold(kind: &str, name: &str, first: &Span, second: &Span) -> Error {
    let cause = format!("the {kind} '{name}' stands twice for what is chosen; the first at {first}");
    Error::caused("", second.error(cause, "let their conditions exclude each other"))
}

fn default_patch(patches: &[RecipeFile]) -> Option<String> {
    let line = |patch: &RecipeFile| format!("patch -p1 -i {}\n", quote(&format!("/recipe/{}", patch.path)));
    (!patches.is_empty()).then(|| patches.iter().map(line).collect())
}
