//! Who in a tree asks for a package, and for which choices of it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;

use profiles::version::Condition;
use profiles::{Choice, Name};

use crate::choice::{Asker, When};
use crate::error::{Error, Result};
use crate::profile::folder::ProfileFolder;
use crate::profile::layers;
use crate::recipe::{Conditional, Dependency, RecipeFolder};

/// One line that asks for a package.
#[derive(Debug, Clone)]
pub struct Demand {
    /// Where it stands.
    pub by: Asker,
    /// The name of the recipe or the profile.
    pub of: Name,
    /// What kind of line it is.
    pub kind: DemandKind,
    /// For which choices of the dependent.
    pub when: When,
    /// The versions that will do.
    pub condition: Condition,
    /// What is asked of it.
    pub choices: BTreeMap<String, Choice>,
}

/// What a package is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DemandKind {
    /// To be linked with.
    Link,
    /// To be seen by a build.
    Build,
    /// To be below another when that runs.
    Run,
    /// To be part of a system.
    System,
}

impl DemandKind {
    /// The word of the recipe or the profile.
    pub fn as_str(self) -> &'static str {
        match self {
            DemandKind::Link => "libraries",
            DemandKind::Build => "build-depends",
            DemandKind::Run => "depends",
            DemandKind::System => "packages",
        }
    }
}

/// All lines of a tree that ask for `package`, those of recipes first, each sorted by name.
///
/// # Errors
/// A recipe or a profile cannot be read: nobody knows then what it asks for.
pub fn demands(recipes: &RecipeFolder, profiles: &ProfileFolder, package: &Name) -> Result<Vec<Demand>> {
    let mut found = Vec::new();
    for name in recipes.names()? {
        let versions = recipes.load_all(&Name::parse(&name).map_err(Error::on(&name))?)?;
        // A line that several versions have is one.
        let mut seen = BTreeSet::new();
        for recipe in versions.all() {
            for (kind, list) in [
                (DemandKind::Link, &recipe.libraries),
                (DemandKind::Build, &recipe.build_depends),
                (DemandKind::Run, &recipe.depends),
            ] {
                let asking = list.iter().filter(|it| it.item.name == *package);
                let new = asking.filter(|it| seen.insert(it.span.range().start));
                found.extend(new.map(|it| of_recipe(&recipe.name, kind, it)));
            }
        }
    }
    for composition in profiles.compositions()? {
        let asking = layers::requests(&composition).into_iter().filter(|request| request.name == *package);
        // What it includes is told of the profile in whose file it stands.
        let own = Some(OsStr::new(composition.name.as_str()));
        let is_own = |by: &Asker| by.span().is_some_and(|it| Path::new(it.label()).file_stem() == own);
        found.extend(asking.filter(|request| is_own(&request.wishes.by)).map(|request| Demand {
            by: request.wishes.by,
            of: composition.name.clone(),
            kind: DemandKind::System,
            when: When::default(),
            condition: request.condition,
            choices: request.wishes.choices,
        }));
    }
    Ok(found)
}

fn of_recipe(of: &Name, kind: DemandKind, given: &Conditional<Dependency>) -> Demand {
    Demand {
        by: Asker::Dependent(of.clone(), given.span.clone()),
        of: of.clone(),
        kind,
        when: given.when.clone(),
        condition: given.item.condition.clone(),
        choices: given.item.choices.clone(),
    }
}
