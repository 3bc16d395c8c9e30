//! Archives of crates, had from the program cargo: which registry it asks, by which proxy and with which key, its configuration says.

use std::env;
use std::path::PathBuf;
use std::process::Stdio;

use super::crate_version::CrateVersion;
use super::failure::{Failure, Kind};
use super::passwords::without_passwords;
use super::tied_program;

/// Letters of cargo's words that are shown.
const LONGEST_WORDS: usize = 600;

/// Where it lies in cargo's own cache, which cargo is asked to fill when it is not there.
///
/// # Errors
/// There is no cargo, or it cannot get it: in its own words.
pub(super) fn in_cache(wanted: &CrateVersion) -> Result<PathBuf, Failure> {
    if let Some(path) = cached(wanted) {
        return Ok(path);
    }
    ask_cargo(wanted)?;
    let words = format!("cargo did not leave {} in {}", wanted.archive(), "registry/cache of its folder");
    cached(wanted).ok_or_else(|| Failure::new(Kind::Unreachable, words))
}

/// `registry/cache/REGISTRY/` of cargo's folder (The Cargo Book, "Cargo Home"). Of several registries the first by name: the hash
/// decides whether it is the right file.
fn cached(wanted: &CrateVersion) -> Option<PathBuf> {
    let folders = std::fs::read_dir(cargo_home()?.join("registry/cache")).ok()?;
    let archives = folders.flatten().map(|folder| folder.path().join(wanted.archive()));
    archives.filter(|path| path.is_file()).min()
}

/// `cargo info` gets the archive of the one crate that it tells about, and of none that this one needs. In `/`, where no project
/// says which version is meant.
fn ask_cargo(wanted: &CrateVersion) -> Result<(), Failure> {
    let mut cargo = tied_program::command("cargo");
    cargo.args(["info", "--quiet", "--color", "never"]).arg(wanted.spec());
    cargo.current_dir("/").stdin(Stdio::null());
    let output = cargo.output().map_err(|error| Failure::here(tied_program::not_started(error)))?;
    if tied_program::is_missing(output.status) {
        let words =
            "there is no program cargo, which knows where crates are: install Rust's cargo, 1.82 or later";
        return Err(Failure::new(Kind::Unreachable, words));
    }
    match output.status.success() {
        true => Ok(()),
        false => Err(Failure::new(Kind::Unreachable, words_of(&String::from_utf8_lossy(&output.stderr)))),
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
    format!("cargo: {}", without_passwords(&words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_cargo_are_one_line_without_keys_and_bounded() {
        let said = "error: could not find\n\n  Caused by: https://key@a.test/x\n";
        assert_eq!(words_of(said), "cargo: error: could not find Caused by: https://***@a.test/x");
        assert!(words_of(&"x".repeat(10_000)).len() < 700);
    }
}
