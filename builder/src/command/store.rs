//! `lamina store`: what is there, and whether it is sound.

use std::num::NonZero;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use progress::{count, human_size};
use serde_json::json;

use super::{print, print_json};
use crate::context::{Context, jobs_or_processors};
use crate::error::{Error, Result};
use crate::store::BuildRecord;

/// Look into the store.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "store", example = "lamina store list\nlamina store verify --json")]
pub struct StoreCommand {
    #[argh(subcommand)]
    action: Action,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum Action {
    List(List),
    Verify(Verify),
}

/// List the builds of the store: name, version, size, id, digest; exit status 1 when a record is damaged.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "list", example = "lamina store list --json")]
struct List {
    /// write JSON
    #[argh(switch)]
    json: bool,
}

/// Hash every image and source, check hash trees and records, and compare unpacked trees with images; status 1 when anything is wrong.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "verify",
    example = "lamina store verify",
    note = "Not looked at: locked profiles (`lamina profile verify` checks signatures), logs, and the cache of sources outside of the store."
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
            Action::List(list) => list.run(context),
            Action::Verify(verify) => verify.run(context),
        }
    }
}

impl List {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let store = context.store()?;
        if !store.root().exists() {
            context.report.line(format_args!("{}: there is no store yet", store.root().display()));
        }
        let records = store.records()?;
        if self.json {
            print_json(&records.sound.iter().map(as_json).collect::<Vec<_>>())?;
        } else {
            records.sound.iter().try_for_each(print_line)?;
        }
        for finding in &records.damaged {
            context.report.line(format_args!("lamina: {finding}"));
        }
        Ok(if records.damaged.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn print_line(record: &BuildRecord) -> Result<()> {
    let (name, size) = (format!("{} {}", record.name, record.version), human_size(record.size));
    print(format_args!("{name:<32} {size:>10}  id {}  {}", &record.id.hex()[..12], record.digest))
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
        "features": record.features,
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
            let verdict =
                if sound { "all sound".to_owned() } else { format!("{} wrong", report.findings.len()) };
            let hashed = format!("{}, {}", count(report.images, "image"), count(report.sources, "source"));
            let (trees, records) = (count(report.trees, "tree"), count(report.records, "record"));
            print(format_args!("{hashed} ({}), {trees}, {records}: {verdict}", human_size(report.bytes)))?;
        }
        Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
