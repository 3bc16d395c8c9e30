//! What a command names: packages, or a written profile, which stands for its packages.

use std::fs;
use std::path::{Path, PathBuf};

use profiles::written::{self, Choice, Composition};
use profiles::{Diagnostics, Name, suggest};

use crate::build::plan::check_layers;
use crate::error::{Error, Result};
use crate::graph::selection::Wishes;
use crate::graph::{Graph, Request};
use crate::recipe::RecipeFolder;
use crate::text_file;

/// What to do when a tree has nothing of what is asked for.
pub(crate) const NONE_HERE: &str = "there are none here: is it the right tree? `--tree DIR` names another";

/// What a name stands for.
#[derive(Debug, Clone)]
pub enum Target {
    /// One package with its defaults.
    Package(Name),
    /// A profile with all that it includes.
    Profile(Box<Composition>),
}

/// Which kind of name is meant, when the user says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Whichever there is; both is an error.
    Any,
    /// A package.
    Package,
    /// A profile.
    Profile,
}

/// The folder of written profiles, `profiles/`.
#[derive(Debug, Clone)]
pub struct ProfileFolder {
    path: PathBuf,
}

impl ProfileFolder {
    /// The profiles in `path`; nothing is read yet.
    pub fn new(path: PathBuf) -> Self {
        ProfileFolder { path }
    }

    fn file(&self, name: &Name) -> PathBuf {
        self.path.join(format!("{name}.kdl"))
    }

    /// Whether there is a profile of this name.
    pub fn has(&self, name: &Name) -> bool {
        fs::symlink_metadata(self.file(name)).is_ok()
    }

    /// The names of all profiles, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        let name = |entry: fs::DirEntry| entry.file_name().to_str()?.strip_suffix(".kdl").map(str::to_owned);
        let mut names: Vec<String> = entries.filter_map(name).collect();
        names.sort();
        names
    }

    /// The profile of this name, joined with its includes.
    pub fn compose(&self, name: &Name) -> Result<Composition> {
        if !self.has(name) {
            let names = self.names();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            return Err(Error::new(
                format!("profile {name}"),
                format!("there is no {}", self.file(name).display()),
            )
            .remedy(suggest::remedy_or(name.as_str(), &names, NONE_HERE)));
        }
        let profile = parse(&self.file(name), text_file::read_below(&self.path, &self.file(name)))?;
        if profile.name != *name {
            let cause = format!("the profile is called '{}', its file '{name}.kdl'", profile.name);
            return Err(Error::new("", profile.place.error(cause, "give both the same name")));
        }
        self.join(&profile)
    }

    /// The profile in `file`, joined with its includes from this folder.
    pub fn compose_file(&self, file: &Path) -> Result<Composition> {
        self.join(&parse(file, text_file::read(file))?)
    }

    fn join(&self, profile: &written::Profile) -> Result<Composition> {
        let joined = written::compose(profile, |mention| {
            let path = self.file(&mention.name);
            match text_file::read_below(&self.path, &path) {
                Ok(bytes) => written::Profile::parse(&path.display().to_string(), &bytes),
                Err(error) if self.has(&mention.name) => {
                    Err(Diagnostics::from(error.diagnostic(&mention.place)))
                }
                Err(_) => {
                    let message = format!("there is no profile '{}' ({})", mention.name, path.display());
                    let names = self.names();
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    let help = suggest::remedy_or(mention.name.as_str(), &names, NONE_HERE);
                    Err(Diagnostics::from(mention.place.error(message, help)))
                }
            }
        });
        joined.map_err(Error::on(""))
    }
}

fn parse(file: &Path, bytes: Result<Vec<u8>>) -> Result<written::Profile> {
    written::Profile::parse(&file.display().to_string(), &bytes?).map_err(Error::on(""))
}

