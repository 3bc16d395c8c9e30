//! Archives of crates, had from the program cargo: which registry it asks, by which proxy and with which key, its configuration says.

use std::env;
use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;

use super::failure::{Failure, Kind};
use super::tied_program;

/// Letters of the longest name that a registry takes, and of a version.
const LONGEST: usize = 64;

/// Letters of cargo's words that are shown.
const LONGEST_WORDS: usize = 600;

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

    /// What cargo calls its archive, a tar packed with gzip.
    pub(super) fn archive(&self) -> String {
        format!("{}-{}.crate", self.name, self.version)
    }

    /// Where it lies in cargo's own cache, which cargo is asked to fill when it is not there.
    ///
    /// # Errors
    /// There is no cargo, or it cannot get it: in its own words.
    pub(super) fn in_cache(&self) -> Result<PathBuf, Failure> {
        if let Some(path) = self.cached() {
            return Ok(path);
        }
        self.ask_cargo()?;
        let words = format!("cargo did not leave {} in {}", self.archive(), "registry/cache of its folder");
        self.cached().ok_or_else(|| Failure::new(Kind::Unreachable, words))
    }

    /// `registry/cache/REGISTRY/` of cargo's folder (The Cargo Book, "Cargo Home"). Of several registries the first by name: the hash
    /// decides whether it is the right file.
    fn cached(&self) -> Option<PathBuf> {
        let folders = std::fs::read_dir(cargo_home()?.join("registry/cache")).ok()?;
        let archives = folders.flatten().map(|folder| folder.path().join(self.archive()));
        archives.filter(|path| path.is_file()).min()
    }

    /// `cargo info` gets the archive of the one crate that it tells about, and of none that this one needs. In `/`, where no project
    /// says which version is meant.
    fn ask_cargo(&self) -> Result<(), Failure> {
        let mut cargo = tied_program::command("cargo");
        cargo.args(["info", "--quiet", "--color", "never"]).arg(format!("{}@{}", self.name, self.version));
        cargo.current_dir("/").stdin(Stdio::null());
        let output = cargo.output().map_err(|error| Failure::here(tied_program::not_started(error)))?;
        if tied_program::is_missing(output.status) {
            let words = "there is no program cargo, which knows where crates are: install Rust's cargo, 1.82 or later";
            return Err(Failure::new(Kind::Unreachable, words));
        }
        match output.status.success() {
            true => Ok(()),
            false => Err(Failure::new(Kind::Unreachable, words_of(&String::from_utf8_lossy(&output.stderr)))),
        }
    }
}

/// As a recipe writes it, behind `crate:`.
impl fmt::Display for CrateVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.version)
    }
}

/// The folder of cargo's configuration and cache.
fn cargo_home() -> Option<PathBuf> {
    let named = env::var_os("CARGO_HOME").filter(|folder| !folder.is_empty());
    named.map(PathBuf::from).or_else(|| env::home_dir().map(|home| home.join(".cargo")))
}

/// What cargo said on standard error, in one line.
fn words_of(said: &str) -> String {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let words: String = lines.join(" ").chars().take(LONGEST_WORDS).collect();
    format!("cargo: {}", super::without_passwords(&words))
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

    #[test]
    fn words_of_cargo_are_one_line_without_keys_and_bounded() {
        let said = "error: could not find\n\n  Caused by: https://key@a.test/x\n";
        assert_eq!(words_of(said), "cargo: error: could not find Caused by: https://***@a.test/x");
        assert!(words_of(&"x".repeat(10_000)).len() < 700);
    }
}
