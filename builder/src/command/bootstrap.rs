//! `lamina bootstrap`: the pins of the layer under every build.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use atomic_file::{Form, Output};
use profiles::Name;
use serde::Serialize;

use super::{print, print_json};
use crate::bootstrap::{DESCRIPTION_FILE, Description, PINS_FILE, Pins, solve};
use crate::command::context::Context;
use crate::error::{Error, Result};
use crate::fetch::Archives;
use crate::scratch::temporary::TemporaryFolder;

/// Pin the Debian packages of the layer under every build.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "bootstrap", example = "lamina bootstrap lock")]
pub struct BootstrapCommand {
    #[argh(subcommand)]
    action: Action,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum Action {
    Lock(PinPackages),
}

/// Find all that debian.kdl wants with apt's solver, write lock.kdl, and print what changed.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "lock", example = "lamina bootstrap lock\nlamina bootstrap lock --check --json")]
struct PinPackages {
    /// the recipe (default: bootstrap)
    #[argh(positional, default = "\"bootstrap\".to_owned()")]
    recipe: String,
    /// write nothing; exit status 1 when the lock would change
    #[argh(switch)]
    check: bool,
    /// write the changes as JSON
    #[argh(switch)]
    json: bool,
}

impl BootstrapCommand {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let Action::Lock(lock) = self.action;
        lock.run(context)
    }
}

impl PinPackages {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let name = Name::parse(&self.recipe).map_err(Error::on(&self.recipe))?;
        let folder = context.recipes()?.load(&name)?.folder;
        let description = Description::load(&folder.join(DESCRIPTION_FILE))?;
        let scratch = TemporaryFolder::make("apt")?;
        let new = solve(&description, &Archives::of_this_machine(), scratch.path())?;
        let path = folder.join(PINS_FILE);
        // A lock that cannot be read is replaced like one that is not there.
        let old = Pins::load(&path).ok();
        let changes = changes(old.as_ref(), &new);
        if self.json {
            print_json(&changes)?;
        } else {
            changes.iter().try_for_each(print)?;
        }
        if old.as_ref() == Some(&new) {
            return Ok(ExitCode::SUCCESS);
        }
        if self.check {
            return Ok(ExitCode::FAILURE);
        }
        let file = Output::create(&path, Form::Text)?;
        file.handle()?.write_all(new.to_kdl().as_bytes()).map_err(Error::on(path.display()))?;
        file.publish()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A package that came, went or has another version. Its Display is a line.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Change {
    package: String,
    before: Option<String>,
    after: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.package;
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, "~ {name} {before} -> {after}"),
            (None, Some(after)) => write!(f, "+ {name} {after}"),
            (before, None) => write!(f, "- {name} {}", before.as_deref().unwrap_or_default()),
        }
    }
}

/// What is new or has another version comes first, then what is gone; each by name.
fn changes(old: Option<&Pins>, new: &Pins) -> Vec<Change> {
    let versions = |pins: Option<&Pins>| -> BTreeMap<String, String> {
        let packages = pins.into_iter().flat_map(|pins| &pins.packages);
        packages.map(|package| (package.name.clone(), package.version.clone())).collect()
    };
    let (before, after) = (versions(old), versions(Some(new)));
    let names = after.keys().chain(before.keys().filter(|name| !after.contains_key(*name)));
    names
        .map(|name| Change {
            package: name.clone(),
            before: before.get(name).cloned(),
            after: after.get(name).cloned(),
        })
        .filter(|change| change.before != change.after)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_a_line() {
        let pins = |packages: &[(&str, &str)]| {
            let lines = packages.iter().map(|(name, version)| {
                let (hex, path) = ("0".repeat(64), format!("pool/{name}.deb"));
                format!("package \"{name}\" version=\"{version}\" sha256=\"{hex}\" size=1 path=\"{path}\"\n")
            });
            let text = format!("lock format=1 suite=\"bookworm\" {{\n{}}}\n", lines.collect::<String>());
            Pins::parse("lock.kdl", text.as_bytes()).unwrap()
        };
        let (old, new) =
            (pins(&[("a", "1"), ("b", "1"), ("c", "1")]), pins(&[("a", "1"), ("b", "2"), ("d", "1")]));
        let lines: Vec<String> = changes(Some(&old), &new).iter().map(Change::to_string).collect();
        assert_eq!(lines, ["~ b 1 -> 2", "+ d 1", "- c 1"]);
        assert_eq!(changes(None, &old).len(), 3);
        assert!(changes(Some(&old), &old).is_empty());
    }
}
