//! Every choice of a package, made.

use std::collections::BTreeMap;

use profiles::Choice;

use super::name::{VARIANT, is_off};

/// Every choice made: what is not there is off.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Selection(BTreeMap<String, Choice>);

impl Selection {
    /// What was chosen for a feature.
    pub fn get(&self, feature: &str) -> &Choice {
        self.0.get(feature).unwrap_or(&Choice::Off)
    }

    /// Whether a feature is not off.
    pub fn has(&self, feature: &str) -> bool {
        !is_off(self.get(feature))
    }

    /// Everything that was chosen, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Choice)> {
        self.0.iter().map(|(name, choice)| (name.as_str(), choice))
    }

    /// Every feature but the variant, by name.
    pub fn features(&self) -> impl Iterator<Item = (&str, &Choice)> {
        self.iter().filter(|(name, _)| *name != VARIANT)
    }

    /// The variant, when the recipe has any.
    pub fn variant(&self) -> Option<&str> {
        match self.get(VARIANT) {
            Choice::Of(name) => Some(name.as_str()),
            Choice::On | Choice::Off => None,
        }
    }

    /// Chooses something for a feature, in place of what was.
    pub fn set(&mut self, feature: &str, choice: Choice) {
        self.0.insert(feature.to_owned(), choice);
    }
}

impl FromIterator<(String, Choice)> for Selection {
    fn from_iter<T: IntoIterator<Item = (String, Choice)>>(choices: T) -> Self {
        Selection(choices.into_iter().collect())
    }
}

/// `tls=libressl`, `+http2` or `-ldap`: a choice as on a command line.
pub fn shown(name: &str, choice: &Choice) -> String {
    match choice {
        Choice::On => format!("+{name}"),
        Choice::Off => format!("-{name}"),
        Choice::Of(value) => format!("{name}={value}"),
    }
}
