//! `lamina recipe`: what changes files of a tree that people write too.

use std::fs::File;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use profiles::Name;
use profiles::version::Condition;

use super::context::Context;
use super::{print, print_json};
use crate::choice::Asker;
use crate::error::{Error, Result};
use crate::recipe::VersionDemand;
use crate::recipe::pins::{self, PINS_FILE, Pin, pin_in};
use crate::text_file;

/// Recipes of a tree.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "recipe", example = "lamina recipe pin zlib 1.2.13")]
pub struct RecipeCommand {
    #[argh(subcommand)]
    action: Action,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum Action {
    Pin(PinCommand),
}

/// Fix which version of a package this tree takes, in its `pins.kdl`; without a version, list what is fixed.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "pin",
    example = "lamina recipe pin zlib 1.2.13\nlamina recipe pin curl '>=8,<9'\nlamina recipe pin zlib --remove\nlamina recipe pin",
    note = "Whoever calls `lamina build zlib version=1.3` is not held by a pin. A recipe or profile that asks for another version is an error that names both."
)]
struct PinCommand {
    /// a package, and behind it a version or a condition: 1.2.13, '>=1.2,<2', '^1.2'
    #[argh(positional)]
    package: Vec<String>,
    /// take the pin of the package away
    #[argh(switch)]
    remove: bool,
    /// write the list as JSON
    #[argh(switch)]
    json: bool,
}

impl RecipeCommand {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let Action::Pin(pin) = self.action;
        pin.run(context)
    }
}

impl PinCommand {
    fn run(self, context: &Context) -> Result<ExitCode> {
        if let Some(third) = self.package.get(2) {
            return Err(Error::new(format!("'{third}'"), "is one word too many")
                .remedy("put a condition between quotes: '>=1.2,<2'"));
        }
        let name = self.package.first().map(|it| Name::parse(it).map_err(Error::on(format!("'{it}'"))));
        match (name.transpose()?, self.package.get(1), self.remove) {
            (Some(name), Some(version), false) => {
                let condition = condition(context, &name, version)?;
                change(context, &name, Some(&condition))?;
            }
            (Some(name), None, true) => change(context, &name, None)?,
            (name, _, false) => self.list(context, name.as_ref())?,
            (_, _, true) => {
                return Err(Error::new("--remove", "takes a package and no version")
                    .remedy("for example: lamina recipe pin zlib --remove"));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn list(&self, context: &Context, only: Option<&Name>) -> Result<()> {
        let pins = context.recipes()?.pins()?;
        let shown = pins.names().filter(|(name, _)| only.is_none_or(|only| *name == only));
        if self.json {
            let entry = |(name, pin): (&Name, &Pin)| {
                serde_json::json!({
                    "name": name.as_str(),
                    "version": pin.condition.to_string(),
                    "place": pin.span.to_string(),
                })
            };
            return print_json(&shown.map(entry).collect::<Vec<_>>());
        }
        if let Some(name) = only.filter(|name| pins.of(name).is_none()) {
            return Err(Error::new(format!("package {name}"), "is not pinned")
                .remedy(format!("`lamina recipe pin {name} VERSION` pins it")));
        }
        for (name, pin) in shown {
            print(format_args!("{name} {}", pin.condition))?;
        }
        Ok(())
    }
}

/// A condition that a version of the package meets.
fn condition(context: &Context, name: &Name, text: &str) -> Result<Condition> {
    let condition = Condition::parse(text)
        .map_err(|cause| Error::new(format!("'{text}'"), cause).remedy("write 1.2.13, or '>=1.2,<2'"))?;
    let demand = VersionDemand { condition: condition.clone(), by: Asker::CommandLine };
    context.recipes()?.load_all(name)?.pick(&[demand])?;
    Ok(condition)
}

/// Writes the file anew, as a whole.
fn change(context: &Context, name: &Name, condition: Option<&Condition>) -> Result<()> {
    let recipes = context.recipes()?;
    let path = recipes.tree().join(PINS_FILE);
    let label = path.display().to_string();
    // Of two that change it at once, the second reads what the first has written. The lock goes with the handle.
    let folder = File::open(recipes.tree()).map_err(Error::on(recipes.tree().display()))?;
    folder.lock().map_err(Error::on(recipes.tree().display()))?;
    let before = pins::text_of_tree(recipes.tree())?;
    let before = before.map(|bytes| String::from_utf8(bytes).map_err(Error::on(&label))).transpose()?;
    text_file::replace(&path, &pin_in(&label, before.as_deref(), name, condition)?)?;
    drop(folder);
    context.report.line(format_args!("{label}: changed"));
    Ok(())
}
