//! From what somebody wishes to every choice made.

use std::collections::BTreeSet;

use profiles::{Choice, Name, suggest};

use super::feature::{Feature, Rule};
use super::name::VARIANT;
use super::selection::{Selection, shown};
use super::wishes::Wishes;
use crate::error::{Error, Result};

/// Fills in the defaults of `features`, which are those of `package`, and sees that all goes together.
///
/// # Errors
/// A wish that the recipe does not know, with a near one; a feature whose rules are broken, with who has asked for it.
pub fn choose(package: &Name, features: &[Feature], wishes: &Wishes) -> Result<Selection> {
    let choosing = Choosing { package, features, wishes };
    choosing.all().map_err(|error| wishes.by.point(error))
}

struct Choosing<'a> {
    package: &'a Name,
    features: &'a [Feature],
    wishes: &'a Wishes,
}

impl Choosing<'_> {
    fn all(&self) -> Result<Selection> {
        let defaults = self.features.iter().map(|feature| (feature.name.clone(), feature.default.clone()));
        let mut chosen: Selection = defaults.collect();
        for (name, wish) in &self.wishes.choices {
            chosen.set(name, self.accepted(name, wish)?);
        }
        self.leave_out(&mut chosen)?;
        self.check_rules(&chosen)?;
        Ok(chosen)
    }

    fn feature(&self, name: &str) -> Option<&Feature> {
        // They are sorted by name.
        let at = self.features.binary_search_by(|feature| feature.name.as_str().cmp(name)).ok()?;
        self.features.get(at)
    }

    fn accepted(&self, name: &str, wish: &Choice) -> Result<Choice> {
        let Some(feature) = self.feature(name) else {
            let known: Vec<&str> = self.features.iter().map(|feature| feature.name.as_str()).collect();
            let cause = match name {
                VARIANT => "has no variants".to_owned(),
                _ => format!("has no feature '{name}'"),
            };
            return Err(self.error(cause).remedy(suggest::remedy(name, &known)));
        };
        feature.accept(wish).map_err(|(cause, help)| self.error(format!("feature {cause}")).remedy(help))
    }

    /// Takes out what is there only with other choices, those others first: a condition may also say what must be off. Whoever reads recipes
    /// sees to it that no two features are there only with each other.
    fn leave_out(&self, chosen: &mut Selection) -> Result<()> {
        let mut decided = BTreeSet::new();
        self.features.iter().try_for_each(|feature| self.leave_out_one(feature, chosen, &mut decided))
    }

    fn leave_out_one<'a>(
        &'a self,
        feature: &'a Feature,
        chosen: &mut Selection,
        decided: &mut BTreeSet<&'a str>,
    ) -> Result<()> {
        let Feature { name, only_with, .. } = feature;
        if !decided.insert(name) {
            return Ok(());
        }
        for other in only_with.features().filter_map(|other| self.feature(other)) {
            self.leave_out_one(other, chosen, decided)?;
        }
        if !chosen.has(name) || only_with.holds(chosen) {
            return Ok(());
        }
        if self.wishes.choices.contains_key(name) {
            let why = self.because(chosen, only_with.features());
            let cause = format!("'{name}' is there only with {only_with}, and {why}");
            return Err(self.error(cause).remedy("choose both, or leave it out"));
        }
        chosen.set(name, feature.off().unwrap_or(Choice::Off));
        Ok(())
    }

    fn check_rules(&self, chosen: &Selection) -> Result<()> {
        for feature in self.features {
            let mut rules = feature.rules_of(chosen.get(&feature.name));
            if let Some(rule) = rules.find(|rule| rule.when.holds(chosen) != rule.must_hold) {
                return Err(self.broken(chosen, feature, rule));
            }
        }
        Ok(())
    }

    fn broken(&self, chosen: &Selection, feature: &Feature, rule: &Rule) -> Error {
        let (verb, advice) = match rule.must_hold {
            true => ("requires", "choose both"),
            false => ("conflicts with", "choose one of them"),
        };
        let features = [feature.name.as_str()].into_iter().chain(rule.when.features());
        let (word, why) = (shown(&feature.name, chosen.get(&feature.name)), self.because(chosen, features));
        let cause = format!("{word} {verb} {}: {why}; the rule stands at {}", rule.when, rule.span);
        self.error(cause).remedy(format!("{advice}; `lamina info {}` lists them", self.package))
    }

    /// `tls is none (asked for on the command line), http2 is on (the recipe's default)`.
    fn because<'a>(&self, chosen: &Selection, features: impl Iterator<Item = &'a str>) -> String {
        let mut sentences: Vec<String> = Vec::new();
        for name in features {
            let choice = chosen.get(name);
            let is_default = self.feature(name).is_some_and(|feature| feature.default == *choice);
            let by = match self.wishes.choices.contains_key(name) {
                true => format!(" ({})", self.wishes.by),
                false if is_default => " (the recipe's default)".to_owned(),
                false => String::new(),
            };
            let sentence = format!("{name} is {choice}{by}");
            if !sentences.contains(&sentence) {
                sentences.push(sentence);
            }
        }
        sentences.join(", ")
    }

    fn error(&self, cause: String) -> Error {
        Error::new(format!("package {}", self.package), cause)
    }
}
