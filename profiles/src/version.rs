//! Versions of packages and conditions on them.
//!
//! Versions compare as dpkg compares upstream versions (deb-version(7)): stretches of digits as numbers, the rest
//! character by character, letters before signs, and `~` before everything, even before the end: `1.0~rc1 < 1.0`.

use std::cmp::Ordering;
use std::fmt;

use crate::decode::{KdlValue, Problem, Value, text};

/// Longest version in bytes.
const LONGEST: usize = 64;

/// A version: 1 to 64 ASCII letters, digits and `. + ~ - _`. Two versions are equal when neither is newer, so `1.0`
/// and `1.00` are.
#[derive(Clone)]
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

impl Ord for Version {
    fn cmp(&self, other: &Version) -> Ordering {
        let (mut a, mut b) = (self.0.as_str(), other.0.as_str());
        loop {
            let (a_signs, a_rest) = a.split_at(a.find(|c: char| c.is_ascii_digit()).unwrap_or(a.len()));
            let (b_signs, b_rest) = b.split_at(b.find(|c: char| c.is_ascii_digit()).unwrap_or(b.len()));
            let (a_digits, a_next) = a_rest.split_at(digits(a_rest));
            let (b_digits, b_next) = b_rest.split_at(digits(b_rest));
            let order = signs(a_signs, b_signs).then_with(|| number(a_digits, b_digits));
            if order.is_ne() || (a_next.is_empty() && b_next.is_empty()) {
                return order;
            }
            (a, b) = (a_next, b_next);
        }
    }
}

/// The length of the digits that `text` starts with.
fn digits(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())
}

/// Compares two stretches without digits.
fn signs(a: &str, b: &str) -> Ordering {
    let weights = |text: &str| text.bytes().map(weight).chain([END]).collect::<Vec<u16>>();
    weights(a).cmp(&weights(b))
}

/// The weight of the end of a stretch: only `~` weighs less.
const END: u16 = 1;

/// In ascending order: `~`, the end, letters, other signs.
fn weight(byte: u8) -> u16 {
    match byte {
        b'~' => END - 1,
        _ if byte.is_ascii_alphabetic() => END + u16::from(byte),
        _ => END + 256 + u16::from(byte),
    }
}

/// Compares two stretches of digits of any length as numbers.
fn number(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Version) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Version) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}

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

/// Each sign with the orders that it allows; a sign stands before those that it starts with.
const SIGNS: [(&str, &[Ordering]); 5] = [
    (">=", &[Ordering::Greater, Ordering::Equal]),
    ("<=", &[Ordering::Less, Ordering::Equal]),
    (">", &[Ordering::Greater]),
    ("<", &[Ordering::Less]),
    ("=", &[Ordering::Equal]),
];

/// What a version must meet: all of a list of bounds, like `>=1.22,<2`. An empty list allows every version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Condition(Vec<(usize, Version)>);

impl Condition {
    /// Reads bounds joined by commas, each one of `>= <= > < =` and a version.
    ///
    /// # Errors
    /// Says which bound is wrong, and how.
    pub fn parse(text: &str) -> Result<Condition, String> {
        let bound = |bound: &str| {
            let sign = SIGNS.iter().position(|(sign, _)| bound.starts_with(sign));
            let sign = sign.ok_or_else(|| format!("'{bound}' does not start with one of >= <= > < ="))?;
            Ok((sign, Version::parse(bound[SIGNS[sign].0.len()..].trim())?))
        };
        text.split(',').map(|part| bound(part.trim())).collect::<Result<_, String>>().map(Condition)
    }

    /// Whether `version` meets every bound.
    pub fn allows(&self, version: &Version) -> bool {
        self.0.iter().all(|(sign, bound)| SIGNS[*sign].1.contains(&version.cmp(bound)))
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bounds: Vec<String> =
            self.0.iter().map(|(sign, bound)| format!("{}{bound}", SIGNS[*sign].0)).collect();
        f.write_str(if bounds.is_empty() { "any" } else { "" })?;
        f.write_str(&bounds.join(","))
    }
}

impl Value for Condition {
    fn decode(value: &KdlValue) -> Result<Condition, Problem> {
        let help = "write it like \">=1.22\", \"=1.2.3\" or \">=1.22,<2\"";
        Condition::parse(text(value)?).map_err(|message| Problem::new(message, help))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).expect(text)
    }

    #[test]
    fn orders_as_dpkg_does() {
        let ascending = [
            "0~~",
            "0~",
            "0",
            "0a",
            "0.9",
            "1.0~~dev",
            "1.0~rc1",
            "1.0~rc2",
            "1.0",
            "1.0a",
            "1.0z",
            "1.0+git1",
            "1.0.1",
            "1.2",
            "1.10",
            "1.10.0",
            "2",
            "20240101",
            "99999999999999999999998",
            "99999999999999999999999",
        ];
        for (at, low) in ascending.iter().enumerate() {
            assert_eq!(version(low), version(low));
            for high in &ascending[at + 1..] {
                assert!(version(low) < version(high) && version(high) > version(low), "{low} < {high}");
            }
        }
        assert_eq!(version("1.01"), version("1.1"));
    }

    #[test]
    fn all_bounds_must_hold() {
        let condition = Condition::parse(">=1.22, <2").expect("a condition");
        for (text, allowed) in
            [("1.9", false), ("1.22~rc1", false), ("1.22", true), ("1.99", true), ("2", false)]
        {
            assert_eq!(condition.allows(&version(text)), allowed, "{text}");
        }
        assert_eq!(condition.to_string(), ">=1.22,<2");
        assert!(Condition::parse("=1.0").expect("exact").allows(&version("1.00")));
        assert!(!Condition::parse(">1").expect("above").allows(&version("1")));
        assert!(Condition::parse("<=1").expect("at most").allows(&version("1")));
        assert!(Condition::default().allows(&version("0~")));
    }

    #[test]
    fn says_what_is_wrong() {
        assert!(
            Version::parse("").is_err()
                && Version::parse("1 2").is_err()
                && Version::parse(&"1".repeat(65)).is_err()
        );
        assert_eq!(Condition::parse("1.2"), Err("'1.2' does not start with one of >= <= > < =".to_owned()));
        assert_eq!(Condition::parse(">=1,,<2"), Err("'' does not start with one of >= <= > < =".to_owned()));
        assert!(Condition::parse(">=").is_err_and(|message| message.starts_with("'' is no version")));
    }
}
