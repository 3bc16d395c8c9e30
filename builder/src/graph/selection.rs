//! Which features and which variant of a package are built.

use std::collections::BTreeMap;

use profiles::suggest;

use crate::error::{Error, Result};
use crate::recipe::{Dependency, Recipe};

/// What somebody asked for; what they leave out takes the recipe's default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wishes {
    /// Features by name, on or off.
    pub features: BTreeMap<String, bool>,
    /// The variant.
    pub variant: Option<String>,
}

/// Every choice made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selection {
    /// Every feature of the recipe, on or off.
    pub features: BTreeMap<String, bool>,
    /// The variant, when the recipe has any.
    pub variant: Option<String>,
}

impl Selection {
    /// Fills in the defaults of `recipe`; a wish that the recipe does not know is an error that names a near one.
    pub fn choose(recipe: &Recipe, wishes: &Wishes) -> Result<Self> {
        let mut features: BTreeMap<String, bool> =
            recipe.features.iter().map(|feature| (feature.name.clone(), feature.default)).collect();
        for (name, on) in &wishes.features {
            let Some(value) = features.get_mut(name) else {
                let known: Vec<String> = recipe.features.iter().map(|feature| feature.name.clone()).collect();
                return Err(unknown(recipe, "feature", name, &known));
            };
            *value = *on;
        }
        let known = recipe.variants.as_ref().map(|variants| variants.names.clone()).unwrap_or_default();
        let variant = match &wishes.variant {
            Some(wish) if !known.contains(wish) => return Err(unknown(recipe, "variant", wish, &known)),
            Some(wish) => Some(wish.clone()),
            None => recipe.variants.as_ref().map(|variants| variants.default.clone()),
        };
        Ok(Selection { features, variant })
    }

    /// Whether a feature is on.
    pub fn has(&self, feature: &str) -> bool {
        self.features.get(feature).copied().unwrap_or(false)
    }

    /// The dependencies that this selection needs.
    pub fn wanted<'a>(&'a self, dependencies: &'a [Dependency]) -> impl Iterator<Item = &'a Dependency> {
        dependencies.iter().filter(|dependency| dependency.feature.as_ref().is_none_or(|name| self.has(name)))
    }
}

fn unknown(recipe: &Recipe, kind: &str, wish: &str, known: &[String]) -> Error {
    Error::new(format!("package {}", recipe.name.as_str()), format!("has no {kind} '{wish}'"))
        .remedy(suggest::remedy(wish, &known.iter().map(String::as_str).collect::<Vec<_>>()))
}
