//! `lamina built-with`: what the builds of the store were made from, and which were made with a library.

use std::collections::BTreeSet;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use cli::numbers::human_size;
use cli::safe_text::clean;
use package_version::{Constraint, ParseError, Scheme, Version};
use profiles::{Choice, Digest, Name};
use serde_json::{Value, json};

use super::context::Context;
use super::store::{ImageState, as_json, image_of};
use super::targets::{self, Target};
use super::{print, print_json};
use crate::choice::name::VARIANT;
use crate::choice::{Asker, Wishes, shown};
use crate::error::{Error, Result};
use crate::recipe::Versions;
use crate::records::named_build::{by_name_or_id, listed};
use crate::records::users::{User, users};
use crate::store::{BuildRecord, Dependency, Store};

/// Show what the builds of a package that the store has were made from: version, choices, layers, sources; or, with --using, which builds
/// were made with the package.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "built-with",
    example = "lamina built-with dropbear\nlamina built-with 0123456789ab --json",
    example = "lamina built-with --using zlib 'version=<1.3.1'",
    note = "The package may be NAME, NAME@ID or ID, of which the first digits are enough. Choices and version=CONDITION behind it leave out \
other builds.",
    note = "--using answers who must be built again when a library has a hole: first what had it as a layer, then what had one of these as a \
layer. It reads the store alone; a recipe, where there is one, says how versions are read."
)]
pub struct BuiltWith {
    /// a package or the beginning of an id, and choices behind it
    #[argh(positional)]
    package: Vec<String>,
    /// the builds that were made with it
    #[argh(switch)]
    using: bool,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

/// What the words of the command line mean.
struct Asked {
    target: Target,
    /// Its recipe, where there is one: it says how its versions are read.
    versions: Option<Versions>,
}

impl BuiltWith {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let asked = Asked::read(context, &self.package)?;
        let store = context.store()?;
        let records = store.records()?;
        for finding in &records.damaged {
            context.report.line(format_args!("warning: {finding}"));
        }
        match self.using {
            true => self.tell_users(&store, &records.sound, &asked)?,
            false => self.tell(&store, &records.sound, &asked)?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn tell(&self, store: &Store, records: &[BuildRecord], asked: &Asked) -> Result<()> {
        let all = by_name_or_id(records, &asked.target.name)?;
        let fitting: Vec<bool> = all.iter().map(|record| asked.fits(record)).collect::<Result<_>>()?;
        let found: Vec<&BuildRecord> =
            all.iter().zip(fitting).filter(|(_, fits)| *fits).map(|(record, _)| *record).collect();
        if found.is_empty() {
            let cause = format!("no build fits; the store has\n    {}", listed(&all));
            return Err(Error::new(format!("package {}", asked.target.name), cause)
                .remedy("leave out what it is not"));
        }
        if self.json {
            let entry = |record: &&BuildRecord| with_more(store, record);
            return print_json(&found.iter().map(entry).collect::<Vec<_>>());
        }
        let texts: Vec<String> = found.iter().map(|record| text(store, record)).collect();
        print(texts.join("\n\n"))
    }

    fn tell_users(&self, store: &Store, records: &[BuildRecord], asked: &Asked) -> Result<()> {
        asked.refuse_slips(records)?;
        let meant = asked.layers(records)?;
        let users = users(records, |layer| meant.contains(&layer.id));
        if self.json {
            return print_json(&users.iter().map(|user| user_as_json(store, user)).collect::<Vec<_>>());
        }
        if users.is_empty() {
            let words = self.package.join(" ");
            return print(format_args!("no build of this store was made with {}", clean(&words)));
        }
        users.iter().try_for_each(|user| print(clean(&user_line(user, store))))
    }
}

impl Asked {
    /// Reads the words; versions are read as the recipe says, where there is one.
    fn read(context: &Context, words: &[String]) -> Result<Asked> {
        let target = target(words)?;
        let name = target.name.split('@').next().and_then(|name| Name::parse(name).ok());
        let versions = name.and_then(|name| context.recipes().ok()?.load_all(&name).ok());
        Ok(Asked { target, versions })
    }

