//! `lamina system diff`: what another generation would change.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use cli::numbers::{count, human_size};
use cli::safe_text::clean;
use profiles::Digest;
use running::System;
use running::medium::Access;
use serde_json::{Value, json};

use super::on_medium::{OpenTarget, Where, generation, target};
use super::{print, print_json};
use crate::command::context::Context;
use crate::error::{Error, Result};
use crate::store::{Store, generations};
use crate::system::difference::{
    Differences, Files, Package, PackageChange, Side, compare_sides, running_side,
};
use crate::system::installed::Installed;

/// The system that this machine runs.
const RUNNING: &str = "running";

/// Say what differs between two generations: packages with their versions, choices and sizes, files, settings, and how much would be
/// copied to the medium.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "diff",
    example = "lamina system diff web/7 web --medium /mnt/store --esp /mnt/esp --files\nlamina system diff running web",
    note = "NAME is the newest generation of the store; NAME/NUMBER one of the medium, or of the store where there is no medium (that of the running system counts for root); `running` \
what this machine was booted from."
)]
pub(super) struct Diff {
    /// what is there: NAME, NAME/NUMBER or running
    #[argh(positional, arg_name = "before")]
    before: String,
    /// what would be there
    #[argh(positional, arg_name = "after")]
    after: String,
    /// list every file that comes, goes or changes
    #[argh(switch)]
    files: bool,
    /// the medium: where the partition of the store is mounted (default: that of the running system)
    #[argh(option, arg_name = "dir")]
    medium: Option<PathBuf>,
    /// where its EFI system partition is mounted
    #[argh(option, arg_name = "dir")]
    esp: Option<PathBuf>,
    /// the image or the device of its disk, in place of both; changing it takes root
    #[argh(option, arg_name = "file")]
    disk: Option<PathBuf>,
    /// write JSON, which has the files always
    #[argh(switch)]
    json: bool,
}

