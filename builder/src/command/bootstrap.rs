//! `lamina bootstrap`: the pins of the layer under every build.

use std::io::Write;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use profiles::Name;
use unnamed_file::UnnamedFile;

use super::print;
use crate::bootstrap::{DESCRIPTION_FILE, Description, LOCK_FILE, Lock, solve};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::fetch::Archives;

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
    Lock(MakeLock),
}

/// Find all that debian.kdl wants with apt's solver, write lock.kdl, and print what changed.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "lock", example = "lamina bootstrap lock\nlamina bootstrap lock --check")]
struct MakeLock {
    /// the recipe (default: bootstrap)
    #[argh(positional, default = "\"bootstrap\".to_owned()")]
    recipe: String,
    /// write nothing; exit status 1 when the lock would change
    #[argh(switch)]
    check: bool,
}

impl BootstrapCommand {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let Action::Lock(lock) = self.action;
        lock.run(context)
    }
}

impl MakeLock {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let name = Name::parse(&self.recipe).map_err(Error::on(&self.recipe))?;
        let folder = context.recipes()?.load(&name)?.folder;
        let description = Description::load(&folder.join(DESCRIPTION_FILE))?;
        let scratch = tempfile::tempdir().map_err(Error::on("a temporary folder"))?;
        let new = solve(&description, &Archives::of_this_machine(), scratch.path())?;
        let path = folder.join(LOCK_FILE);
        // A lock that cannot be read is replaced like one that is not there.
        let old = Lock::load(&path).ok();
        let changes = changes(old.as_ref(), &new);
        for change in &changes {
            print(change)?;
        }
        if old.as_ref() == Some(&new) {
            return Ok(ExitCode::SUCCESS);
        }
        if self.check {
            return Ok(ExitCode::FAILURE);
        }
        let file = UnnamedFile::beside(&path)?;
        file.handle()?.write_all(new.to_kdl().as_bytes()).map_err(Error::on(path.display()))?;
        file.publish()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// One line for each package that came, went or has another version.
fn changes(old: Option<&Lock>, new: &Lock) -> Vec<String> {
    let versions = |lock: Option<&Lock>| -> std::collections::BTreeMap<String, String> {
        let packages = lock.into_iter().flat_map(|lock| &lock.packages);
        packages.map(|package| (package.name.clone(), package.version.clone())).collect()
    };
    let (before, after) = (versions(old), versions(Some(new)));
    let mut lines: Vec<String> = after
        .iter()
        .filter_map(|(name, version)| match before.get(name) {
            None => Some(format!("+ {name} {version}")),
            Some(known) if known != version => Some(format!("~ {name} {known} -> {version}")),
            Some(_) => None,
        })
        .collect();
    let gone = before.iter().filter(|(name, _)| !after.contains_key(*name));
    lines.extend(gone.map(|(name, version)| format!("- {name} {version}")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_a_line() {
        let lock = |packages: &[(&str, &str)]| {
            let lines = packages.iter().map(|(name, version)| {
                let (hex, path) = ("0".repeat(64), format!("pool/{name}.deb"));
                format!("package \"{name}\" version=\"{version}\" sha256=\"{hex}\" size=1 path=\"{path}\"\n")
            });
            let text = format!("lock format=1 suite=\"bookworm\" {{\n{}}}\n", lines.collect::<String>());
            Lock::parse("lock.kdl", text.as_bytes()).unwrap()
        };
        let (old, new) =
            (lock(&[("a", "1"), ("b", "1"), ("c", "1")]), lock(&[("a", "1"), ("b", "2"), ("d", "1")]));
        assert_eq!(changes(Some(&old), &new), ["~ b 1 -> 2", "+ d 1", "- c 1"]);
        assert_eq!(changes(None, &old).len(), 3);
        assert!(changes(Some(&old), &old).is_empty());
    }
}
