//! What lies on a disk that `lamina disk create` wrote, and what is wrong with it. Nothing is mounted, and nothing written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use boot_entry::entry::listed_at;
use boot_entry::{BootEntry, EntryFileName, paths};
use boot_store::layout;
use disk_image::partition_table::FoundPartition;
use disk_image::read::{DiskReader, EspReader, MOST_TEXT};
use disk_image::{PartitionKind, ext4};
use ext4_view::Ext4;
use nix::fcntl::OFlag;
use profiles::Digest;
use profiles::resolved::BootProfile;

use crate::error::{Error, Result};

/// An entry of the menu.
#[derive(Debug, Clone)]
pub struct FoundEntry {
    /// The name of its file.
    pub file: String,
    /// That, taken apart, with the tries that the loader has counted in it.
    pub name: EntryFileName,
    /// What is in it.
    pub entry: BootEntry,
}

/// A kernel or an initramfs.
#[derive(Debug, Clone)]
pub struct FoundFile {
    /// From the root of its partition.
    pub path: String,
    /// Its SHA-256.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// A generation of a profile.
#[derive(Debug, Clone)]
pub struct FoundGeneration {
    /// The profile.
    pub profile: String,
    /// The number.
    pub number: u64,
    /// SHA-256 of its file.
    pub digest: Digest,
    /// What people call it.
    pub description: Option<String>,
}

/// All of a disk.
#[derive(Debug, Default)]
pub struct Inspection {
    /// In the order of the table.
    pub partitions: Vec<FoundPartition>,
    /// In the order of the menu.
    pub entries: Vec<FoundEntry>,
    /// Kernels and initramfs files.
    pub boot_files: Vec<FoundFile>,
    /// By profile, newest first.
    pub generations: Vec<FoundGeneration>,
    /// By digest.
    pub images: Vec<FoundFile>,
    /// What is wrong, a sentence each.
    pub damage: Vec<String>,
}

/// Looks at a disk or an image of one.
///
/// # Errors
/// It cannot be opened, or has no partition table. Whatever else is wrong stands in the result.
pub fn inspect(path: &Path) -> Result<Inspection> {
    // O_NONBLOCK: a FIFO must not hang it. It changes nothing for files and devices.
    let disk = File::options()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path)
        .map_err(Error::on(path.display()))?;
    let kind = disk.metadata().map_err(Error::on(path.display()))?.file_type();
    if !kind.is_file() && !kind.is_block_device() {
        return Err(Error::new(path.display(), "is neither a file nor a block device")
            .remedy("name the image of a disk, or the device of one"));
    }
    let reader = DiskReader::new(disk).map_err(|error| {
        let named = Error::new(path.display(), error.cause().to_owned());
        match error.known_remedy() {
            Some(remedy) => named.remedy(remedy),
            None => named,
        }
    })?;
    let mut found = Inspection {
        partitions: reader.table.partitions.clone(),
        damage: reader.table.damage.clone(),
        ..Inspection::default()
    };
    match reader.store() {
        Ok(store) => found.read_store(&store),
        Err(error) => found.damaged(error),
    }
    match reader.esp() {
        Ok(esp) => found.read_esp(&esp),
        Err(error) => found.damaged(error),
    }
    if reader.partition(PartitionKind::Store).is_ok() {
        found.check_entries();
    }
    Ok(found)
}

impl Inspection {
    fn damaged(&mut self, error: Error) {
        self.damage.push(format!("{}: {}", error.object(), error.cause()));
    }

    fn read_store(&mut self, store: &Ext4) {
        for name in names(store, "/lamina/images") {
            let path = format!("/lamina/images/{name}");
            let Some(meant) = layout::image_of(&name) else {
                self.damage.push(format!("{path}: is no image: its name is no SHA-256"));
                continue;
            };
            match ext4::digest(store, &path) {
                Ok((digest, size)) => {
                    if digest != meant {
                        self.damage.push(format!("{path}: is damaged: its SHA-256 is {}", digest.hex()));
                    }
                    self.images.push(FoundFile { path, digest: meant, size });
                }
                Err(error) => self.damaged(error),
            }
        }
        let sizes: BTreeMap<Digest, u64> = self.images.iter().map(|it| (it.digest, it.size)).collect();
        for profile in names(store, "/lamina/profiles") {
            let folder = format!("/lamina/profiles/{profile}");
            let files = names(store, &folder);
            let mut numbers: Vec<u64> = files.iter().filter_map(|name| layout::generation_of(name)).collect();
            numbers.sort_by(|a, b| b.cmp(a));
            for number in numbers {
                self.read_generation(store, &profile, number, &sizes);
            }
        }
    }

