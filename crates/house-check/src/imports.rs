//! Crates that import crates of ours, against the tables of ARCHITECTURE.md.
//!
//! The column "may import" is about what a crate is built with. Tests may use more: any crate of ours but a program, which tests
//! start and do not import, and but those that import the crate itself, for then they would test it through its users. A crate that
//! is all tests has its row for what they use.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::finding::{Finding, Unreadable};
use crate::paths;
use crate::tables::{Allowed, Page, Row};
use crate::workspace::{Crate, Workspace};

/// Findings about each crate.
pub fn check(workspace: &Workspace, page: &Page) -> Vec<Finding> {
    let mut findings = Vec::new();
    for one in &workspace.crates {
        let Some(row) = page.folder(&one.folder) else { continue };
        findings.extend(not_allowed(one, row));
        findings.extend(not_used(one, row));
        findings.extend(tests_of(one, row, workspace));
    }
    findings
}

fn finding(one: &Crate, other: &str, place: String, message: String) -> Finding {
    Finding { key: format!("import {} {other}", one.name), place, message }
}

fn not_allowed(one: &Crate, row: &Row) -> Vec<Finding> {
    let refused = one.imports.iter().filter(|name| !row.allowed.allows(name));
    let told = refused.map(|name| {
        let message = format!(
            "{} imports {name}, which ARCHITECTURE.md:{} does not allow: do without it, or change the row where that is the better house",
            one.name, row.line
        );
        finding(one, name, format!("{}/Cargo.toml", one.folder), message)
    });
    told.collect()
}

/// A row must not allow what is no longer done, or readers would look for it.
fn not_used(one: &Crate, row: &Row) -> Vec<Finding> {
    let Allowed::Only(names) = &row.allowed else { return Vec::new() };
    let used = |name: &&String| {
        one.imports.contains(*name) || (one.imports.is_empty() && one.test_imports.contains(*name))
    };
    let told = names.iter().filter(|name| !used(name)).map(|name| {
        let message = format!("{} may import {name} and does not: take it out of the row", one.name);
        finding(one, name, format!("ARCHITECTURE.md:{}", row.line), message)
    });
    told.collect()
}

fn tests_of(one: &Crate, row: &Row, workspace: &Workspace) -> Vec<Finding> {
    let why_not = |name: &String| {
        let other = workspace.crates.iter().find(|other| other.name == *name)?;
        if row.allowed != Allowed::Open && row.allowed.allows(name) {
            None
        } else if other.is_program {
            Some("a program, which tests start and do not import")
        } else if imports_of_imports(workspace, name).contains(&one.name) {
            Some("which imports it: test that from there")
        } else {
            None
        }
    };
    let refused = one.test_imports.iter().filter_map(|name| Some((name, why_not(name)?)));
    let told = refused.map(|(name, why)| {
        finding(
            one,
            name,
            format!("{}/Cargo.toml", one.folder),
            format!("the tests of {} import {name}, {why}", one.name),
        )
    });
    told.collect()
}

/// All that the crate `name` is built with, at any depth.
fn imports_of_imports(workspace: &Workspace, name: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut open = vec![name.to_owned()];
    while let Some(name) = open.pop() {
        let found = workspace.crates.iter().filter(|one| one.name == name).flat_map(|one| &one.imports);
        open.extend(found.filter(|name| all.insert((*name).clone())).cloned());
    }
    all
}

/// Findings about the files that have a row of their own.
pub fn check_files(root: &Path, workspace: &Workspace, page: &Page) -> Result<Vec<Finding>, Unreadable> {
    let mut findings = Vec::new();
    for row in page.files.iter().filter(|row| row.allowed != Allowed::Open && root.join(&row.path).exists()) {
        let text =
            fs::read_to_string(root.join(&row.path)).map_err(|error| Unreadable::new(&row.path, error))?;
        let parsed = syn::parse_file(&text).map_err(|error| Unreadable::new(&row.path, error))?;
        findings.extend(used_by_file(&parsed.items, row, workspace));
    }
    Ok(findings)
}

