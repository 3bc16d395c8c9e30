//! `lamina profile list`: what is written in the tree, and what is locked in the store.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use boot_store::{layout, signature};
use profiles::resolved::{BootProfile, KernelPin};
use profiles::written::Composition;
use profiles::{Digest, Name};
use serde_json::{Value, json};

use super::kernel_named::pin_json;
use super::profile_named::{compose, what_works};
use super::{print, print_json};
use crate::command::context::Context;
use crate::digest::digest_file;
use crate::error::{Error, Result};
use crate::store::{Store, generations};
use crate::text_file;

/// List the written profiles, and every generation of each profile in the store with its digest; exit status 1 when one cannot be read.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "list",
    example = "lamina profile list --json",
    note = "init boots the newest generation of a profile. `signed` says that a signature lies beside it which is for it by its own words: `lamina profile verify` checks it."
)]
pub(super) struct List {
    /// write JSON
    #[argh(switch)]
    json: bool,
}

/// A profile: of the tree, of the store, or of both.
struct Listed {
    name: Name,
    written: Option<Composition>,
    /// The newest first.
    generations: Vec<Generation>,
}

struct Generation {
    number: u64,
    digest: Digest,
    signed: bool,
    /// Of one that can be read and names one.
    kernel: Option<KernelPin>,
}

impl List {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let store = context.store()?;
        let written = written(context, &store)?;
        let locked: Vec<String> = generations::locked_names(&store)?.iter().map(Name::to_string).collect();
        let names: BTreeSet<&String> = written.iter().chain(&locked).collect();
        let look = |name: &String| -> Result<Listed> {
            let written = if written.contains(name) { Some(compose(context, name)?) } else { None };
            let name = Name::parse(name).map_err(Error::on(format!("'{name}'")))?;
            let generations = generations(&store, &name)?;
            Ok(Listed { name, written, generations })
        };
        let (listed, status) = what_works(context, names.into_iter().map(look));
        if self.json {
            print_json(&listed.iter().map(Listed::as_json).collect::<Vec<_>>())?;
        } else {
            listed.iter().try_for_each(Listed::print)?;
        }
        Ok(status)
    }
}

/// The profiles of the tree. Without one, those of the store are listed, if there are any.
fn written(context: &Context, store: &Store) -> Result<Vec<String>> {
    match context.profiles() {
        Err(error) if context.names_a_tree() || generations::locked_names(store)?.is_empty() => Err(error),
        Err(_) => Ok(Vec::new()),
        Ok(folder) => folder.names(),
    }
}

fn generations(store: &Store, name: &Name) -> Result<Vec<Generation>> {
    let look = |(number, path): (u64, PathBuf)| -> Result<Generation> {
        let (digest, _) = digest_file(&path)?;
        let text = text_file::read(&layout::signature_of(&path)).ok();
        let text = text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let signed = text.is_some_and(|text| signature::is_of(&text, name, number, &digest).is_ok());
        let profile = text_file::read(&path).ok().and_then(|bytes| BootProfile::parse("", &bytes).ok());
        Ok(Generation { number, digest, signed, kernel: profile.and_then(|it| it.kernel) })
    };
    let found = generations::generations_in(store.root(), name)?;
    found.into_iter().map(look).collect()
}

impl Listed {
    fn print(&self) -> Result<()> {
        let description = match &self.written {
            Some(written) => written.description.as_deref().unwrap_or_default(),
            None => "(not in this tree)",
        };
        let state = if self.generations.is_empty() { "not locked" } else { "" };
        let line = format!("{:<16} {state:<10} {description}", self.name.as_str());
        print(line.trim_end())?;
        for (index, generation) in self.generations.iter().enumerate() {
            let marks = [(index == 0, "newest"), (generation.signed, "signed")];
            let kernel =
                generation.kernel.as_ref().map(|pin| format!("kernel {} ({})", pin.name, pin.release));
            let marks = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark);
            let marks: Vec<&str> = marks.chain(kernel.as_deref()).collect();
            let line =
                format!("  generation {} {}  {}", generation.number, generation.digest, marks.join(", "));
            print(line.trim_end())?;
        }
        Ok(())
    }

    fn as_json(&self) -> Value {
        let newest = self.generations.first();
        let generation = |it: &Generation| {
            json!({
                "generation": it.number, "digest": it.digest.to_string(), "signed": it.signed,
                "newest": newest.is_some_and(|newest| newest.number == it.number),
                "kernel": it.kernel.as_ref().map(pin_json),
            })
        };
        let packages = |written: &Composition| -> Vec<String> {
            written.packages.iter().map(|package| package.name.as_str().to_owned()).collect()
        };
        json!({
            "name": self.name.as_str(),
            "description": self.written.as_ref().and_then(|written| written.description.clone()),
            "generation": newest.map(|newest| newest.number),
            "digest": newest.map(|newest| newest.digest.to_string()),
            "generations": self.generations.iter().map(generation).collect::<Vec<_>>(),
            "packages": self.written.as_ref().map(packages),
            "kernel": self.written.as_ref().and_then(|written| written.kernel.as_ref()).map(|it| it.name.as_str()),
        })
    }
}
