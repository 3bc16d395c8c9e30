//! What tells builds of one package and version apart in a list, besides their ids: the choices, what they are linked with and so need to
//! run, and where all these are the same, what they were made from.

use std::collections::{BTreeMap, BTreeSet};

use crate::store::BuildRecord;

/// More things than this that differ are counted, not listed.
const MOST_SHOWN: usize = 3;

/// For each record, what follows its digest in a line.
pub(super) fn lines(records: &[BuildRecord]) -> Vec<String> {
    let known: Vec<String> = records.iter().map(choices_and_needs).collect();
    let mut alike: BTreeMap<(&str, &str, &str), Vec<&BuildRecord>> = BTreeMap::new();
    for (record, known) in records.iter().zip(&known) {
        alike.entry((record.name.as_str(), &record.version, known)).or_default().push(record);
    }
    let line = |(record, known): (&BuildRecord, &String)| {
        let others = &alike[&(record.name.as_str(), record.version.as_str(), known.as_str())];
        format!("{known}{}", made_from(record, others))
    };
    records.iter().zip(&known).map(line).collect()
}

/// ` static +manual  needs musl zlib`.
fn choices_and_needs(record: &BuildRecord) -> String {
    let needs: Vec<&str> = record.depends.iter().map(|name| name.as_str()).collect();
    let needs = if needs.is_empty() { String::new() } else { format!("  needs {}", needs.join(" ")) };
    format!("{}{needs}", record.choices())
}

/// The inputs of a build that not all of `others` have, as `  of musl@01234567`; empty for a build that is alone.
fn made_from(record: &BuildRecord, others: &[&BuildRecord]) -> String {
    if others.len() < 2 {
        return String::new();
    }
    let all: Vec<BTreeSet<String>> = others.iter().map(|other| inputs(other)).collect();
    let own = inputs(record);
    let own: Vec<&str> =
        own.iter().filter(|it| !all.iter().all(|all| all.contains(*it))).map(String::as_str).collect();
    match own.len().checked_sub(MOST_SHOWN).filter(|more| *more > 0) {
        _ if own.is_empty() => String::new(),
        Some(more) => format!("  of {} and {more} more", own[..MOST_SHOWN].join(" ")),
        None => format!("  of {}", own.join(" ")),
    }
}

/// Layers and sources, each with the beginning of its id or hash.
fn inputs(record: &BuildRecord) -> BTreeSet<String> {
    let layers = record.build_root.iter().map(|layer| (layer.name.as_str(), layer.id));
    let sources = record.sources.iter().map(|source| (source.file.as_str(), source.sha256));
    layers.chain(sources).map(|(name, id)| format!("{name}@{}", &id.hex()[..8])).collect()
}