impl Diff {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let store = context.store()?;
        let open = || -> Result<(OpenTarget, Installed)> {
            let target =
                target(Where::of(&self.medium, &self.esp, &self.disk), Access::Read, &context.report)?;
            let installed = Installed::read(&target)?;
            Ok((target, installed))
        };
        let mut medium = match Where::of(&self.medium, &self.esp, &self.disk).is_own() {
            true if is_running_as_root() => open().map_or_else(|error| without(context, error), Some),
            true => None,
            false => Some(open()?),
        };
        let before = side(&store, medium.as_mut(), &self.before)?;
        let after = side(&store, medium.as_mut(), &self.after)?;
        let there: BTreeSet<Digest> = match &medium {
            Some((_, installed)) => installed.medium.images.keys().copied().collect(),
            None => before.profile.all_images().map(|image| image.digest).collect(),
        };
        let found = compare_sides(&before, &after, &store, &there);
        match self.json {
            true => print_json(&as_json(&before, &after, &found))?,
            false => print(text(&before, &after, &found, self.files).trim_end())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Whether there is a running system whose medium may be looked at.
fn is_running_as_root() -> bool {
    rustix::process::geteuid().is_root() && running::report::is_there(&System::here())
}

/// Not every system has a medium with a menu, and the store knows most of what can be named. Of one that cannot be read it knows nothing.
fn without<T>(context: &Context, error: Error) -> Option<T> {
    if error.system_said().is_some() {
        context.report.line(format_args!("warning: the medium of this system is left out: {error}"));
    }
    None
}

fn side(store: &Store, medium: Option<&mut (OpenTarget, Installed)>, word: &str) -> Result<Side> {
    if word == RUNNING {
        return running_side();
    }
    if let (Some((target, installed)), true) = (medium, word.contains('/')) {
        let found = generation(installed, word)?;
        let profile = found.contents.clone().map_err(|why| {
            Error::new(found.label(), format!("cannot be read: {why}")).remedy("name another one")
        })?;
        target.bring_images(profile.all_images())?;
        return Ok(Side {
            label: found.label(),
            profile,
            stores: vec![target.store.clone(), store.root().to_owned()],
        });
    }
    let (name, number) = super::on_medium::named(word)?;
    let locked = match number {
        None => generations::newest_locked(store, &name)?,
        Some(number) => generations::locked_as(store, &name, number)?.ok_or_else(|| {
            Error::new(word, "is not in the store")
                .remedy("`lamina profile list` says what is; a generation of a medium needs `--medium`")
        })?,
    };
    let label = format!("{name}/{}", locked.stored.generation);
    Ok(Side { label, profile: locked.profile, stores: vec![store.root().to_owned()] })
}

fn text(before: &Side, after: &Side, found: &Differences, with_files: bool) -> String {
    let mut text = format!("{} -> {}\n", before.label, after.label);
    for change in &found.packages {
        text.push_str(&line(change));
        if let Some(files) = change.files.as_ref().ok().filter(|_| with_files) {
            files.added.iter().for_each(|path| text.push_str(&format!("    + {path}\n")));
            files.removed.iter().for_each(|path| text.push_str(&format!("    - {path}\n")));
            files
                .changed
                .iter()
                .for_each(|(path, ways)| text.push_str(&format!("    ~ {path}: {}\n", ways.join("; "))));
        }
    }
    for (name, one, other) in &found.settings {
        text.push_str(&format!("{name}: {} -> {}\n", shown(one), shown(other)));
    }
    let (one, other) = found.sizes;
    let copied = human_size(found.to_copy);
    text.push_str(&format!("images {} -> {}, {copied} to copy\n", human_size(one), human_size(other)));
    text
}

fn shown(text: &str) -> String {
    if text.is_empty() { "nothing".to_owned() } else { clean(text) }
}

fn line(change: &PackageChange) -> String {
    let what = |it: &Package| format!("{}{}, {}", clean(&it.version), it.choices, human_size(it.size));
    let said = match (&change.before, &change.after) {
        (Some(one), Some(other)) => format!("~ {} {} -> {}", change.name, what(one), what(other)),
        (None, Some(other)) => format!("+ {} {}", change.name, what(other)),
        (Some(one), None) => format!("- {} {}", change.name, what(one)),
        (None, None) => String::new(),
    };
    let files = match &change.files {
        Ok(files) => counted(files),
        Err(why) => format!("what becomes of its files is not known: {}", clean(why)),
    };
    format!("{said}; {files}\n")
}

fn counted(files: &Files) -> String {
    let kinds =
        [(files.added.len(), "added"), (files.removed.len(), "removed"), (files.changed.len(), "changed")];
    let some: Vec<String> = kinds
        .iter()
        .filter(|it| it.0 > 0)
        .map(|(number, word)| format!("{} {word}", count(*number as u64, "file")))
        .collect();
    if some.is_empty() { "the same files".to_owned() } else { some.join(", ") }
}

fn as_json(before: &Side, after: &Side, found: &Differences) -> Value {
    let package = |it: &Package| json!({ "version": it.version, "choices": it.choices.split_whitespace().collect::<Vec<_>>(), "digest": it.digest.to_string(), "size": it.size });
    let packages = found.packages.iter().map(|it| {
        let files = it.files.as_ref().ok().map(|files| {
            let changed = files.changed.iter().map(|(path, ways)| json!({ "path": path, "ways": ways }));
            json!({ "added": files.added, "removed": files.removed, "changed": changed.collect::<Vec<_>>() })
        });
        json!({
            "name": it.name.as_str(), "before": it.before.as_ref().map(package), "after": it.after.as_ref().map(package),
            "files": files, "files_unknown": it.files.as_ref().err(),
        })
    });
    let settings = found
        .settings
        .iter()
        .map(|(name, one, other)| json!({ "name": name, "before": one, "after": other }));
    json!({
        "before": before.label, "after": after.label, "packages": packages.collect::<Vec<_>>(),
        "settings": settings.collect::<Vec<_>>(), "size_before": found.sizes.0, "size_after": found.sizes.1,
        "to_copy": found.to_copy,
    })
}
