//! Files and names: how long a file may be, names that say nothing, words that were replaced, and who forbids `unsafe`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::finding::{Finding, Unreadable};
use crate::workspace::{Crate, Workspace};

/// A longer file has more than one subject.
const MOST_LINES: usize = 400;
/// Names of modules that say where code was put, and not what it does.
const SAY_NOTHING: [&str; 8] = ["common", "commons", "helper", "helpers", "misc", "shared", "util", "utils"];
/// The one crate that may have `unsafe`: it denies it, and allows it block by block.
const UNSAFE_CRATE: &str = "stack";
/// The words that were replaced: `WORD<TAB>what to say`.
const WORDS: &str = "crates/house-check/words";

/// Findings about all files that git knows.
pub fn check(root: &Path, workspace: &Workspace) -> Result<Vec<Finding>, Unreadable> {
    let words = read(root, WORDS)?;
    let words: Vec<(&str, &str)> = words
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('\t'))
        .collect();
    let mut findings = Vec::new();
    for file in tracked(root)? {
        findings.extend(name_that_says_nothing(&file));
        let text = read(root, &file)?;
        findings.extend(too_long(&file, &text));
        if file.ends_with(".rs") {
            findings.extend(replaced_words(&file, &text, &words));
        }
    }
    for one in &workspace.crates {
        let manifest = read(root, &format!("{}/Cargo.toml", one.folder))?;
        findings.extend(allows_unsafe(one, &manifest));
    }
    Ok(findings)
}

fn read(root: &Path, file: &str) -> Result<String, Unreadable> {
    fs::read_to_string(root.join(file)).map_err(|error| Unreadable::new(file, error))
}

/// The sources that git knows or would add, and that are there.
fn tracked(root: &Path) -> Result<Vec<String>, Unreadable> {
    let mut command = Command::new("git");
    command.args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "*.rs",
        "*.sh",
        "Makefile",
        ".ci/*",
    ]);
    let output =
        command.current_dir(root).output().map_err(|error| Unreadable::new("git ls-files", error))?;
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() || names.is_empty() {
        return Err(Unreadable::new("git ls-files", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(names.lines().filter(|name| root.join(name).exists()).map(str::to_owned).collect())
}

/// `builder` of `builder/src/lock.rs`, `crates/cli` of `crates/cli/src/lib.rs`.
fn crate_folder(file: &str) -> &str {
    file.split("/src/").next().and_then(|folder| folder.split("/tests/").next()).unwrap_or(file)
}

fn too_long(file: &str, text: &str) -> Option<Finding> {
    let lines = text.lines().count();
    (lines > MOST_LINES).then(|| Finding {
        key: format!("lines {}", crate_folder(file)),
        place: file.to_owned(),
        message: format!(
            "{lines} lines, of at most {MOST_LINES}: it has a second subject; give that a file of its own"
        ),
    })
}

/// The name of a module is that of its file, or of the folder of `mod.rs`.
fn name_that_says_nothing(file: &str) -> Option<Finding> {
    let parts = Path::new(file.strip_suffix(".rs")?).iter();
    let named = parts.filter_map(|part| part.to_str()).find(|part| SAY_NOTHING.contains(part))?;
    Some(Finding {
        key: format!("name {file}"),
        place: file.to_owned(),
        message: format!("`{named}` says where code was put: name the file after what it does"),
    })
}

fn replaced_words(file: &str, text: &str, words: &[(&str, &str)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut told = BTreeSet::new();
    for (number, line) in (1..).zip(text.lines()) {
        // A word with a blank or a single plain word is about comments; one with `_` is a name anywhere.
        let comment = line.trim_start().strip_prefix("//").unwrap_or_default();
        for (word, instead) in words {
            let place = if word.contains('_') { line } else { comment };
            if contains_word(place, word) && told.insert((number, *word)) {
                findings.push(Finding {
                    key: format!("word {word}"),
                    place: format!("{file}:{number}"),
                    message: format!("`{word}`: {instead}"),
                });
            }
        }
    }
    findings
}

/// Whether `word` stands in `text` with no letter before or after it.
fn contains_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let letter = |found: Option<char>| found.is_some_and(|found| found.is_alphanumeric());
        !letter(text[..at].chars().next_back()) && !letter(text[at + word.len()..].chars().next())
    })
}

/// The workspace's lints forbid `unsafe`; a crate must take them over.
fn allows_unsafe(one: &Crate, manifest: &str) -> Option<Finding> {
    let read: Result<toml::Table, _> = toml::from_str(manifest);
    let lints = read.as_ref().ok().and_then(|table| table.get("lints"));
    let inherited =
        lints.and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool) == Some(true);
    let own = lints.and_then(|lints| lints.get("rust")?.get("unsafe_code")).and_then(toml::Value::as_str);
    let kept = inherited || own == Some("forbid") || (one.name == UNSAFE_CRATE && own == Some("deny"));
    (!kept).then(|| Finding {
        key: format!("unsafe {}", one.name),
        place: format!("{}/Cargo.toml", one.folder),
        message: format!(
            "{} does not forbid `unsafe`: only {UNSAFE_CRATE} may have it; write `[lints] workspace = true`",
            one.name
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::tests::workspace;

    #[test]
    fn long_files_are_told() {
        assert!(too_long("a.rs", &"\n".repeat(400)).is_none());
        assert!(too_long("a.rs", &"\n".repeat(401)).unwrap().message.starts_with("401 lines"));
        assert_eq!(too_long("crates/a/tests/b.rs", &"\n".repeat(401)).unwrap().key, "lines crates/a");
    }

    #[test]
    fn names_that_say_nothing_are_told() {
        assert!(name_that_says_nothing("builder/src/store/utils.rs").is_some());
        assert!(name_that_says_nothing("builder/src/common/mod.rs").is_some());
        assert!(name_that_says_nothing("builder/src/commonly.rs").is_none());
        assert!(name_that_says_nothing("packages/util/recipe.kdl").is_none());
    }

    #[test]
    fn replaced_words_are_told_with_their_lines() {
        let words = [("in_one_go", "say at_once"), ("the gate", "say entry")];
        let told = |text: &str| {
            replaced_words("a.rs", text, &words).iter().map(Finding::to_string).collect::<Vec<_>>()
        };
        assert_eq!(told("\nfn do_in_one_go() {}"), ["a.rs:2: `in_one_go`: say at_once"]);
        assert_eq!(told("/// Through the gate."), ["a.rs:1: `the gate`: say entry"]);
        assert_eq!(told("let text = \"the gate\"; // the gates\n// all the gates"), [""; 0]);
    }

    #[test]
    fn a_crate_that_does_not_forbid_unsafe_is_told() {
        let workspace = workspace(&[("stack", &[]), ("other", &[])]);
        let [stack, other] = &workspace.crates[..] else { panic!("two crates") };
        assert!(allows_unsafe(other, "[lints]\nworkspace = true").is_none());
        assert!(allows_unsafe(other, "[lints.rust]\nunsafe_code = \"forbid\"").is_none());
        assert!(allows_unsafe(other, "[lints.rust]\nunsafe_code = \"deny\"").is_some());
        assert!(allows_unsafe(other, "[package]\nname = \"other\"").is_some());
        assert!(allows_unsafe(stack, "[lints.rust]\nunsafe_code = \"deny\"").is_none());
        assert!(allows_unsafe(stack, "").is_some());
    }
}
