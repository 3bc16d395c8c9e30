//! What lies on a medium, as rows.

use std::collections::BTreeMap;

use boot_ledger::MOST_ATTEMPTS;
use cli::numbers::{count, human_size};
use cli::safe_text::clean;
use profiles::Digest;
use serde_json::{Value, json};

use super::installed::Installed;
use crate::medium::contents::InstalledGeneration;

/// One generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// `PROFILE/NUMBER`.
    pub label: String,
    /// What is special about it, a word or two each.
    pub marks: Vec<String>,
    /// Images that it stacks or may stack.
    pub images: u64,
    /// Their bytes.
    pub size: u64,
    /// The bytes of those that no other generation has.
    pub own: u64,
    /// What people call it, or what is wrong with it.
    pub text: String,
}

/// A row for each generation, in the order of the medium: by profile, the newest first.
pub fn rows(installed: &Installed) -> Vec<Row> {
    let users = users(installed);
    installed.medium.generations.iter().map(|it| row(installed, it, &users)).collect()
}

fn row(installed: &Installed, generation: &InstalledGeneration, users: &BTreeMap<Digest, u32>) -> Row {
    let text = match &generation.contents {
        Ok(contents) => clean(contents.description.as_deref().unwrap_or_default()),
        Err(why) => clean(why.lines().next().unwrap_or_default()),
    };
    Row {
        label: generation.label(),
        marks: marks(installed, generation),
        images: generation.images().count() as u64,
        size: generation.images().map(|image| image.size).sum(),
        own: own_bytes(generation, users),
        text,
    }
}

/// How many generations have each image.
fn users(installed: &Installed) -> BTreeMap<Digest, u32> {
    let mut users = BTreeMap::new();
    for image in installed.medium.generations.iter().flat_map(InstalledGeneration::images) {
        *users.entry(image.digest).or_insert(0) += 1;
    }
    users
}

fn own_bytes(generation: &InstalledGeneration, users: &BTreeMap<Digest, u32>) -> u64 {
    generation.images().filter(|it| users.get(&it.digest) == Some(&1)).map(|it| it.size).sum()
}

fn marks(installed: &Installed, generation: &InstalledGeneration) -> Vec<String> {
    let mut marks: Vec<String> = Vec::new();
    let mut mark = |holds: bool, text: &str| marks.extend(holds.then(|| text.to_owned()));
    mark(is_default(installed, generation), "default");
    mark(installed.medium.is_running(generation), "running");
    mark(installed.medium.is_last_good(generation), "last good");
    mark(generation.kept, "kept");
    let signature = generation.has_own_signature();
    mark(signature == Some(Ok(())), "signed");
    let unread = matches!(generation.signature, Some(Err(_)));
    mark(unread, "signature not read");
    mark(!unread && signature.is_some_and(|own| own.is_err()), "signature of another");
    mark(installed.entry_of(generation).is_none(), "not in the menu");
    mark(generation.contents.is_err(), "damaged");
    let missing = installed.medium.missing_images(generation).count() as u64;
    if missing > 0 {
        marks.push(format!("{} missing", count(missing, "image")));
    }
    for path in installed.missing_boot_files(generation) {
        let what = if path.contains("/linux-") { "kernel" } else { "initramfs" };
        marks.push(format!("{what} missing"));
    }
    match installed.medium.attempts(generation) {
        0 => {}
        attempts if attempts >= MOST_ATTEMPTS => marks.push(format!("failed {attempts} times")),
        attempts => marks.push(format!("tried {attempts} of {MOST_ATTEMPTS}")),
    }
    if installed
        .entry_of(generation)
        .is_some_and(|entry| entry.name.tries.is_some_and(|tries| tries.used_up()))
    {
        marks.push("given up by the loader".to_owned());
    }
    marks
}

fn is_default(installed: &Installed, generation: &InstalledGeneration) -> bool {
    installed
        .default_generation()
        .is_some_and(|it| it.profile == generation.profile && it.number == generation.number)
}

/// The rows as text, in columns.
pub fn text(installed: &Installed) -> String {
    let rows = rows(installed);
    let widest = |of: &dyn Fn(&Row) -> usize| rows.iter().map(of).max().unwrap_or(0);
    let marks = |row: &Row| row.marks.join(", ");
    let (labels, all_marks) =
        (widest(&|row| row.label.chars().count()), widest(&|row| marks(row).chars().count()));
    let line = |row: &Row| {
        let size = format!("{} ({} of its own)", human_size(row.size), human_size(row.own));
        let line = format!(
            "{:<labels$}  {:<all_marks$}  {:>10}  {size:<32}  {}",
            row.label,
            marks(row),
            count(row.images, "image"),
            row.text
        );
        format!("{}\n", line.trim_end())
    };
    rows.iter().map(line).collect()
}

/// The rows as JSON, with the digests.
pub fn json(installed: &Installed) -> Value {
    let users = users(installed);
    let generation = |it: &InstalledGeneration| {
        let entry = installed.entry_of(it);
        json!({
            "profile": it.profile.as_str(), "generation": it.number, "digest": it.digest.map(|digest| digest.to_string()),
            "description": it.contents.as_ref().ok().and_then(|contents| contents.description.as_deref()),
            "default": is_default(installed, it), "running": installed.medium.is_running(it),
            "last_good": installed.medium.is_last_good(it), "kept": it.kept, "signed": it.is_signed(),
            "signature_refused": it.has_own_signature().and_then(Result::err),
            "attempts": installed.medium.attempts(it), "whole": installed.is_whole(it),
            "damage": it.contents.as_ref().err(),
            "entry": entry.map(|entry| entry.file.clone()),
            "tries_left": entry.and_then(|entry| entry.name.tries).map(|tries| tries.left),
            "kernel": entry.and_then(|entry| entry.entry.as_ref().ok()).and_then(|entry| entry.version.as_deref()),
            "own_kernel": it.contents.as_ref().ok().and_then(|contents| contents.kernel.as_ref()).map(|pin| json!({
                "name": pin.name.as_str(), "release": pin.release.as_str(), "digest": pin.digest.to_string(),
            })),
            "images": it.images().count(), "size": it.images().map(|image| image.size).sum::<u64>(),
            "own_size": own_bytes(it, &users),
            "missing_boot_files": installed.missing_boot_files(it).collect::<Vec<_>>(),
            "missing": installed.medium.missing_images(it).map(|image| image.digest.to_string()).collect::<Vec<_>>(),
        })
    };
    installed.medium.generations.iter().map(generation).collect()
}
