//! The recipe `packages/linux`, as far as it can be looked at without its sources: its fragments, and what it says of symbols that Kconfig
//! did not take.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kernel_config::{Group, place};

fn recipe() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packages/linux")
}

/// Runs the script `asked` of the recipe in `folder`.
fn asked(folder: &Path, words: &[&str]) -> Output {
    Command::new("/bin/sh").arg(recipe().join("asked")).args(words).current_dir(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_recipe_names_its_fragments() {
    let recipe = fs::read_to_string(recipe().join("recipe.kdl")).unwrap();
    let named = recipe.lines().filter_map(|line| line.trim().strip_prefix("file \"fragments/"));
    let named: BTreeSet<String> =
        named.map(|name| format!("fragments/{}", name.trim_end_matches('"'))).collect();
    // Nobody wants all graphics cards built in, and their firmware would be missing.
    let groups = Group::ALL.into_iter().filter(|group| *group != Group::Graphics);
    assert_eq!(named, groups.map(place).collect());
}

/// `facts` is what `why.c` said of Linux 6.12 when it was configured with `own.config` alone.
#[test]
fn symbols_that_were_not_taken_are_named_with_what_they_lack() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kconfig");
    let list = asked(&folder, &["list", "own.config"]);
    assert!(list.status.success(), "{list:?}");
    let scratch = tempfile::tempdir().unwrap();
    let place = scratch.path().join("list");
    fs::write(&place, &list.stdout).unwrap();
    let told = asked(&folder, &["compare", place.to_str().unwrap(), "facts"]);
    assert_eq!(told.status.code(), Some(1), "{told:?}");
    assert_eq!(text(&told.stdout), fs::read_to_string(folder.join("told")).unwrap());
    // What was taken is no reason to stop.
    let taken: String =
        text(&list.stdout).lines().filter(|line| !line.contains("DM_VERITY")).take(1).collect();
    fs::write(&place, taken + "\n").unwrap();
    assert!(asked(&folder, &["compare", place.to_str().unwrap(), "facts"]).status.success());
}

#[test]
fn a_later_fragment_is_stronger_and_other_text_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("a.config", "# why\nCONFIG_A=y\nCONFIG_B=\"x y\"\n\n# CONFIG_C is not set\n");
    write("b.config", "CONFIG_A=m  \r\nCONFIG_D=0x10\n");
    let list = asked(folder.path(), &["list", "a.config", "b.config"]);
    assert_eq!(
        text(&list.stdout),
        "A\tm\tb.config:1\nB\tx y\ta.config:3\nC\tn\ta.config:5\nD\t0x10\tb.config:2\n"
    );
    write("c.config", "CONFIG_A=y\nA=y\n");
    let refused = asked(folder.path(), &["list", "c.config"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(text(&refused.stderr), "asked: c.config:2: `A=y` is no setting like CONFIG_X=y\n");
}