    /// Refuses a choice that neither the recipe nor any build knows: for one that nobody has made, "nobody was made with it" would be true, and
    /// for a slip it would hide those that were.
    fn refuse_slips(&self, records: &[BuildRecord]) -> Result<()> {
        let name = self.target.name.split('@').next().unwrap_or_default();
        let was_made = |choice: (&String, &Choice)| {
            let of_name = records.iter().filter(|record| record.name.as_str() == name);
            { of_name }.any(|record| record.features.get(choice.0) == Some(choice.1))
        };
        let recipes = || self.versions.iter().flat_map(|versions| versions.all());
        let can_be = |(name, choice): (&String, &Choice)| recipes().any(|recipe| recipe.can_be(name, choice));
        for choice in self.target.choices.iter().filter(|(name, _)| *name != VARIANT) {
            if was_made(choice) || can_be(choice) {
                continue;
            }
            let choices = [(choice.0.clone(), choice.1.clone())].into_iter().collect();
            let wishes = Wishes { choices, by: Asker::CommandLine };
            if let Some(recipe) = recipes().next() {
                recipe.choose(&wishes)?;
            }
            let cause = format!("no build of it has {}", shown(choice.0, choice.1));
            return Err(Error::new(format!("package {name}"), cause).remedy("leave it out"));
        }
        Ok(())
    }

    /// Whether a build has the choices and the version that are asked for.
    fn fits(&self, record: &BuildRecord) -> Result<bool> {
        Ok(self.has_choices(record) && self.admits(&record.name, &record.version)?)
    }

    fn has_choices(&self, record: &BuildRecord) -> bool {
        let has = |name: &str, choice: &Choice| match name {
            VARIANT => record.variant.as_deref() == Some(&choice.to_string()),
            name => record.features.get(name) == Some(choice),
        };
        self.target.choices.iter().all(|(name, choice)| has(name, choice))
    }

    /// # Errors
    /// The version, or the condition, cannot be read: a build that is left out for that would be missed.
    fn admits(&self, name: &Name, version: &str) -> Result<bool> {
        let condition = &self.target.version;
        if condition.is_any() {
            return Ok(true);
        }
        let on = |error: ParseError| {
            Error::new(format!("{name} {version}"), format!("cannot be held against {condition}: {error}"))
                .remedy("leave `version=` out, and look at the versions in the list")
        };
        let scheme = self.versions.as_ref().map_or(Scheme::Loose, Versions::scheme);
        let constraint = Constraint::parse(&condition.to_string(), scheme).map_err(on)?;
        let version = Version::parse(version, scheme).map_err(on)?;
        constraint.admits(&version).map_err(Error::on(format!("package {name}")))
    }

