//! What somebody asks for, and who it is.

use std::collections::BTreeMap;
use std::fmt;

use profiles::{Choice, Name, Span};

use crate::error::{AtSpan, Error};

/// Who asks for a package, or for a choice of it.
#[derive(Debug, Clone)]
pub enum Asker {
    /// Whoever calls `lamina`.
    CommandLine,
    /// A line of a profile.
    Profile(Span),
    /// A line of the recipe of a package that needs it.
    Dependent(Name, Span),
    /// A line of the tree's pins.
    Pin(Span),
}

/// What somebody asked for; what they leave out takes the recipe's default.
#[derive(Debug, Clone)]
pub struct Wishes {
    /// By the feature's name.
    pub choices: BTreeMap<String, Choice>,
    /// Who it is.
    pub by: Asker,
}

impl Wishes {
    /// None at all.
    pub fn none(by: Asker) -> Self {
        Wishes { choices: BTreeMap::new(), by }
    }

    /// Takes over what `other` wishes, where nothing is said here.
    pub fn or(mut self, other: &BTreeMap<String, Choice>) -> Self {
        for (name, choice) in other {
            self.choices.entry(name.clone()).or_insert_with(|| choice.clone());
        }
        self
    }
}

impl Asker {
    /// Shows an error where the wish stands.
    pub fn point(&self, error: Error) -> Error {
        match self.span() {
            None => error,
            Some(span) => error.at(span),
        }
    }

    /// Where the wish stands, when that is in a file.
    pub fn span(&self) -> Option<&Span> {
        match self {
            Asker::CommandLine => None,
            Asker::Profile(span) | Asker::Dependent(_, span) | Asker::Pin(span) => Some(span),
        }
    }
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Asker::CommandLine => f.write_str("asked for on the command line"),
            Asker::Profile(span) => write!(f, "asked for at {span}"),
            Asker::Dependent(name, span) => write!(f, "asked for by {name} at {span}"),
            Asker::Pin(span) => write!(f, "pinned at {span}"),
        }
    }
}
