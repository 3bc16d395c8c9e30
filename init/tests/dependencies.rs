//! PID 1 stays small: every crate that is linked into `init` stands in `dependencies.allow`, with the reason.

use std::collections::BTreeSet;
use std::process::Command;

#[test]
fn every_crate_in_init_is_on_the_allow_list() {
    let folder = env!("CARGO_MANIFEST_DIR");
    let list = std::fs::read_to_string(format!("{folder}/dependencies.allow")).unwrap();
    let allowed: BTreeSet<&str> = list
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            line.split_once(' ').unwrap_or_else(|| panic!("dependencies.allow: no reason beside `{line}`")).0
        })
        .collect();
    // Normal dependencies only: build scripts and derive macros run on the build machine.
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--package", "init", "--edges", "normal,no-proc-macro"])
        .args(["--prefix", "none", "--format", "{lib}", "--target", "x86_64-unknown-linux-musl"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(tree.status.success(), "cargo tree: {}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let linked: BTreeSet<&str> = tree
        .lines()
        .map(|line| line.trim_end_matches(" (*)").trim())
        // Proc macros have no library; init's own is no dependency.
        .filter(|line| !line.is_empty() && *line != env!("CARGO_PKG_NAME"))
        .collect();
    let unknown: Vec<_> = linked.difference(&allowed).collect();
    assert!(unknown.is_empty(), "linked into PID 1, but not in init/dependencies.allow: {unknown:?}");
    let gone: Vec<_> = allowed.difference(&linked).collect();
    assert!(gone.is_empty(), "in init/dependencies.allow, but not linked any more: {gone:?}");
}
