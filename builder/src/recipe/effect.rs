//! What a choice has changed, and what another one would.

use profiles::Choice;

use super::{Instructions, Recipe, Step};
use crate::choice::{Feature, Wishes, name};
use crate::error::Result;

/// What another choice of one feature would change.
#[derive(Debug, Clone)]
pub struct Effect {
    /// The other choice.
    pub choice: Choice,
    /// The lines of the recipe that it adds and takes away; or why it cannot be had.
    pub change: Result<Change>,
}

/// Lines of a recipe that hold for one choice and not for another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    /// What is there then.
    pub added: Vec<String>,
    /// What is not there any more.
    pub removed: Vec<String>,
    /// The steps whose script reads the variable of the feature.
    pub read_by: Vec<&'static str>,
}

impl Change {
    /// What `there` has in place of `here`.
    pub fn between(here: &Instructions, there: &Instructions, feature: &Feature) -> Self {
        let variable = name::variable(&feature.name);
        let reads = |(name, step): (&'static str, &Step)| step.mentions(&variable).then_some(name);
        let read_by = there.steps().filter_map(reads).collect();
        let (here, there) = (here.lines(), there.lines());
        let without = |lines: &[String], others: &[String]| {
            lines.iter().filter(|line| !others.contains(line)).cloned().collect()
        };
        Change { added: without(&there, &here), removed: without(&here, &there), read_by }
    }

    /// Whether nothing differs but the id.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.read_by.is_empty()
    }
}

/// What each other choice of `feature` would change where everything else is wished as it is.
///
/// # Errors
/// `wishes` themselves cannot be had.
pub fn effects(recipe: &Recipe, wishes: &Wishes, feature: &Feature) -> Result<Vec<Effect>> {
    let chosen = recipe.choose(wishes)?;
    let here = recipe.instructions(&chosen)?;
    let others = feature.choices().into_iter().filter(|choice| choice != chosen.get(&feature.name));
    let effect = |choice: Choice| {
        let mut wishes = wishes.clone();
        wishes.choices.insert(feature.name.clone(), choice.clone());
        let there = recipe.choose(&wishes).and_then(|other| recipe.instructions(&other));
        Effect { choice, change: there.map(|there| Change::between(&here, &there, feature)) }
    };
    Ok(others.map(effect).collect())
}
