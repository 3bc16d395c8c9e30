//! `lamina info`: what a recipe offers, and who in the tree asks for it.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use profiles::Choice;
use serde_json::{Value, json};

use super::context::Context;
use super::store::choice_as_json;
use super::targets::{self, OnePackage};
use super::{print, print_json};
use crate::choice::{Asker, Feature, Selection, Wishes, shown};
use crate::error::{Error, Result};
use crate::profile::demands::{Demand, demands};
use crate::recipe::{Instructions, Recipe, StepWork, VersionDemand, Versions};

/// Show what a package is, which choices its recipe leaves open, and who in this tree asks for it.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "info",
    example = "lamina info nano",
    example = "lamina info curl tls=libressl --resolved",
    note = "--resolved shows what the recipe says for these choices: every condition is decided, and the defaults are filled in."
)]
pub struct Info {
    /// a package, and choices behind it: +NAME, -NAME, NAME=VALUE
    #[argh(positional)]
    package: Vec<String>,
    /// what is done for these choices, in place of what is open
    #[argh(switch)]
    resolved: bool,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

impl Info {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let OnePackage { name, version, choices } = targets::one(&self.package)?;
        let recipes = context.recipes()?;
        let versions = recipes.load_all(&name)?;
        let demand = VersionDemand { condition: version.clone(), by: Asker::CommandLine };
        let recipe = versions.pick(&[demand])?;
        let wishes = Wishes { choices, by: Asker::CommandLine };
        let selection = recipe.choose(&wishes)?;
        if self.resolved {
            let instructions = recipe.instructions(&selection)?;
            match self.json {
                true => print_json(&resolved_as_json(recipe, &selection, &instructions))?,
                false => print(resolved(recipe, &selection, &instructions).trim_end())?,
            }
            return Ok(ExitCode::SUCCESS);
        }
        if !version.is_any() {
            return Err(Error::new(
                format!("version {version}"),
                "chooses, and all versions are to be listed",
            )
            .remedy("add `--resolved`, or leave it out"));
        }
        if let Some((name, choice)) = wishes.choices.first_key_value() {
            return Err(Error::new(
                format!("'{}'", shown(name, choice)),
                "chooses, and all choices are to be listed",
            )
            .remedy("add `--resolved`, or leave it out"));
        }
        let asking = demands(&recipes, &context.profiles()?, &recipe.name)?;
        let replaced: Vec<PathBuf> =
            recipes.having(&name).skip(1).map(|path| path.join(name.as_str())).collect();
        match self.json {
            true => print_json(&as_json(recipe, &versions, &replaced, &asking))?,
            false => print(text(recipe, &versions, &replaced, &asking).trim_end())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn text(recipe: &Recipe, versions: &Versions, replaced: &[PathBuf], asking: &[Demand]) -> String {
    let mut text = format!("{} {}\n{}\n{}", recipe.name, recipe.version, recipe.description, recipe.license);
    text += &recipe.homepage.as_ref().map_or("\n".to_owned(), |page| format!(", {page}\n"));
    for below in replaced {
        let _ = writeln!(text, "{} stands in place of {}", recipe.folder.display(), below.display());
    }
    if let [_, _, ..] = versions.all() {
        let list: Vec<&str> = versions.all().iter().map(|it| it.version.as_str()).collect();
        let _ = writeln!(text, "\nversions ({})\n  {}", versions.scheme(), list.join(", "));
    }
    if !recipe.features.is_empty() {
        text += "\nchoices\n";
    }
    for feature in &recipe.features {
        let _ = writeln!(text, "{}", feature_text(feature));
    }
    if !asking.is_empty() {
        text += "\nasked for by\n";
    }
    for demand in asking {
        let _ = writeln!(text, "  {}", demand_text(demand));
    }
    text
}

/// `  tls=openssl    Who encrypts: openssl, libressl, none`, and a line for each value that has a description.
fn feature_text(feature: &Feature) -> String {
    let values: Vec<&str> = feature.values.iter().map(|value| value.name.as_str()).collect();
    let mut about = feature.description.clone().unwrap_or_default();
    if !values.is_empty() {
        let list = values.join(", ");
        about = if about.is_empty() { list } else { format!("{about}: {list}") };
    }
    let head = shown(&feature.name, &feature.default);
    let mut lines = vec![format!("  {head:<24} {about}").trim_end().to_owned()];
    let described =
        feature.values.iter().filter_map(|value| Some((&value.name, value.description.as_ref()?)));
    lines.extend(described.map(|(name, text)| format!("  {:<24} {name}: {text}", "")));
    lines.extend(rules(feature).into_iter().map(|rule| format!("  {:<24} {rule}", "")));
    lines.join("\n")
}

/// `requires tls!=none`, `libressl conflicts with ldap`, `cannot be static: it loads modules`.
fn rules(feature: &Feature) -> Vec<String> {
    let only = (!feature.only_with.is_empty()).then(|| format!("only with {}", feature.only_with));
    let rule = |rule: &crate::choice::Rule| {
        let of = rule.of.as_ref().map(|value| format!("{value} ")).unwrap_or_default();
        format!("{of}{} {}", if rule.must_hold { "requires" } else { "conflicts with" }, rule.when)
    };
    let cannot = feature.cannot.iter().map(|value| {
        format!("cannot be {}: {}", value.name, value.description.as_deref().unwrap_or_default())
    });
    only.into_iter().chain(feature.rules.iter().map(rule)).chain(cannot).collect()
}

fn demand_text(demand: &Demand) -> String {
    let mut words = vec![format!("{} ({})", demand.of, demand.kind.as_str())];
    if !demand.condition.is_any() {
        words.push(demand.condition.to_string());
    }
    words.extend(demand.choices.iter().map(|(name, choice)| shown(name, choice)));
    if !demand.when.is_empty() {
        words.push(format!("when {}", demand.when));
    }
    words.push(format!("at {}", place(demand)));
    words.join(" ")
}

fn place(demand: &Demand) -> String {
    demand.by.span().map(ToString::to_string).unwrap_or_default()
}

fn as_json(recipe: &Recipe, versions: &Versions, replaced: &[PathBuf], asking: &[Demand]) -> Value {
    let feature = |feature: &Feature| {
        json!({
            "name": feature.name,
            "default": choice_as_json(&feature.default),
            "description": feature.description,
            "values": feature.values.iter().map(|value| json!({
                "name": value.name.as_str(),
                "description": value.description,
            })).collect::<Vec<_>>(),
            "rules": rules(feature),
        })
    };
    let demand = |demand: &Demand| {
        json!({
            "by": demand.of.as_str(),
            "kind": demand.kind.as_str(),
            "version": demand.condition.to_string(),
            "choices": choices_as_json(demand.choices.iter()),
            "when": demand.when.to_string(),
            "place": place(demand),
        })
    };
    json!({
        "name": recipe.name.as_str(),
        "version": recipe.version.as_str(),
        "versions": versions.all().iter().map(|it| it.version.as_str()).collect::<Vec<_>>(),
        "version_scheme": versions.scheme().name(),
        "description": recipe.description,
        "license": recipe.license,
        "homepage": recipe.homepage,
        "folder": recipe.folder.display().to_string(),
        "in_place_of": replaced.iter().map(|below| below.display().to_string()).collect::<Vec<_>>(),
        "choices": recipe.features.iter().map(feature).collect::<Vec<_>>(),
        "asked_for_by": asking.iter().map(demand).collect::<Vec<_>>(),
    })
}

fn choices_as_json<'a>(choices: impl Iterator<Item = (&'a String, &'a Choice)>) -> Value {
    Value::Object(choices.map(|(name, choice)| (name.clone(), choice_as_json(choice))).collect())
}

/// What is done for one selection, line by line, with the scripts in full.
fn resolved(recipe: &Recipe, selection: &Selection, instructions: &Instructions) -> String {
    let mut text = format!("{} {}\n", recipe.name, recipe.version);
    let choices: Vec<String> = selection.iter().map(|(name, choice)| shown(name, choice)).collect();
    if !choices.is_empty() {
        let _ = writeln!(text, "choices {}", choices.join(" "));
    }
    for line in instructions.lines().into_iter().filter(|line| !line.starts_with("step ")) {
        let _ = writeln!(text, "{line}");
    }
    for (name, step) in instructions.steps() {
        let _ = writeln!(text, "step {name}");
        match &step.work {
            StepWork::Unpack(file) => _ = writeln!(text, "    (unpack {file})"),
            StepWork::Script(script) => script.lines().for_each(|line| _ = writeln!(text, "    {line}")),
        }
    }
    text
}

fn resolved_as_json(recipe: &Recipe, selection: &Selection, instructions: &Instructions) -> Value {
    let step = |(name, step): (&str, &crate::recipe::Step)| {
        let work = match &step.work {
            StepWork::Unpack(file) => json!({ "unpack": file, "arguments": step.arguments }),
            StepWork::Script(script) => json!({ "script": script, "arguments": step.arguments }),
        };
        (name.to_owned(), work)
    };
    json!({
        "name": recipe.name.as_str(),
        "version": recipe.version.as_str(),
        "choices": Value::Object(
            selection.iter().map(|(name, choice)| (name.to_owned(), choice_as_json(choice))).collect()
        ),
        "lines": instructions.lines(),
        "steps": Value::Object(instructions.steps().map(step).collect()),
    })
}
