//! What is said of a disk that was planned: to programs as JSON, and to people as the lines of its menu.

use boot_entry::{Menu, Parameter};
use disk_image::Partition;
use serde_json::{Value, json};

use crate::command::context::Context;

/// A partition of a new disk, for programs.
pub(in crate::command) fn partition_json(partition: &Partition) -> Value {
    let Partition { kind, uuid, start, length } = partition;
    json!({ "name": kind.name(), "uuid": uuid.to_string(), "start": start, "size": length })
}

/// The entries of a menu, for programs.
pub(in crate::command) fn entries_json(menu: &Menu) -> Vec<Value> {
    let entries = menu.entries.iter().map(|(name, entry)| {
        json!({ "file": name.file_name(), "title": entry.title, "options": Parameter::line(&entry.options) })
    });
    entries.collect()
}

/// Says which entries a menu has.
pub(in crate::command) fn say_titles(context: &Context, menu: &Menu) {
    for (place, (_, entry)) in menu.entries.iter().enumerate() {
        context.report.line(format_args!("{:>3}. {}", place + 1, entry.title));
    }
}
