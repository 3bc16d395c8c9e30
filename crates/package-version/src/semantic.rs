//! Semantic Versioning 2.0.0 (semver.org), strict: the crate `semver` reads and compares.
//!
//! The order is total, as the crate has it: versions that differ in build metadata alone, which have the same precedence (semver.org, 10),
//! are ordered by that. Constraints go by precedence, so `=1.2.0` admits `1.2.0+build`.

use ::semver::{BuildMetadata, Prerelease, Version};

use crate::parse_error::{Fault, shown};

const REMEDY: &str = "write three numbers, as 1.2.0, and -rc.1 or +build behind them, or name another scheme";

pub(crate) fn key(text: &str) -> Result<Version, Fault> {
    Version::parse(text).map_err(|error| match check(text) {
        Err(fault) => fault,
        Ok(()) => Fault::new(0, error.to_string(), REMEDY),
    })
}

/// The first of the pre-releases of a version, or the version itself when it is one.
pub(crate) fn first_prerelease(version: &Version) -> Version {
    let mut first = Version { build: BuildMetadata::EMPTY, ..version.clone() };
    if first.pre.is_empty() {
        // Numbers come before words, and a shorter list before a longer one (semver.org, 11.4).
        first.pre = Prerelease::new("0").unwrap_or(Prerelease::EMPTY);
    }
    first
}

/// The numbers of a version or of the beginning of one, such as `1.2`.
pub(crate) fn numbers(text: &str) -> Vec<&str> {
    let end = text.find(['-', '+']).unwrap_or(text.len());
    text[..end].split('.').collect()
}

/// Where the crate says what is wrong and not where, this says both, in the order of the text.
fn check(text: &str) -> Result<(), Fault> {
    let mut at = 0;
    for (place, name) in ["major", "minor", "patch"].into_iter().enumerate() {
        if place > 0 {
            if !text[at..].starts_with('.') {
                return Err(Fault::new(at, format!("a '.' and the {name} number are missing"), REMEDY));
            }
            at += 1;
        }
        let digits = &text[at..at + text[at..].bytes().take_while(u8::is_ascii_digit).count()];
        number(digits, at, name)?;
        at += digits.len();
    }
    let rest = &text[at..];
    let (pre, build) = match rest.split_once('+') {
        Some((pre, build)) => (pre, Some(build)),
        None => (rest, None),
    };
    match pre.strip_prefix('-') {
        Some(pre) => identifiers(pre, at + 1, true)?,
        None if pre.is_empty() => {}
        None => {
            let c = pre.chars().next().unwrap_or_default();
            return Err(Fault::new(at, format!("{} stands behind the patch number", shown(c)), REMEDY));
        }
    }
    build.map_or(Ok(()), |build| identifiers(build, text.len() - build.len(), false))
}

fn number(digits: &str, at: usize, name: &str) -> Result<(), Fault> {
    let cause = match digits {
        "" => format!("the {name} number is missing"),
        _ if digits.len() > 1 && digits.starts_with('0') => format!("the {name} number has a leading zero"),
        _ if digits.parse::<u64>().is_err() => format!("the {name} number is larger than {}", u64::MAX),
        _ => return Ok(()),
    };
    Err(Fault::new(at, cause, REMEDY))
}

fn identifiers(list: &str, mut at: usize, are_prereleases: bool) -> Result<(), Fault> {
    for word in list.split('.') {
        if word.is_empty() {
            return Err(Fault::new(at, "a word is missing", REMEDY));
        }
        if let Some((inside, c)) = word.char_indices().find(|(_, c)| !c.is_ascii_alphanumeric() && *c != '-')
        {
            let cause = format!("{} belongs to no word: letters, digits and '-' do", shown(c));
            return Err(Fault::new(at + inside, cause, REMEDY));
        }
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
        if are_prereleases && is_number && word.len() > 1 && word.starts_with('0') {
            return Err(Fault::new(at, "a number has a leading zero", REMEDY));
        }
        at += word.len() + 1;
    }
    Ok(())
}
