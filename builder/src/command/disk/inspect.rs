//! `lamina disk inspect`.

use std::path::PathBuf;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use boot_entry::{GrubTries, Parameter, Tries};
use cli::numbers::{count, human_size};
use cli::safe_text::clean;
use serde_json::{Value, json};

use crate::command::kernel_named::pin_json;
use crate::command::{print, print_json};
use crate::disk::inspection::{self, Found, Inspection};
use crate::disk::other_disk::{FoundFileSystem, OtherDisk, OtherPartition};
use crate::error::{Error, Result};

/// List partitions, entries, kernels, generations and images of a disk, and say what is damaged; exit status 1 when something is, and of
/// a disk that holds no Lamina system. Every image is read and hashed.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "inspect",
    example = "lamina disk inspect stick.img --json\nlamina disk inspect /dev/sdX"
)]
pub(super) struct Inspect {
    /// an image, or a disk that may be read
    #[argh(positional)]
    image: PathBuf,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

impl Inspect {
    pub(super) fn run(self) -> Result<ExitCode> {
        let found = match inspection::inspect(&self.image)? {
            Found::System(found) => found,
            Found::Other(other) => return self.tell_other(&other),
        };
        if self.json {
            print_json(&as_json(&found))?;
        } else {
            for partition in &found.partitions {
                let (start, size) = (human_size(partition.start), human_size(partition.length));
                print(format_args!(
                    "partition {} {} at {start}, {size}, {}",
                    partition.number, partition.name, partition.uuid
                ))?;
            }
            for inspection::FoundEntry { file, name, entry } in &found.entries {
                let counted = name.tries.map_or_else(String::new, told);
                print(format_args!("entry {file}: {}{counted}", clean(&entry.title)))?;
                let kernel = entry.version.as_deref().map(|it| format!(" on kernel {}", clean(it)));
                let boots = entry.candidates().collect::<Vec<_>>().join(", else ");
                print(format_args!("    boots {boots}{}", kernel.unwrap_or_default()))?;
            }
            if let Some(GrubTries { entry, left }) = &found.grub_tries {
                let times = count(*left as usize, "time");
                print(format_args!(
                    "GRUB starts {} {times} more before it takes another entry",
                    clean(entry)
                ))?;
            }
            for file in found.boot_files.iter().chain(&found.images) {
                print(format_args!("file {}, {}", file.path, human_size(file.size)))?;
            }
            for it in &found.generations {
                let kernel = it.kernel.as_ref().map(|pin| format!(", kernel {} ({})", pin.name, pin.release));
                let kernel = kernel.unwrap_or_default();
                print(format_args!(
                    "profile {}, generation {}, {}{kernel}",
                    it.profile, it.number, it.digest
                ))?;
            }
            for sentence in &found.unknown {
                print(format_args!("unknown: {}", clean(sentence)))?;
            }
            for damage in &found.damage {
                print(format_args!("damaged: {}", clean(&sentence(damage))))?;
                if let Some(remedy) = remedy(damage) {
                    print(format_args!("    help: {}", clean(remedy)))?;
                }
            }
        }
        Ok(if found.damage.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Inspect {
    /// Of a disk that is none of Lamina's.
    fn tell_other(&self, other: &OtherDisk) -> Result<ExitCode> {
        if self.json {
            print_json(&other_as_json(other))?;
            return Ok(ExitCode::FAILURE);
        }
        for OtherPartition { number, name, uuid, start, size, content } in &other.partitions {
            let name = name.as_deref().filter(|name| !name.is_empty());
            let name = name.map_or_else(String::new, |name| format!(" {}", clean(name)));
            let what =
                content.as_ref().map_or_else(|| "nothing that is known".to_owned(), ToString::to_string);
            let (start, size) = (human_size(*start), human_size(*size));
            print(format_args!("partition {number}{name} at {start}, {size}, {uuid}: {what}"))?;
        }
        Err(other.no_system(self.image.display()))
    }
}

fn other_as_json(other: &OtherDisk) -> Value {
    let content = |it: &Option<FoundFileSystem>| {
        it.as_ref().map(|it| json!({ "kind": it.kind, "label": it.label, "store": it.has_store }))
    };
    let partitions = other.partitions.iter().map(|it| {
        json!({
            "number": it.number, "name": it.name, "uuid": it.uuid, "start": it.start, "size": it.size,
            "content": content(&it.content),
        })
    });
    json!({
        "lamina": false, "holds": other.holds(), "table": other.table, "content": content(&other.content),
        "partitions": partitions.collect::<Vec<_>>(),
    })
}

fn sentence(damage: &Error) -> String {
    format!("{}: {}", damage.object(), damage.cause())
}

/// What the system said usually helps with paths of this machine, and not with what lies inside a disk.
fn remedy(damage: &Error) -> Option<&str> {
    damage.known_remedy().filter(|_| damage.has_own_remedy())
}

fn told(tries: Tries) -> String {
    match tries.used_up() {
        true => format!(" (no try left after {}: it counts as bad)", tries.done),
        false => format!(" (tries: {} left, {} done)", tries.left, tries.done),
    }
}

fn as_json(found: &Inspection) -> Value {
    let file = |it: &inspection::FoundFile| json!({ "path": it.path, "digest": it.digest.to_string(), "size": it.size });
    let partitions = found.partitions.iter().map(|it| {
        json!({ "number": it.number, "name": it.name, "uuid": it.uuid.to_string(), "start": it.start, "size": it.length })
    });
    let entries = found.entries.iter().map(|it| {
        json!({
            "file": it.file, "title": it.entry.title, "version": it.entry.version, "linux": it.entry.linux, "initrd": it.entry.initrd,
            "options": Parameter::line(&it.entry.options), "boots": it.entry.candidates().collect::<Vec<_>>(),
            "tries": it.name.tries.map(|tries| json!({ "left": tries.left, "done": tries.done })),
        })
    });
    let generations = found.generations.iter().map(|it| {
        json!({
            "profile": it.profile, "generation": it.number, "digest": it.digest.to_string(),
            "description": it.description,
            "kernel": it.kernel.as_ref().map(pin_json),
        })
    });
    json!({
        "lamina": true, "sound": found.damage.is_empty(), "damage": found.damage.iter().map(sentence).collect::<Vec<_>>(),
        "remedies": found.damage.iter().map(remedy).collect::<Vec<_>>(), "unknown": found.unknown,
        "partitions": partitions.collect::<Vec<_>>(), "entries": entries.collect::<Vec<_>>(),
        "grub_tries": found.grub_tries.as_ref().map(|it| json!({ "entry": it.entry, "left": it.left })),
        "boot_files": found.boot_files.iter().map(file).collect::<Vec<_>>(),
        "generations": generations.collect::<Vec<_>>(),
        "images": found.images.iter().map(file).collect::<Vec<_>>(),
    })
}
