//! `lamina store`: what is there, and whether it is sound.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use cli::numbers::{count, human_size};
use profiles::Choice;
use serde_json::json;

use super::store_gc::{self, Gc};
use super::{print, print_json, told_apart};
use crate::command::context::{Context, jobs_or_processors};
use crate::error::{Error, Result};
use crate::store::{BuildRecord, Store};

/// Look into the store, and tidy it up.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "store", example = "lamina store list\nlamina store verify --json")]
pub struct StoreCommand {
    #[argh(subcommand)]
    action: Action,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum Action {
    Gc(Gc),
    List(List),
    Verify(Verify),
}

/// List the builds of the store: name, version, size (or `missing` or `damaged`, when the image is), id, digest, variant, features, what it needs to run, and
/// of builds that are alike in all this, the layers and sources that differ; exit status 1 when a record is damaged.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "list", example = "lamina store list --json")]
struct List {
    /// say of this one file of the store why it stays or goes at `lamina store gc`
    #[argh(option, arg_name = "path")]
    why: Option<String>,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

/// Hash every image, source, kernel and text of an id, check hash trees, records and resolved profiles, and compare unpacked trees with images; status 1 when
/// anything is wrong. Images that nobody names are listed.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "verify",
    example = "lamina store verify",
    note = "A boot medium is a store too: `--store DIR`. Nothing is written.",
    note = "Not looked at: signatures (`lamina profile verify` checks them), logs, and the cache of sources outside of the store."
)]
struct Verify {
    /// threads that hash (default: all processors)
    #[argh(option, short = 'j', arg_name = "n")]
    jobs: Option<NonZero<usize>>,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

impl StoreCommand {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        match self.action {
            Action::Gc(gc) => gc.run(context),
            Action::List(list) => list.run(context),
            Action::Verify(verify) => verify.run(context),
        }
    }
}

impl List {
    fn run(self, context: &Context) -> Result<ExitCode> {
        if let Some(path) = &self.why {
            return store_gc::why(context, path, self.json);
        }
        let store = context.store()?;
        if !store.root().exists() {
            context.report.line(format_args!("{}: there is no store yet", store.root().display()));
        }
        let records = store.records()?;
        if self.json {
            let with_image = |record: &BuildRecord| {
                let mut value = as_json(record);
                value["image"] = json!(image_of(&store, record).as_str());
                value
            };
            print_json(&records.sound.iter().map(with_image).collect::<Vec<_>>())?;
        } else {
            let apart = told_apart::lines(&records.sound);
            for (record, apart) in records.sound.iter().zip(&apart) {
                print_line(record, image_of(&store, record), apart)?;
            }
        }
        for finding in &records.damaged {
            context.report.line(format_args!("lamina: {finding}"));
        }
        Ok(if records.damaged.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// What became of the image of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ImageState {
    /// It is there with its length.
    Present,
    /// It is gone.
    Missing,
    /// It has another length, or cannot be looked at.
    Damaged,
}

impl ImageState {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            ImageState::Present => "present",
            ImageState::Missing => "missing",
            ImageState::Damaged => "damaged",
        }
    }
}

pub(super) fn image_of(store: &Store, record: &BuildRecord) -> ImageState {
    match std::fs::metadata(store.image_path(&record.digest)) {
        Ok(found) if found.len() == record.size => ImageState::Present,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => ImageState::Missing,
        _ => ImageState::Damaged,
    }
}

fn print_line(record: &BuildRecord, image: ImageState, apart: &str) -> Result<()> {
    let name = format!("{} {}", record.name, record.version);
    // In the place of the size: nothing of it is there to be used.
    let size = match image {
        ImageState::Present => human_size(record.size),
        gone => gone.as_str().to_owned(),
    };
    print(format_args!("{name:<32} {size:>10}  id {}  {}{apart}", &record.id.hex()[..12], record.digest))
}

pub(super) fn as_json(record: &BuildRecord) -> serde_json::Value {
    json!({
        "name": record.name.as_str(),
        "version": record.version,
        "id": record.id.hex(),
        "digest": record.digest.to_string(),
        "size": record.size,
        "verity": record.verity.map(|verity| json!({
            "root_hash": verity.root_hash.hex(),
            "salt": verity.salt.hex(),
            "data_blocks": verity.data_blocks,
            "fec_roots": verity.fec_roots,
        })),
        "license": record.license,
        "target": record.target,
        "variant": record.variant,
        "features": record.features.iter().map(|(name, choice)| (name.as_str(), choice_as_json(choice))).collect::<BTreeMap<_, _>>(),
        "depends": record.depends.iter().map(|name| name.as_str()).collect::<Vec<_>>(),
        "layers": record.build_root.iter().map(|layer| json!({
            "name": layer.name.as_str(),
            "version": layer.version,
            "id": layer.id.hex(),
            "digest": layer.digest.to_string(),
        })).collect::<Vec<_>>(),
        "sources": record.sources.iter().map(|source| json!({
            "file": source.file,
            "sha256": source.sha256.hex(),
        })).collect::<Vec<_>>(),
    })
}

/// `true` or `false` of a switch, else the value.
pub(super) fn choice_as_json(choice: &Choice) -> serde_json::Value {
    match choice {
        Choice::On => json!(true),
        Choice::Off => json!(false),
        Choice::Of(value) => json!(value.as_str()),
    }
}

impl Verify {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let store = context.store()?;
        if !store.root().exists() {
            return Err(Error::new(store.root().display(), "there is no store here")
                .remedy("give its folder with `--store DIR` or LAMINA_STORE"));
        }
        let report = store.verify(jobs_or_processors(self.jobs), context.report.progress())?;
        let sound = report.findings.is_empty();
        if self.json {
            print_json(&report)?;
        } else {
            for finding in &report.findings {
                print(finding)?;
            }
            for orphan in &report.orphans {
                print(format_args!("{orphan}: no build record and no profile names it"))?;
            }
            let verdict =
                if sound { "all sound".to_owned() } else { format!("{} wrong", report.findings.len()) };
            let mut hashed =
                format!("{}, {}", count(report.images, "image"), count(report.sources, "source"));
            if report.kernels > 0 {
                hashed = format!("{hashed}, {}", count(report.kernels, "kernel"));
            }
            let (trees, records) = (count(report.trees, "tree"), count(report.records, "record"));
            let profiles = count(report.profiles, "profile");
            let bytes = human_size(report.bytes);
            print(format_args!("{hashed} ({bytes}), {trees}, {records}, {profiles}: {verdict}"))?;
        }
        Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