    fn read_generation(&mut self, store: &Ext4, profile: &str, number: u64, sizes: &BTreeMap<Digest, u64>) {
        let path = format!("/lamina/profiles/{profile}/{number}.kdl");
        let bytes = match ext4::read_small(store, &path, MOST_TEXT) {
            Ok(bytes) => bytes,
            Err(error) => return self.damaged(error),
        };
        let parsed = match BootProfile::parse(&path, &bytes) {
            Ok(parsed) => parsed,
            Err(why) => return self.damage.push(format!("{path}: cannot be read: {why}")),
        };
        for image in parsed.all_images() {
            match sizes.get(&image.digest) {
                Some(size) if *size == image.size => {}
                Some(size) => self.damage.push(format!(
                    "{path}: the image of {} has {size} bytes, and the profile says {}",
                    image.name, image.size
                )),
                None => self.damage.push(format!("{path}: the image of {} is missing", image.name)),
            }
        }
        let Ok((digest, _)) = Digest::of(bytes.as_slice()) else { return };
        let description = parsed.description;
        self.generations.push(FoundGeneration { profile: profile.to_owned(), number, digest, description });
    }

    fn read_esp(&mut self, esp: &EspReader) {
        match esp.names(paths::BOOT_FILES) {
            Ok(names) => names.iter().for_each(|name| self.read_boot_file(esp, name)),
            Err(error) => self.damaged(error),
        }
        let files = esp.names(paths::ENTRIES).unwrap_or_else(|error| {
            self.damaged(error);
            Vec::new()
        });
        for file in files {
            let Some(name) = EntryFileName::parse(&file) else { continue };
            let path = paths::entry(&file);
            match esp
                .read(&path)
                .map_err(|error| error.cause().to_owned())
                .map(|bytes| BootEntry::parse(&bytes))
            {
                Ok(Ok(entry)) => self.entries.push(FoundEntry { file, name, entry }),
                Ok(Err(why)) => self.damage.push(format!("{path}: {why}")),
                Err(why) => self.damage.push(format!("{path}: {why}")),
            }
        }
        self.entries.sort_by_cached_key(|it| listed_at(&it.name, Some(&it.entry)));
    }

    fn read_boot_file(&mut self, esp: &EspReader, name: &str) {
        let path = format!("{}/{name}", paths::BOOT_FILES);
        match esp.digest(&path) {
            Ok((digest, size)) => {
                let meant = name.rsplit_once('-').and_then(|(_, hex)| Digest::parse(hex).ok());
                if meant.is_some_and(|meant| meant != digest) {
                    self.damage.push(format!("{path}: is damaged: its SHA-256 is {}", digest.hex()));
                }
                self.boot_files.push(FoundFile { path, digest, size });
            }
            Err(error) => self.damaged(error),
        }
    }

    /// An entry must find its files, and what it binds.
    fn check_entries(&mut self) {
        let files: BTreeSet<String> = self.boot_files.iter().map(|it| format!("/{}", it.path)).collect();
        let bound: BTreeSet<String> =
            self.generations.iter().map(|it| format!("{}@{}", it.profile, it.digest)).collect();
        let named: BTreeSet<&str> = self.generations.iter().map(|it| it.profile.as_str()).collect();
        let mut damage = Vec::new();
        for FoundEntry { file, entry, .. } in &self.entries {
            for path in [&entry.linux].into_iter().chain(&entry.initrd).filter(|path| !files.contains(*path))
            {
                damage.push(format!("{}: {path} is missing", paths::entry(file)));
            }
            for candidate in entry.candidates().filter(|it| !bound.contains(*it) && !named.contains(it)) {
                damage.push(format!("{}: {candidate} is not in the store", paths::entry(file)));
            }
        }
        self.damage.append(&mut damage);
    }
}

/// The names in a folder, sorted; none where it cannot be read.
fn names(store: &Ext4, folder: &str) -> Vec<String> {
    let entries = store.read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().as_str().ok().map(str::to_owned)).collect();
    names.retain(|name| name != "." && name != "..");
    names.sort();
    names
}