/// What `name` stands for. A name that is both a package and a profile is an error, unless `meaning` decides.
pub fn find(
    name: &str,
    meaning: Meaning,
    recipes: &RecipeFolder,
    profiles: &ProfileFolder,
) -> Result<Target> {
    let parsed = Name::parse(name)
        .map_err(|error| Error::new(format!("'{name}'"), error).remedy(
            "give the name of a package or a profile; a profile in a file has a slash or ends in .kdl, and only `profile check` reads one",
        ))?;
    let (package, profile) = match meaning {
        Meaning::Any => (recipes.has(&parsed), profiles.has(&parsed)),
        Meaning::Package => (true, false),
        Meaning::Profile => (false, true),
    };
    match (package, profile) {
        (true, true) => Err(Error::new(format!("'{name}'"), "is both a package and a profile")
            .remedy("say which with --package or --profile")),
        (true, false) => Ok(Target::Package(parsed)),
        (false, true) => profiles.compose(&parsed).map(|found| Target::Profile(Box::new(found))),
        (false, false) => {
            let mut names = recipes.names()?;
            names.extend(profiles.names());
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            Err(Error::new(format!("'{name}'"), "is neither a package nor a profile")
                .remedy(suggest::remedy_or(name, &names, NONE_HERE)))
        }
    }
}

/// The packages that a profile asks for, bottom first, and behind them those that can be added.
pub fn requests(composition: &Composition) -> Result<Vec<Request>> {
    composition.packages.iter().chain(&composition.optional).map(request).collect()
}

/// The layers of a profile, as indices into the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layers {
    /// The stack, bottom first. What an optional package needs is always in it, so that adding one line is enough.
    pub stack: Vec<usize>,
    /// What can be added, in written order.
    pub optional: Vec<usize>,
}

impl Layers {
    /// Sorts what `graph` resolved: `roots` are the indices of [`requests`].
    ///
    /// # Errors
    /// A package that needs an optional one: without it, it would not run. More layers than the kernel joins.
    pub fn of(graph: &Graph, composition: &Composition, roots: &[usize]) -> Result<Layers> {
        let optional = roots.get(composition.packages.len()..).unwrap_or_default();
        let (all, package) = (graph.stack(roots), |index: usize| &graph.packages()[index]);
        for index in &all {
            for needed in &package(*index).depends {
                let name = &package(*needed).recipe.name;
                if optional.iter().any(|optional| package(*optional).recipe.name == *name) {
                    let cause = format!("{} needs {name}, which is optional", package(*index).recipe.name);
                    return Err(Error::new(format!("profile {}", composition.name), cause)
                        .remedy(format!("move {name} from 'optional' to 'packages'")));
                }
            }
        }
        let stack: Vec<usize> = all.into_iter().filter(|index| !optional.contains(index)).collect();
        let object = || format!("profile {}", composition.name);
        check_layers(object(), "it", stack.len())?;
        check_layers(object(), "what can be added to it", optional.len())?;
        Ok(Layers { stack, optional: optional.to_vec() })
    }

    /// All of them, bottom first.
    pub fn all(&self) -> Vec<usize> {
        [self.stack.as_slice(), &self.optional].concat()
    }
}

fn request(package: &written::Package) -> Result<Request> {
    let mut wishes = Wishes {
        variant: package.variant.as_ref().map(|name| name.as_str().to_owned()),
        ..Wishes::default()
    };
    for (feature, choice) in &package.features {
        let on = match choice {
            Choice::On => true,
            Choice::Off => false,
            Choice::Of(value) => {
                let message = format!("feature '{feature}' of '{}' is a switch, not '{value}'", package.name);
                let help = format!("write {feature}=#true or {feature}=#false");
                return Err(Error::new("", package.place.error(message, help)));
            }
        };
        wishes.features.insert(feature.as_str().to_owned(), on);
    }
    Ok(Request {
        name: package.name.clone(),
        wishes,
        condition: package.version.clone(),
        place: Some(package.place.clone()),
    })
}
