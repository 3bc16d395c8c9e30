//! All versions that one recipe has, and which of them is meant.

use std::sync::Arc;

use package_version::{Constraint, ParseError, Scheme, Version};
use profiles::version::Condition;
use profiles::{Name, suggest};

use super::Recipe;
use crate::choice::Asker;
use crate::error::{Error, Result};

/// A recipe in each of its versions.
#[derive(Debug, Clone)]
pub struct Versions {
    scheme: Scheme,
    /// The newest first; never empty.
    recipes: Vec<Arc<Recipe>>,
}

/// What somebody says of the version.
#[derive(Debug, Clone)]
pub struct VersionDemand {
    /// The versions that will do.
    pub condition: Condition,
    /// Who says so.
    pub by: Asker,
}

impl Versions {
    /// Those of a recipe whose versions are of `scheme`; `None` where there is none.
    pub(super) fn new(scheme: Scheme, mut recipes: Vec<Recipe>) -> Option<Self> {
        recipes.sort_by(|a, b| b.version.partial_cmp(&a.version).unwrap_or(std::cmp::Ordering::Equal));
        let recipes: Vec<Arc<Recipe>> = recipes.into_iter().map(Arc::new).collect();
        (!recipes.is_empty()).then_some(Versions { scheme, recipes })
    }

    /// How they compare.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// All of them, the newest first.
    pub fn all(&self) -> &[Arc<Recipe>] {
        &self.recipes
    }

    /// The one that is taken when nobody says anything.
    pub fn newest(&self) -> &Arc<Recipe> {
        &self.recipes[0]
    }

    /// The same, where no other is of interest.
    pub fn into_newest(mut self) -> Recipe {
        Arc::unwrap_or_clone(self.recipes.swap_remove(0))
    }

    /// The newest that all demands are content with.
    ///
    /// # Errors
    /// A demand is no constraint of this scheme; no version meets all of them, with who asks for what.
    pub fn pick(&self, demands: &[VersionDemand]) -> Result<&Arc<Recipe>> {
        let constraints =
            demands.iter().map(|demand| self.constraint(demand)).collect::<Result<Vec<Constraint>>>()?;
        let fits =
            |recipe: &&Arc<Recipe>| constraints.iter().all(|it| it.admits(&recipe.version) == Ok(true));
        self.recipes.iter().find(fits).ok_or_else(|| self.none_for(demands))
    }

    /// Whether a version of this recipe meets a condition; what cannot be read as one does not.
    pub fn admits(&self, version: &Version, condition: &Condition) -> bool {
        constraint(condition, self.scheme).is_ok_and(|it| it.admits(version) == Ok(true))
    }

    fn constraint(&self, demand: &VersionDemand) -> Result<Constraint> {
        let VersionDemand { condition, by } = demand;
        constraint(condition, self.scheme).map_err(|error| {
            let cause =
                format!("{condition} is no condition on its versions ({}): {}", self.scheme, error.cause());
            by.point(self.error(cause).remedy(error.remedy()))
        })
    }

    fn none_for(&self, demands: &[VersionDemand]) -> Error {
        let asking: Vec<&VersionDemand> = demands.iter().filter(|it| !it.condition.is_any()).collect();
        let asked = match asking.as_slice() {
            // The error is shown where it stands.
            [only] => only.condition.to_string(),
            all => {
                let all: Vec<String> = all.iter().map(|it| format!("{} ({})", it.condition, it.by)).collect();
                all.join(" and ")
            }
        };
        let versions: Vec<&str> = self.recipes.iter().map(|recipe| recipe.version.as_str()).collect();
        let cause = match versions.as_slice() {
            [only] => format!("is version {only}, and {asked} is asked for"),
            all => format!("has the versions {}, and none is {asked}", all.join(", ")),
        };
        let error = self.error(cause).remedy("change the condition, or add a version to the recipe");
        match asking.first() {
            Some(demand) => demand.by.point(error),
            None => error,
        }
    }

    fn name(&self) -> &Name {
        &self.newest().name
    }

    fn error(&self, cause: String) -> Error {
        Error::new(format!("package {}", self.name()), cause)
    }
}

/// What a condition means for versions of this scheme.
///
/// # Errors
/// It is none there.
pub(super) fn constraint(condition: &Condition, scheme: Scheme) -> Result<Constraint, ParseError> {
    match condition.is_any() {
        true => Ok(Constraint::any(scheme)),
        false => Constraint::parse(&condition.to_string(), scheme),
    }
}

/// Reads the name of a scheme.
///
/// # Errors
/// There is none of that name, with a near one.
pub(super) fn scheme(word: &str) -> Result<Scheme, (String, String)> {
    word.parse().map_err(|_| {
        let known = Scheme::ALL.map(Scheme::name);
        (format!("there is no version scheme '{word}'"), suggest::remedy(word, &known))
    })
}