    /// The ids of the builds that are meant, as layers of others too: the record of one that others were made with may be gone.
    fn layers(&self, records: &[BuildRecord]) -> Result<BTreeSet<Digest>> {
        let name = self.target.name.as_str();
        let is_named = |it: &&Dependency| it.name.as_str() == name;
        let layers: Vec<Dependency> = records
            .iter()
            .flat_map(|record| record.build_root.iter().filter(is_named).cloned())
            .chain(records.iter().map(BuildRecord::as_dependency).filter(|it| is_named(&it)))
            .collect();
        if layers.is_empty() {
            let meant = by_name_or_id(records, name)?;
            return Ok(meant.into_iter().map(|record| record.id).collect());
        }
        let mut meant = BTreeSet::new();
        for layer in layers {
            let record = records.iter().find(|record| record.id == layer.id);
            // Nobody knows the choices of one whose record is gone: it is better told than missed.
            let has_choices = record.is_none_or(|record| self.has_choices(record));
            if has_choices && !meant.contains(&layer.id) && self.admits(&layer.name, &layer.version)? {
                meant.insert(layer.id);
            }
        }
        Ok(meant)
    }
}

/// One package or beginning of an id, and what is said of it.
fn target(words: &[String]) -> Result<Target> {
    let mut targets = targets::targets(words)?.into_iter();
    match (targets.next(), targets.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(Error::new("package", "is missing").remedy("name one")),
        (Some(_), Some(second)) => {
            Err(Error::new(format!("'{}'", second.name), "is a second package").remedy("name one"))
        }
    }
}

fn text(store: &Store, record: &BuildRecord) -> String {
    let mut lines = vec![format!("{} {}  id {}", record.name, record.version, record.id.hex())];
    let mut line = |what: &str, text: String| lines.push(format!("  {what:<8} {}", clean(&text)));
    let image = match image_of(store, record) {
        ImageState::Present => human_size(record.size),
        gone => gone.as_str().to_owned(),
    };
    line("image", format!("{}  {image}", record.digest));
    line("target", format!("{}, {}", record.target, record.license));
    if !record.choices().is_empty() {
        line("choices", record.choices().trim_start().to_owned());
    }
    for source in &record.sources {
        line("source", format!("{}  sha256:{}", source.file, source.sha256.hex()));
    }
    for layer in &record.build_root {
        line("layer", format!("{} {}  id {}  {}", layer.name, layer.version, layer.id.hex(), layer.digest));
    }
    if !record.depends.is_empty() {
        let names: Vec<&str> = record.depends.iter().map(|name| name.as_str()).collect();
        line("needs", format!("{} to run", names.join(", ")));
    }
    for path in logs(store, record) {
        line("log", path);
    }
    line("id text", id_text(store, record).to_owned());
    lines.join("\n")
}

/// Whether the text of the id is there.
fn id_text(store: &Store, record: &BuildRecord) -> &'static str {
    match store.id_text(&record.id) {
        Ok(Some(_)) => "kept",
        Ok(None) if record.is_of_recipe() => "not kept: an older record",
        Ok(None) => "none: no recipe has made it",
        Err(_) => "damaged: `lamina store verify` says more",
    }
}

/// The logs that are there, as paths below the store.
fn logs(store: &Store, record: &BuildRecord) -> Vec<String> {
    let paths = [store.log_path(&record.id), store.check_log_path(&record.id)];
    let there = paths.iter().filter(|path| path.is_file());
    there.map(|path| path.strip_prefix(store.root()).unwrap_or(path).display().to_string()).collect()
}

fn with_more(store: &Store, record: &BuildRecord) -> Value {
    let mut value = as_json(record);
    value["image"] = json!(image_of(store, record).as_str());
    value["logs"] = json!(logs(store, record));
    value["id_text"] = json!(store.id_text(&record.id).ok().flatten());
    value
}

fn user_line(user: &User<'_>, store: &Store) -> String {
    let User { record, layer, below } = user;
    let name = format!("{} {}{}", record.name, record.version, record.choices());
    let with = match below {
        None => format!("with {} {}@{}", layer.name, layer.version, &layer.id.hex()[..12]),
        Some(below) => {
            format!("through {} {}, made with {} {}", layer.name, layer.version, below.name, below.version)
        }
    };
    let run = if record.depends.contains(&layer.name) { ", which it needs to run too" } else { "" };
    let gone = match image_of(store, record) {
        ImageState::Present => String::new(),
        gone => format!("  (its image is {})", gone.as_str()),
    };
    format!("{name}  id {}  {with}{run}{gone}", &record.id.hex()[..12])
}

fn user_as_json(store: &Store, user: &User<'_>) -> Value {
    let User { record, layer, below } = user;
    let dependency = |it: &Dependency| json!({ "name": it.name.as_str(), "version": it.version, "id": it.id.hex(), "digest": it.digest.to_string() });
    json!({
        "name": record.name.as_str(),
        "version": record.version,
        "id": record.id.hex(),
        "digest": record.digest.to_string(),
        "image": image_of(store, record).as_str(),
        "choices": record.choices().trim_start(),
        "layer": dependency(layer),
        "made_with": dependency(below.unwrap_or(layer)),
        "direct": below.is_none(),
        "needs_it_to_run": record.depends.contains(&layer.name),
    })
}
