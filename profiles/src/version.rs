//! Versions of packages and conditions on them, as text: only the recipe of a package says by which scheme its versions compare.

use std::fmt;

use crate::decode::{KdlValue, Problem, Value, text};

/// Longest version in bytes.
const LONGEST: usize = 64;

/// A version: 1 to 64 ASCII letters, digits and `. + ~ - _`.
#[derive(Clone, PartialEq, Eq)]
pub struct Version(String);

impl Version {
    /// Accepts `text` when it is a version.
    ///
    /// # Errors
    /// Says what a version looks like.
    pub fn parse(text: &str) -> Result<Version, String> {
        let belongs = |c: char| c.is_ascii_alphanumeric() || ".+~-_".contains(c);
        if text.is_empty() || text.len() > LONGEST || !text.chars().all(belongs) {
            return Err(format!("'{text}' is no version: 1 to {LONGEST} letters, digits and . + ~ - _"));
        }
        Ok(Version(text.to_owned()))
    }

    /// The version as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Value for Version {
    fn decode(value: &KdlValue) -> Result<Version, Problem> {
        Version::parse(text(value)?).map_err(|message| Problem::new(message, "write it like \"1.2.3\""))
    }
}

/// What a part of a condition begins with; a sign stands before those that it starts with.
const SIGNS: [&str; 8] = [">=", "<=", "!=", ">", "<", "=", "~", "^"];

/// Most bytes of a condition.
const LONGEST_CONDITION: usize = 512;

/// What a version must meet: all of a list of bounds, like `>=1.22,<2`. An empty list allows every version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Condition(Vec<String>);

impl Condition {
    /// Reads bounds joined by commas, each one of `>= <= != > < = ~ ^` and a version, or a version alone, which means `=`.
    ///
    /// # Errors
    /// Says which bound is wrong, and how.
    pub fn parse(text: &str) -> Result<Condition, String> {
        if text.len() > LONGEST_CONDITION {
            return Err(format!(
                "the condition has {} bytes, and {LONGEST_CONDITION} are the most",
                text.len()
            ));
        }
        let bound = |bound: &str| {
            let sign = SIGNS.iter().find(|sign| bound.starts_with(**sign)).copied().unwrap_or_default();
            let version = Version::parse(bound[sign.len()..].trim())?;
            Ok(format!("{}{version}", if sign.is_empty() { "=" } else { sign }))
        };
        text.split(',').map(|part| bound(part.trim())).collect::<Result<_, String>>().map(Condition)
    }

    /// Whether every version meets it.
    pub fn is_any(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_any() { "any" } else { "" })?;
        f.write_str(&self.0.join(","))
    }
}

impl Value for Condition {
    fn decode(value: &KdlValue) -> Result<Condition, Problem> {
        let help = "write it like \">=1.22\", \"=1.2.3\", \"^1.2\" or \">=1.22,<2\"";
        Condition::parse(text(value)?).map_err(|message| Problem::new(message, help))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_written_in_one_way() {
        for (text, written) in [
            (">=1.22, <2", ">=1.22,<2"),
            ("1.2", "=1.2"),
            (" ~ 1.2 , != 1.2.3", "~1.2,!=1.2.3"),
            ("^1", "^1"),
        ] {
            assert_eq!(Condition::parse(text).expect(text).to_string(), written);
        }
        assert_eq!(Condition::default().to_string(), "any");
    }

    #[test]
    fn says_what_is_wrong() {
        assert!(
            Version::parse("").is_err()
                && Version::parse("1 2").is_err()
                && Version::parse(&"1".repeat(65)).is_err()
        );
        for text in ["", ">=1,,<2", ">=", "==1", "> =1", "1|2", &"1,".repeat(300)] {
            assert!(Condition::parse(text).is_err(), "{text}");
        }
    }
}