fn used_by_file(items: &[syn::Item], row: &Row, workspace: &Workspace) -> Vec<Finding> {
    let mut told = BTreeSet::new();
    let mut findings = Vec::new();
    let found = paths::find(items);
    // `use stack::verity` makes `verity` another name than the crate's.
    let means_a_crate =
        |mention: &&paths::Mention| mention.path.len() > 1 && !found.imports.contains_key(&mention.path[0]);
    for mention in found.mentions.iter().filter(means_a_crate) {
        let name = mention.path[0].replace('_', "-");
        let own = workspace
            .crates
            .iter()
            .any(|one| one.name == name && row.path.starts_with(&format!("{}/", one.folder)));
        if workspace.has(&name) && !own && !row.allowed.allows(&name) && told.insert(name.clone()) {
            findings.push(Finding {
                key: format!("import {} {name}", row.path),
                place: format!("{}:{}", row.path, mention.line),
                message: format!("names {name}, which ARCHITECTURE.md:{} does not allow this file: do without it, or change the row", row.line),
            });
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::tests::workspace;

    const PAGE: &str = "
| folder | job | may import |
|---|---|---|
| `top/` | a job | `middle` |
| `middle/` | a job | `low` |
| `low/` | a job | no crate of ours |
";

    fn told(workspace: &Workspace) -> Vec<String> {
        check(workspace, &Page::read(PAGE, workspace)).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn only_what_the_table_allows_is_imported() {
        assert_eq!(told(&workspace(&[("top", &["middle"]), ("middle", &["low"]), ("low", &[])])), [""; 0]);
        let too_much = told(&workspace(&[("top", &["middle", "low"]), ("middle", &["low"]), ("low", &[])]));
        assert_eq!(too_much.len(), 1);
        assert!(
            too_much[0]
                .starts_with("top/Cargo.toml: top imports low, which ARCHITECTURE.md:4 does not allow"),
            "{too_much:?}"
        );
    }

    #[test]
    fn a_row_that_allows_what_is_not_done_is_told() {
        let told = told(&workspace(&[("top", &["middle"]), ("middle", &[]), ("low", &[])]));
        assert_eq!(told, ["ARCHITECTURE.md:5: middle may import low and does not: take it out of the row"]);
    }

    #[test]
    fn tests_import_neither_programs_nor_users() {
        let mut workspace = workspace(&[("top", &["middle"]), ("middle", &["low"]), ("low", &[])]);
        workspace.crates[0].test_imports.insert("low".to_owned());
        assert_eq!(told(&workspace), [""; 0]);
        workspace.crates[2].test_imports.insert("top".to_owned());
        assert_eq!(
            told(&workspace),
            ["low/Cargo.toml: the tests of low import top, which imports it: test that from there"]
        );
        workspace.crates[2].test_imports.clear();
        workspace.crates[2].is_program = true;
        assert_eq!(
            told(&workspace),
            ["top/Cargo.toml: the tests of top import low, a program, which tests start and do not import"]
        );
    }

    #[test]
    fn a_file_with_a_row_keeps_to_it() {
        let workspace = workspace(&[("top", &[]), ("middle", &[]), ("low", &[])]);
        let page = "| file | what | may import |\n|---|---|---|\n| `top/src/plan.rs` | a job | `middle`; no system call |\n";
        let page = Page::read(page, &workspace);
        let found = |text: &str| {
            let items = syn::parse_file(text).unwrap().items;
            let findings = used_by_file(&items, &page.files[0], &workspace);
            findings.iter().map(|finding| finding.place.clone()).collect::<Vec<_>>()
        };
        assert_eq!(found("use middle::A;\nuse top::B;\nuse low::C;"), ["top/src/plan.rs:3"]);
        assert_eq!(found("fn f() { low::g(); low::h() }"), ["top/src/plan.rs:1"]);
        assert_eq!(found("use middle::low;\nfn f() { low::g() }"), [""; 0]);
    }
}
