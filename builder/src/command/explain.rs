//! `lamina explain`: which choices a package is built with, who has made them, and what others would change.

use std::fmt::Write;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use serde_json::{Value, json};

use super::context::Context;
use super::store::choice_as_json;
use super::targets::{self, OnePackage};
use super::{print, print_json};
use crate::choice::{Asker, Feature, Selection, Wishes, shown};
use crate::error::{Error, Result};
use crate::graph::{Graph, Package, Request};
use crate::profile::layers;
use crate::profile::named::{self, Meaning, Named};
use crate::recipe::Recipe;
use crate::recipe::effect::{Change, Effect, effects};

/// Say for each choice of a package what it is, who has asked for it, and what another one would change.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "explain",
    example = "lamina explain nano +syntax",
    example = "lamina explain zlib --in console",
    note = "Without --in the package is explained as `lamina build` with the same words would build it."
)]
pub struct Explain {
    /// a package, and choices behind it: +NAME, -NAME, NAME=VALUE
    #[argh(positional)]
    package: Vec<String>,
    /// as it is in this profile, or below this package
    #[argh(option, long = "in", arg_name = "name")]
    inside: Option<String>,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

/// One build of the package, and who wants it so.
struct Explained<'a> {
    recipe: &'a Recipe,
    wishes: Wishes,
    selection: &'a Selection,
    asked: &'a [Wishes],
}

impl Explain {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let target = targets::one(&self.package)?;
        let (graph, _) = Graph::resolve(&context.recipes()?, &self.requests(context, &target)?)?;
        let of_name = |package: &&Package| package.recipe.name == target.name;
        let builds: Vec<Explained<'_>> = graph.packages().iter().filter(of_name).map(Explained::of).collect();
        if builds.is_empty() {
            let inside = self.inside.as_deref().unwrap_or_default();
            return Err(Error::new(format!("package {}", target.name), format!("is not in {inside}"))
                .remedy(format!("`lamina info {}` says who asks for it", target.name)));
        }
        if self.json {
            print_json(&builds.iter().map(Explained::as_json).collect::<Result<Vec<_>>>()?)?;
            return Ok(ExitCode::SUCCESS);
        }
        let texts = builds.iter().map(Explained::text).collect::<Result<Vec<String>>>()?;
        print(texts.join("\n").trim_end())?;
        Ok(ExitCode::SUCCESS)
    }

    fn requests(&self, context: &Context, target: &OnePackage) -> Result<Vec<Request>> {
        let wishes = Wishes { choices: target.choices.clone(), by: Asker::CommandLine };
        let Some(inside) = &self.inside else {
            return Ok(vec![Request { wishes, ..Request::plain(target.name.clone()) }]);
        };
        if !target.choices.is_empty() {
            return Err(Error::new("--in", "and choices on the command line exclude each other")
                .remedy("leave one of them out"));
        }
        match named::find(inside, Meaning::Any, &context.recipes()?, &context.profiles()?)? {
            Named::Package(name) => Ok(vec![Request::plain(name)]),
            Named::Profile(composition) => Ok(layers::requests(&composition)),
        }
    }
}

impl<'a> Explained<'a> {
    fn of(package: &'a Package) -> Self {
        let mut wishes = package.asked.iter().find(|it| !it.choices.is_empty()).cloned();
        for other in &package.asked {
            wishes = wishes.map(|wishes| wishes.or(&other.choices));
        }
        Explained {
            recipe: &package.recipe,
            wishes: wishes.unwrap_or_else(|| Wishes::none(Asker::CommandLine)),
            selection: &package.selection,
            asked: &package.asked,
        }
    }

    fn text(&self) -> Result<String> {
        let mut text = format!("{} {}\n", self.recipe.name, self.recipe.version);
        if self.recipe.features.is_empty() {
            text += "  its recipe leaves nothing open\n";
        }
        for feature in &self.recipe.features {
            let choice = self.selection.get(&feature.name);
            let _ = writeln!(text, "  {:<24} {}", shown(&feature.name, choice), self.why(feature));
            for effect in effects(self.recipe, &self.wishes, feature)? {
                let _ = writeln!(text, "      {}", effect_text(&feature.name, &effect));
            }
        }
        Ok(text)
    }

    /// Who has decided.
    fn why(&self, feature: &Feature) -> String {
        let askers = self.asked.iter().filter(|wishes| wishes.choices.contains_key(&feature.name));
        let mut askers: Vec<String> = askers.map(|wishes| wishes.by.to_string()).collect();
        askers.sort();
        askers.dedup();
        match askers.is_empty() {
            false => askers.join(", "),
            true if *self.selection.get(&feature.name) == feature.default => {
                format!("the default ({})", feature.span)
            }
            true => format!("off: it is there only with {}", feature.only_with),
        }
    }

    fn as_json(&self) -> Result<Value> {
        let choice = |feature: &Feature| -> Result<Value> {
            let others = effects(self.recipe, &self.wishes, feature)?;
            Ok(json!({
                "name": feature.name,
                "choice": choice_as_json(self.selection.get(&feature.name)),
                "why": self.why(feature),
                "others": others.iter().map(effect_as_json).collect::<Vec<_>>(),
            }))
        };
        let choices = self.recipe.features.iter().map(choice).collect::<Result<Vec<_>>>()?;
        Ok(json!({
            "name": self.recipe.name.as_str(),
            "version": self.recipe.version.as_str(),
            "choices": choices,
        }))
    }
}

fn effect_text(name: &str, effect: &Effect) -> String {
    let word = shown(name, &effect.choice);
    match &effect.change {
        Err(error) => format!("{word}: cannot be had: {}", error.cause()),
        Ok(change) if change.is_empty() => format!("{word}: nothing but the id"),
        Ok(Change { added, removed, read_by }) => {
            let list = |sign: &str, lines: &[String]| {
                lines.iter().map(|line| format!("{sign} {line}")).collect::<Vec<_>>()
            };
            let steps = read_by.join(", ");
            let read =
                (!read_by.is_empty()).then(|| format!("read by {}", count_of_steps(read_by.len(), &steps)));
            let lines: Vec<String> =
                [list("-", removed), list("+", added)].concat().into_iter().chain(read).collect();
            format!("{word}: {}", lines.join("; "))
        }
    }
}

/// `the step make`, `the steps make, install`.
fn count_of_steps(count: usize, steps: &str) -> String {
    format!("the {} {steps}", if count == 1 { "step" } else { "steps" })
}

fn effect_as_json(effect: &Effect) -> Value {
    match &effect.change {
        Err(error) => json!({ "choice": choice_as_json(&effect.choice), "refused": error.cause() }),
        Ok(change) => json!({
            "choice": choice_as_json(&effect.choice),
            "added": change.added,
            "removed": change.removed,
            "read_by": change.read_by,
        }),
    }
}
