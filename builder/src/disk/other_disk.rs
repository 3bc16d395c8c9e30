//! A disk on which nothing is Lamina's: what lies on it, by superblocks and tables, for whoever took it for another one.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use block_probe::ByteSource;
use block_probe::partition_table::{self, Disk, Entry, GptCopy, GptFault};
use block_probe::superblock::{self, Superblock};
use boot_entry::{EntryFileName, paths};
use boot_store::layout::{DEFAULT_FOLDER, PROFILES};
use cli::numbers::count;
use disk_image::format::container_of;
use disk_image::read::DiskReader;
use disk_image::{SECTOR, ext4};

use crate::error::{Error, Result};

const WANTED: &str = "give a disk or an image that `lamina disk create` wrote";
/// What the names of all our partitions begin with.
const OURS: &str = "lamina-";

/// Such a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherDisk {
    /// Bytes.
    pub size: u64,
    /// `gpt` or `dos`; `None` where there is no partition table.
    pub table: Option<&'static str>,
    /// What lies on the disk itself, beside or in place of a table.
    pub content: Option<FoundFileSystem>,
    /// In the order of the table.
    pub partitions: Vec<OtherPartition>,
    /// Its first and its last MiB are zero.
    pub blank: bool,
}

/// A partition of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherPartition {
    /// Its number, from 1.
    pub number: u32,
    /// Its name, where the table gives one.
    pub name: Option<String>,
    /// Its UUID in the table.
    pub uuid: String,
    /// The first byte, from the begin of the disk.
    pub start: u64,
    /// Its length in bytes.
    pub size: u64,
    /// What lies there; `None` of what nobody knows.
    pub content: Option<FoundFileSystem>,
}

/// A file system, or a part of something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFileSystem {
    /// As blkid(8) calls it.
    pub kind: &'static str,
    /// Its label.
    pub label: Option<String>,
    /// It has the folders of a store, as `lamina medium create` makes them.
    pub has_store: bool,
}

/// A disk, if nothing on it is ours: with a GPT, and without.
///
/// # Errors
/// It cannot be read; there is a GPT that cannot be read, and nobody knows whose the disk was.
pub fn look(disk: &File, reader: &Result<DiskReader>) -> Result<Option<OtherDisk>> {
    let size = disk.length().map_err(Error::on("disk"))?;
    let places = Disk { size, sector: SECTOR, force_gpt: false };
    let (table, entries) = match reader {
        Ok(reader) if is_ours(reader) => return Ok(None),
        Ok(reader) => (Some("gpt"), reader.table.partitions.iter().map(OtherPartition::of_gpt).collect()),
        Err(error) if may_have_had_a_gpt(disk, &places) => return Err(error.clone()),
        Err(_) => {
            let entries: Vec<OtherPartition> = partition_table::read(disk, &places)
                .map(|table| table.entries().iter().map(OtherPartition::of_dos).collect())
                .unwrap_or_default();
            (Some("dos").filter(|_| !entries.is_empty()), entries)
        }
    };
    let mut partitions: Vec<OtherPartition> = entries;
    for it in &mut partitions {
        let part = Part { disk, start: it.start, length: it.size };
        it.content = superblock::probe(&part).map(|found| FoundFileSystem::of(&found, &part));
    }
    let whole = Part { disk, start: 0, length: size };
    let content = superblock::probe(disk).map(|found| FoundFileSystem::of(&found, &whole));
    Ok(Some(OtherDisk { size, table, content, partitions, blank: superblock::is_blank(disk) }))
}

/// Whether anything says that Lamina has written to the disk. One of which a partition is missing is a damaged one.
fn is_ours(disk: &DiskReader) -> bool {
    if disk.table.partitions.iter().any(|it| it.name.starts_with(OURS)) {
        return true;
    }
    let Ok(esp) = disk.esp() else { return false };
    let has = |folder: &str, is_ours: &dyn Fn(&str) -> bool| {
        esp.names(folder).is_ok_and(|names| names.iter().any(|name| is_ours(name)))
    };
    esp.has(paths::LOADER_RECORD)
        || has(paths::ENTRIES, &|name| EntryFileName::parse(name).is_some_and(|name| name.is_ours()))
        || has(paths::BOOT_FILES, &|name| paths::digest_of_boot_file(name).is_some())
}

