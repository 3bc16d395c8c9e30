//! What a program can keep of ARCHITECTURE.md and CONTRIBUTING.md; `make lint` runs it.
//!
//! | module | what it looks at |
//! |---|---|
//! | [`circles`] | modules that import each other; [`modules`] reads them, [`paths`] finds the paths in a file, [`names`] says what a path means |
//! | [`imports`] | crates that import each other, against the tables of ARCHITECTURE.md, which [`tables`] reads |
//! | [`picture`] | the picture of the crates in ARCHITECTURE.md |
//! | [`files`] | lengths and names of files, words that were replaced, and who forbids `unsafe` |
//!
//! What is known and not mended yet stands in `not-yet`; a line there that is no longer needed is a finding too.

mod circles;
mod files;
mod finding;
mod imports;
mod modules;
mod names;
mod paths;
mod picture;
mod tables;
mod workspace;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use argh::FromArgs;

use crate::finding::Unreadable;
use crate::tables::Page;
use crate::workspace::Workspace;

/// Checks that the house is as ARCHITECTURE.md says.
#[derive(FromArgs)]
struct Arguments {
    /// write the picture of the crates into ARCHITECTURE.md, in place of comparing it
    #[argh(switch)]
    draw: bool,
    /// list every import inside the circles of this crate, and check nothing else
    #[argh(option)]
    circles: Option<String>,
}

fn main() -> ExitCode {
    match run(&argh::from_env()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("house-check: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool, Unreadable> {
    let workspace = Workspace::read(Path::new("."))?;
    let root = workspace.root.clone();
    if let Some(name) = &arguments.circles {
        let of_crate = workspace.crates.iter().find(|one| one.name == *name);
        let of_crate = of_crate.ok_or_else(|| Unreadable::new(name, "is no crate of this workspace"))?;
        print!("{}", circles::list(&root, of_crate)?);
        return Ok(true);
    }
    let page_path = root.join("ARCHITECTURE.md");
    let text = fs::read_to_string(&page_path).map_err(|error| Unreadable::new("ARCHITECTURE.md", error))?;
    if arguments.draw {
        let drawn = picture::replace(&text, &picture::draw(&workspace))?;
        fs::write(&page_path, drawn).map_err(|error| Unreadable::new("ARCHITECTURE.md", error))?;
        return Ok(true);
    }
    let page = Page::read(&text, &workspace);
    let mut findings = page.findings.clone();
    findings.extend(imports::check(&workspace, &page));
    findings.extend(imports::check_files(&root, &workspace, &page)?);
    findings.extend(picture::check(&text, &workspace));
    for of_crate in &workspace.crates {
        findings.extend(circles::check(&root, of_crate)?);
    }
    findings.extend(files::check(&root, &workspace)?);
    let not_yet = read_data(&root, "not-yet")?;
    let (known, mut new): (Vec<_>, Vec<_>) =
        findings.into_iter().partition(|finding| not_yet.contains(&finding.key));
    new.extend(finding::no_longer_needed(&not_yet, &known));
    for finding in &new {
        eprintln!("{finding}");
    }
    println!("house-check: {} findings, {} more known and not mended yet", new.len(), known.len());
    Ok(new.is_empty())
}

/// The lines of one of the checker's own lists, without comments.
fn read_data(root: &Path, name: &str) -> Result<Vec<String>, Unreadable> {
    let path = root.join("crates/house-check").join(name);
    let text = fs::read_to_string(&path).map_err(|error| Unreadable::new(path.display(), error))?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}
