//! Which crate is meant: its name and its version.

use std::fmt;

/// Letters of the longest name that a registry takes, and of a version.
const LONGEST: usize = 64;

/// One version of a crate: what `crate:NAME/VERSION` means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrateVersion {
    name: String,
    version: String,
}

impl CrateVersion {
    /// Reads `NAME/VERSION`. A version has all its numbers: part of one would be whichever is the newest today.
    pub(super) fn parse(text: &str) -> Option<CrateVersion> {
        let (name, version) = text.split_once('/')?;
        let of = |text: &str, others: &str| {
            text.len() <= LONGEST
                && text.chars().all(|letter| letter.is_ascii_alphanumeric() || others.contains(letter))
        };
        let named = name.starts_with(|first: char| first.is_ascii_alphabetic()) && of(name, "-_");
        let numbers = version.split(['-', '+']).next().unwrap_or_default();
        let numbered = numbers.split('.').filter(|part| part.parse::<u64>().is_ok()).count() == 3
            && numbers.split('.').count() == 3;
        (named && numbered && of(version, ".-+"))
            .then(|| CrateVersion { name: name.to_owned(), version: version.to_owned() })
    }

    /// As cargo takes it on a command line.
    pub(super) fn spec(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// What cargo calls its archive, a tar packed with gzip.
    pub(super) fn archive(&self) -> String {
        format!("{}-{}.crate", self.name, self.version)
    }
}

/// As a recipe writes it, behind `crate:`.
impl fmt::Display for CrateVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_has_a_name_and_a_whole_version() {
        for text in ["a/1.2.3", "libressl-pnacl-sys/2.1.6", "x_y/0.1.0-rc.1", "z/1.0.0+zlib.1.3"] {
            assert_eq!(CrateVersion::parse(text).unwrap().to_string(), text);
        }
        let long = format!("{}/1.2.3", "a".repeat(65));
        for text in
            ["", "a", "a/", "/1.2.3", "a/1", "a/1.2", "a/1.2.3.4", "a/1.2.x", "-a/1.2.3", "a/b/1.2.3", &long]
        {
            assert_eq!(CrateVersion::parse(text), None, "{text}");
        }
    }
}
