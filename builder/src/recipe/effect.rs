//! What a choice has changed, and what another one would.

use profiles::Choice;

use super::{Instructions, Recipe, Step};
use crate::choice::{Feature, Selection, Wishes, name};
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
    /// Whether nothing differs but the id.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.read_by.is_empty()
    }
}

/// A build, as others are held against it.
#[derive(Debug)]
pub struct Decided<'a> {
    recipe: &'a Recipe,
    /// What was wished of it, by everybody.
    wishes: Wishes,
    selection: &'a Selection,
    lines: Vec<String>,
}

impl<'a> Decided<'a> {
    /// That of a recipe for which `wishes` came to `selection` and `instructions`.
    pub fn new(
        recipe: &'a Recipe,
        wishes: Wishes,
        selection: &'a Selection,
        instructions: &Instructions,
    ) -> Self {
        Decided { recipe, wishes, selection, lines: instructions.lines() }
    }

    /// What each other choice of `feature` would change where everything else is wished as it is.
    pub fn effects(&self, feature: &Feature) -> Vec<Effect> {
        let others = feature.choices().into_iter().filter(|it| it != self.selection.get(&feature.name));
        others.map(|choice| Effect { change: self.change(feature, &choice), choice }).collect()
    }

    fn change(&self, feature: &Feature, choice: &Choice) -> Result<Change> {
        let mut wishes = self.wishes.clone();
        wishes.choices.insert(feature.name.clone(), choice.clone());
        let there = self.recipe.instructions(&self.recipe.choose(&wishes)?)?;
        let variable = name::variable(&feature.name);
        let reads = |(name, step): (&'static str, &Step)| step.mentions(&variable).then_some(name);
        let without = |lines: &[String], others: &[String]| -> Vec<String> {
            lines.iter().filter(|line| !others.contains(line)).cloned().collect()
        };
        let lines = there.lines();
        Ok(Change {
            added: without(&lines, &self.lines),
            removed: without(&self.lines, &lines),
            read_by: there.steps().filter_map(reads).collect(),
        })
    }
}
