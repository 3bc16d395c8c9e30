//! What a command names: packages, or a written profile, which stands for its packages.

use profiles::written::Composition;
use profiles::{Name, suggest};

use super::folder::ProfileFolder;
use crate::error::{Error, Result};
use crate::recipe::{NONE_HERE, RecipeFolder};

/// What a name stands for.
#[derive(Debug, Clone)]
pub enum Named {
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

/// What `name` stands for. A name that is both a package and a profile is an error, unless `meaning` decides.
pub fn find(name: &str, meaning: Meaning, recipes: &RecipeFolder, profiles: &ProfileFolder) -> Result<Named> {
    let parsed = Name::parse(name)
        .map_err(|error| Error::caused(format!("'{name}'"), error).remedy(
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
        (true, false) => Ok(Named::Package(parsed)),
        (false, true) => profiles.compose(&parsed).map(|found| Named::Profile(Box::new(found))),
        (false, false) => {
            let mut names = recipes.names()?;
            names.extend(profiles.names()?);
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            Err(Error::new(format!("'{name}'"), "is neither a package nor a profile")
                .remedy(suggest::remedy_or(name, &names, NONE_HERE)))
        }
    }
}
