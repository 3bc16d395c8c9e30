//! `lamina explain`: which choices a package is built with, who has made them, and what others would change.

use std::fmt::Write;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use serde_json::{Value, json};

use super::context::Context;
use super::store::choice_as_json;
use super::targets::{self, OnePackage};
use super::{at_most_one, explain_against, print, print_json};
use crate::choice::{Asker, Feature, Wishes, shown};
use crate::error::{Error, Result};
use crate::graph::{Graph, Package, Request};
use crate::profile::layers;
use crate::profile::named::{self, Meaning, Named};
use crate::recipe::effect::{Change, Decided, Effect};

/// Say for each choice of a package what it is, who has asked for it, and what another one would change.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "explain",
    example = "lamina explain nano +syntax",
    example = "lamina explain zlib --in console",
    example = "lamina explain dropbear --versions",
    example = "lamina explain dropbear --against 0123456789ab",
    note = "Without --in the package is explained as `lamina build` with the same words would build it."
)]
pub struct Explain {
    /// a package, and choices behind it: +NAME, -NAME, NAME=VALUE
    #[argh(positional)]
    package: Vec<String>,
    /// as it is in this profile, or below this package
    #[argh(option, long = "in", arg_name = "name")]
    inside: Option<String>,
    /// list the package and all that it needs with the version of each, and who has decided about it
    #[argh(switch)]
    versions: bool,
    /// compare the text of its id with that of this build of the store, line by line: the first digits of its id, NAME@ID, or the name of a package that was built once
    #[argh(option, arg_name = "id")]
    against: Option<String>,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

/// One build of the package, and who wants it so.
struct Explained<'a> {
    package: &'a Package,
    decided: Decided<'a>,
}

impl Explain {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        at_most_one(&[("--versions", self.versions), ("--against", self.against.is_some())])?;
        let target = targets::one(&self.package)?;
        let (graph, _) = Graph::resolve(&context.recipes()?, &self.requests(context, &target)?)?;
        if self.versions {
            return self.tell_versions(&graph);
        }
        let packages = graph.packages().iter().enumerate();
        let places = packages.filter(|(_, package)| package.recipe.name == target.name);
        let places: Vec<usize> = places.map(|(index, _)| index).collect();
        if places.is_empty() {
            let inside = self.inside.as_deref().unwrap_or_default();
            return Err(Error::new(format!("package {}", target.name), format!("is not in {inside}"))
                .remedy(format!("`lamina info {}` says who asks for it", target.name)));
        }
        if let Some(word) = &self.against {
            return explain_against::tell(context, &graph, &places, (&target.name, word), self.json);
        }
        let builds: Vec<Explained<'_>> =
            places.iter().map(|index| Explained::of(&graph.packages()[*index])).collect();
        if self.json {
            print_json(&builds.iter().map(Explained::as_json).collect::<Vec<_>>())?;
            return Ok(ExitCode::SUCCESS);
        }
        let texts = builds.iter().map(Explained::text).collect::<Vec<String>>();
        print(texts.join("\n").trim_end())?;
        Ok(ExitCode::SUCCESS)
    }

    fn tell_versions(&self, graph: &Graph) -> Result<ExitCode> {
        let mut packages: Vec<&Package> = graph.packages().iter().collect();
        packages.sort_by(|a, b| a.recipe.name.cmp(&b.recipe.name));
        if self.json {
            let entry = |package: &&Package| {
                json!({
                    "name": package.recipe.name.as_str(),
                    "version": package.recipe.version.as_str(),
                    "why": package.version_why(),
                    "versions": package.versions.all().iter().map(|it| it.version.as_str()).collect::<Vec<_>>(),
                })
            };
            print_json(&packages.iter().map(entry).collect::<Vec<_>>())?;
            return Ok(ExitCode::SUCCESS);
        }
        for package in packages {
            print(format_args!("{:<24} {}", package.recipe.name.as_str(), package.version_text()))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn requests(&self, context: &Context, target: &OnePackage) -> Result<Vec<Request>> {
        let wishes = Wishes { choices: target.choices.clone(), by: Asker::CommandLine };
        let Some(inside) = &self.inside else {
            let condition = target.version.clone();
            return Ok(vec![Request { wishes, condition, ..Request::plain(target.name.clone()) }]);
        };
        if !target.choices.is_empty() || !target.version.is_any() {
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
        let Package { recipe, selection, instructions, asked, .. } = package;
        let asked: Vec<Wishes> = asked.iter().map(|request| request.wishes_of(recipe)).collect();
        let by = asked.iter().find(|it| !it.choices.is_empty()).map(|it| it.by.clone());
        let none = Wishes::none(by.unwrap_or(Asker::CommandLine));
        let wishes = asked.iter().fold(none, |all, it| all.or(&it.choices));
        Explained { package, decided: Decided::new(recipe, wishes, selection, instructions) }
    }

    fn text(&self) -> String {
        let mut text = format!("{} {}\n", self.package.recipe.name, self.package.version_text());
        if self.package.recipe.features.is_empty() {
            text += "  its recipe leaves nothing open\n";
        }
        for feature in &self.package.recipe.features {
            let choice = self.package.selection.get(&feature.name);
            let _ = writeln!(text, "  {:<24} {}", shown(&feature.name, choice), self.why(feature));
            for effect in self.decided.effects(feature) {
                let _ = writeln!(text, "      {}", effect_text(&feature.name, &effect));
            }
        }
        text
    }

    /// Who has decided.
    fn why(&self, feature: &Feature) -> String {
        let asked = self.package.asked.iter().map(|request| request.wishes_of(&self.package.recipe));
        let askers = asked.filter(|wishes| wishes.choices.contains_key(&feature.name));
        let mut askers: Vec<String> = askers.map(|wishes| wishes.by.to_string()).collect();
        askers.sort();
        askers.dedup();
        match askers.is_empty() {
            false => askers.join(", "),
            true if *self.package.selection.get(&feature.name) == feature.default => {
                format!("the default ({})", feature.span)
            }
            true => format!("off: it is there only with {}", feature.only_with),
        }
    }

    fn as_json(&self) -> Value {
        let choice = |feature: &Feature| {
            let others = self.decided.effects(feature);
            json!({
                "name": feature.name,
                "choice": choice_as_json(self.package.selection.get(&feature.name)),
                "why": self.why(feature),
                "others": others.iter().map(effect_as_json).collect::<Vec<_>>(),
            })
        };
        json!({
            "name": self.package.recipe.name.as_str(),
            "version": self.package.recipe.version.as_str(),
            "why": self.package.version_why(),
            "choices": self.package.recipe.features.iter().map(choice).collect::<Vec<_>>(),
        })
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