/// Whether a boot record speaks of a GPT, or a header of one lies there, though none can be read.
fn may_have_had_a_gpt(disk: &File, places: &Disk) -> bool {
    let nothing =
        |copy: &Result<GptCopy, GptFault>| matches!(copy, Err(GptFault::NoHeader | GptFault::Unreadable));
    let has = |sector| {
        let copies = partition_table::gpt_copies(disk, &Disk { sector, ..*places });
        copies.is_some_and(|it| it.protected || !nothing(&it.first) || !nothing(&it.second))
    };
    has(SECTOR) || has(4096)
}

impl OtherPartition {
    fn of_gpt(found: &disk_image::partition_table::FoundPartition) -> OtherPartition {
        OtherPartition {
            number: found.number,
            name: Some(found.name.clone()),
            uuid: found.uuid.to_string(),
            start: found.start,
            size: found.length,
            content: None,
        }
    }

    fn of_dos(entry: &Entry) -> OtherPartition {
        let names = &entry.names;
        let (number, name, uuid) = (names.number, names.label.clone(), names.uuid.clone());
        OtherPartition { number, name, uuid, start: entry.start, size: entry.size, content: None }
    }
}

impl FoundFileSystem {
    fn of(found: &Superblock, part: &Part<'_>) -> FoundFileSystem {
        let has_store = || {
            let store = ext4::open(part.disk, part.start, part.length).ok()?;
            let is_there = |folder: &str| store.exists(format!("{folder}/{PROFILES}").as_str()).ok();
            Some(is_there(&format!("/{DEFAULT_FOLDER}"))? || is_there("")?)
        };
        let has_store = found.kind == "ext4" && has_store().unwrap_or(false);
        FoundFileSystem { kind: found.kind, label: found.label.clone(), has_store }
    }
}

impl fmt::Display for FoundFileSystem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.kind)?;
        if let Some(label) = &self.label {
            write!(out, " '{}'", label.escape_debug())?;
        }
        if self.has_store { out.write_str(" with a store of Lamina") } else { Ok(()) }
    }
}

impl OtherDisk {
    fn has_store(&self) -> bool {
        let contents = self.content.iter().chain(self.partitions.iter().filter_map(|it| it.content.as_ref()));
        contents.into_iter().any(|it| it.has_store)
    }

    /// What lies on it, in words; `None` of nothing, and of what nobody knows.
    pub fn holds(&self) -> Option<String> {
        let table = self.table.map(|kind| {
            let kind = if kind == "gpt" { "a GPT" } else { "a DOS partition table" };
            format!("{kind} with {}", count(self.partitions.len(), "partition"))
        });
        match (&self.content, table) {
            (Some(content), Some(table)) => Some(format!("{content}, and {table}")),
            (content, table) => content.as_ref().map(ToString::to_string).or(table),
        }
    }

    /// That as the error of a command that wants a system.
    pub fn no_system(&self, path: impl fmt::Display) -> Error {
        let cause = match self.holds() {
            Some(holds) if self.has_store() => {
                let cause = format!("is no disk that `lamina disk create` wrote, but {holds}");
                return Error::new(path, cause).remedy(
                    "mount the store, and give its folder with `--medium DIR`, and that of the EFI system partition with `--esp DIR`",
                );
            }
            Some(holds) => format!("holds no Lamina system, but {holds}"),
            None if self.size == 0 => "holds no Lamina system: it is empty".to_owned(),
            None if self.blank => {
                "holds no Lamina system: its first and its last MiB are zero, and nothing that is known lies between".to_owned()
            }
            None => "holds no Lamina system, and nothing else that is known".to_owned(),
        };
        Error::new(path, cause).remedy(WANTED)
    }
}

/// Refuses a disk that is written down in a format of virtual machines.
///
/// # Errors
/// It is one.
pub fn refuse_container(file: &File, path: &Path) -> Result<()> {
    let Some(kind) = container_of(file) else { return Ok(()) };
    let cause = format!("is a {kind}: only a disk that is written down byte for byte can be worked on");
    Err(Error::new(path.display(), cause).remedy(
        "`qemu-img convert -O raw FILE disk.img` makes such a one of it, and `qemu-img convert -O FORMAT` turns that back",
    ))
}

/// A part of a disk, to be looked at by itself.
struct Part<'a> {
    disk: &'a File,
    start: u64,
    length: u64,
}

impl ByteSource for Part<'_> {
    fn fill(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(buffer.len() as u64).filter(|end| *end <= self.length);
        let place = end.and(self.start.checked_add(offset)).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.disk.read_exact_at(buffer, place)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.length)
    }
}
