//! What a recipe leaves open: a switch, or one of several values.

use profiles::{Choice, Name, Span, suggest};

use super::name::{NONE, is_off};
use super::when::When;

/// Words that say something else where a feature could stand: in a dependency, a profile, on a command line.
pub const RESERVED: [&str; 3] = ["version", "when", "feature"];

/// Something that a recipe leaves open.
#[derive(Debug, Clone)]
pub struct Feature {
    /// The name, as in profiles.
    pub name: String,
    /// The values that it can have; a switch has none.
    pub values: Vec<FeatureValue>,
    /// What it is when nobody chooses.
    pub default: Choice,
    /// One line for people.
    pub description: Option<String>,
    /// Where this does not hold, the feature is off, and nobody can have it.
    pub only_with: When,
    /// What must hold, and what must not, where it is chosen.
    pub rules: Vec<Rule>,
    /// The values that it cannot have, with the reason as their description.
    pub cannot: Vec<FeatureValue>,
    /// Where the recipe names it.
    pub span: Span,
}

/// One of several values of a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureValue {
    /// Its name.
    pub name: Name,
    /// One line for people.
    pub description: Option<String>,
}

/// What a choice asks of other choices.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The value that asks; `None`: whatever is not off.
    pub of: Option<Name>,
    /// Whether `when` must hold, or must not.
    pub must_hold: bool,
    /// What is asked.
    pub when: When,
    /// Where the recipe says so.
    pub span: Span,
}

impl Feature {
    /// What `wish` means for this feature.
    ///
    /// # Errors
    /// What is wrong with it, and the remedy: it is a switch, or it has no such value.
    pub fn accept(&self, wish: &Choice) -> Result<Choice, (String, String)> {
        let values: Vec<&str> = self.values.iter().map(|value| value.name.as_str()).collect();
        let name = &self.name;
        match wish {
            Choice::Of(value) if values.is_empty() => Err((
                format!("'{name}' is a switch, not '{value}'"),
                format!("write {name}=#true or {name}=#false; on a command line +{name} or -{name}"),
            )),
            Choice::Of(value) if !values.contains(&value.as_str()) => {
                let refused = self.cannot.iter().find(|it| it.name == *value);
                if let Some(reason) = refused.and_then(|it| it.description.as_ref()) {
                    let help = format!("it can be {}", values.join(", "));
                    return Err((format!("'{name}' cannot be '{value}': {reason}"), help));
                }
                Err((format!("'{name}' has no value '{value}'"), suggest::remedy(value.as_str(), &values)))
            }
            Choice::On if !values.is_empty() => {
                Err((format!("'{name}' is no switch"), format!("write {name}={}", values.join("|"))))
            }
            Choice::Off => self.off().ok_or_else(|| {
                (format!("'{name}' cannot be off"), format!("write {name}={}", values.join("|")))
            }),
            _ => Ok(wish.clone()),
        }
    }

    /// What stands for "off" here, where it can be off.
    pub fn off(&self) -> Option<Choice> {
        match self.values.is_empty() {
            true => Some(Choice::Off),
            false => {
                let none = self.values.iter().find(|value| value.name.as_str() == NONE)?;
                Some(Choice::Of(none.name.clone()))
            }
        }
    }

    /// All that can be chosen.
    pub fn choices(&self) -> Vec<Choice> {
        match self.values.is_empty() {
            true => vec![Choice::On, Choice::Off],
            false => self.values.iter().map(|value| Choice::Of(value.name.clone())).collect(),
        }
    }

    /// The rules that this choice of it brings.
    pub fn rules_of<'a>(&'a self, choice: &'a Choice) -> impl Iterator<Item = &'a Rule> {
        self.rules.iter().filter(move |rule| match (&rule.of, choice) {
            (_, Choice::Off) => false,
            (None, choice) => !is_off(choice),
            (Some(of), Choice::Of(value)) => of == value,
            (Some(_), Choice::On) => false,
        })
    }
}
