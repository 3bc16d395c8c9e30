//! What is chosen for a feature of a package.

use std::fmt;

use crate::Name;
use crate::decode::{KdlValue, Problem, Value};

/// On, off, or one of several values by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Choice {
    /// `#false`
    Off,
    /// `#true`
    On,
    /// One of several, by name.
    Of(Name),
}

impl Value for Choice {
    fn decode(value: &KdlValue) -> Result<Choice, Problem> {
        match value.as_bool() {
            Some(true) => Ok(Choice::On),
            Some(false) => Ok(Choice::Off),
            None if value.is_string() => Name::decode(value).map(Choice::Of),
            None => Err(Problem::new("a feature is #true, #false or a name", "write #true to switch it on")),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::Off => f.write_str("off"),
            Choice::On => f.write_str("on"),
            Choice::Of(name) => name.fmt(f),
        }
    }
}
