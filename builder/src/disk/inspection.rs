//! What lies on a disk that `lamina disk create` wrote, and what is wrong with it. Nothing is mounted, and nothing written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use boot_entry::entry::listed_at;
use boot_entry::{BootEntry, EntryFileName, GrubTries, names, paths};
use boot_ledger::{FILES, Ledger, SLOT_BYTES};
use boot_store::layout;
use disk_image::partition_table::FoundPartition;
use disk_image::read::{DiskReader, EspReader, MOST_TEXT};
use disk_image::{PartitionKind, SharedClusters, ext4};
use ext4_view::{Ext4, Ext4Error};
use nix::fcntl::OFlag;
use profiles::Digest;
use profiles::resolved::{BootProfile, KernelPin};

use super::loader_check::{self, ANEW, MENU};
use super::other_disk::{self, OtherDisk};
use crate::error::{Error, Result};
use crate::medium::SLOTS;

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
    /// The kernel that it is for.
    pub kernel: Option<KernelPin>,
}

/// All of a disk.
#[derive(Debug, Default)]
pub struct Inspection {
    /// In the order of the table.
    pub partitions: Vec<FoundPartition>,
    /// In the order of the menu.
    pub entries: Vec<FoundEntry>,
    /// Which entry GRUB counts, and how many tries it has left.
    pub grub_tries: Option<GrubTries>,
    /// Kernels and initramfs files.
    pub boot_files: Vec<FoundFile>,
    /// By profile, newest first.
    pub generations: Vec<FoundGeneration>,
    /// By digest.
    pub images: Vec<FoundFile>,
    /// What is wrong.
    pub damage: Vec<Error>,
    /// What nobody can tell of this disk, a sentence each.
    pub unknown: Vec<String>,
}

/// What a disk is.
#[derive(Debug)]
pub enum Found {
    /// One of Lamina, whole or not.
    System(Box<Inspection>),
    /// One on which nothing is Lamina's.
    Other(OtherDisk),
}

/// A damaged or missing file of the store.
const BRING: &str = "`lamina system install PROFILE` puts it there again";
/// An entry that is not of Lamina.
const OF_OTHERS: &str = "put the file there again, or remove the entry";
/// A damaged kernel or initramfs.
const KERNEL: &str =
    "`lamina system install PROFILE --kernel FILE --initramfs FILE` with the same files puts it there again";

/// Looks at a disk or an image of one.
///
/// # Errors
/// It cannot be opened, or has a partition table that cannot be read. Whatever else is wrong stands in the result.
pub fn inspect(path: &Path) -> Result<Found> {
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
    other_disk::refuse_container(&disk, path)?;
    let read = disk.try_clone().map_err(Error::on(path.display())).map(DiskReader::new)?;
    let named = |error: Error| {
        let named = Error::new(path.display(), error.cause().to_owned());
        match error.known_remedy() {
            Some(remedy) => named.remedy(remedy),
            None => named,
        }
    };
    if let Some(other) = other_disk::look(&disk, &read).map_err(named)? {
        return Ok(Found::Other(other));
    }
    let reader = read.map_err(named)?;
    let mut found = Inspection {
        partitions: reader.table.partitions.clone(),
        damage: reader.table.damage.clone(),
        ..Inspection::default()
    };
    let known = match reader.store() {
        Ok(store) => found.read_store(&store),
        Err(error) => {
            found.damage.push(error.remedy(ANEW));
            false
        }
    };
    let esp = reader.esp().map_err(|error| found.damage.push(error)).ok();
    let loaders = loader_check::judge(&reader, esp.as_ref());
    found.damage.extend(loaders.damage);
    found.unknown.extend(loaders.unknown);
    if let Some(esp) = &esp {
        found.read_esp(esp);
        found.read_grub_tries(esp);
        match esp.shared_clusters() {
            Ok(shared) => found.damage.extend(shared.iter().map(SharedClusters::damage)),
            Err(error) => found.damage.push(error.remedy(ANEW)),
        }
    }
    if reader.partition(PartitionKind::Store).is_ok() {
        found.check_entries(known);
    }
    Ok(Found::System(Box::new(found)))
}

impl Inspection {
    fn damaged(&mut self, object: &str, cause: impl Into<String>, remedy: &str) {
        self.damage.push(Error::new(object, cause.into()).remedy(remedy));
    }

    /// Whether all generations are known then: of what cannot be read or listed nobody can say that it is missing.
    fn read_store(&mut self, store: &Ext4) -> bool {
        self.read_slots(store);
        let lengths = self.read_images(store);
        let Some(profiles) = self.names(store, "/lamina/profiles") else { return false };
        let mut known = true;
        for profile in profiles {
            let files = self.names(store, &format!("/lamina/profiles/{profile}"));
            known &= files.is_some();
            let files = files.unwrap_or_default();
            let mut numbers: Vec<u64> = files.iter().filter_map(|name| layout::generation_of(name)).collect();
            numbers.sort_by(|a, b| b.cmp(a));
            for number in numbers {
                known &= self.read_generation(store, &profile, number, lengths.as_ref());
            }
        }
        known
    }

    /// The lengths of all images, none of those that cannot be read; nothing where nobody knows which there are.
    fn read_images(&mut self, store: &Ext4) -> Option<BTreeMap<Digest, Option<u64>>> {
        let mut lengths = BTreeMap::new();
        for name in self.names(store, "/lamina/images")? {
            let path = format!("/lamina/images/{name}");
            let Some(meant) = layout::image_of(&name) else {
                self.damaged(&path, "is no image: its name is no SHA-256", "remove it");
                continue;
            };
            match ext4::digest(store, &path) {
                Ok((digest, size)) => {
                    if digest != meant {
                        self.damaged(&path, format!("is damaged: its SHA-256 is {}", digest.hex()), BRING);
                    }
                    self.images.push(FoundFile { path, digest: meant, size });
                    lengths.insert(meant, Some(size));
                }
                Err(error) => {
                    self.damage.push(error.remedy(BRING));
                    lengths.insert(meant, None);
                }
            }
        }
        Some(lengths)
    }

    /// One slot may be torn by a power cut: the next boot writes it.
    fn read_slots(&mut self, store: &Ext4) {
        let read = |slot: &str| -> Result<(), String> {
            let bytes = ext4::read_small(store, &format!("/lamina/{slot}"), SLOT_BYTES as u64);
            let bytes = bytes.map_err(|error| error.cause().to_owned())?;
            Ledger::decode(&bytes).map(drop).map_err(|damage| damage.to_string())
        };
        if let [Err(a), Err(b)] = FILES.map(read) {
            let cause = format!("neither of the slots that count boots can be read: a: {a}; b: {b}");
            self.damaged("/lamina/boot", cause, SLOTS);
        }
    }

    /// Whether its bytes can be read. `lengths` are those of the images, where they are known.
    fn read_generation(
        &mut self,
        store: &Ext4,
        profile: &str,
        number: u64,
        lengths: Option<&BTreeMap<Digest, Option<u64>>>,
    ) -> bool {
        let path = format!("/lamina/profiles/{profile}/{number}.kdl");
        let read = ext4::read_small(store, &path, MOST_TEXT);
        let (digest, bytes) = match read {
            Ok(bytes) => (Digest::of_bytes(&bytes), bytes),
            Err(error) => {
                self.damage.push(error.remedy(BRING));
                return false;
            }
        };
        match BootProfile::parse(&path, &bytes) {
            Ok(parsed) => {
                lengths.into_iter().for_each(|lengths| self.check_images(&path, &parsed, lengths));
                let BootProfile { description, kernel, .. } = parsed;
                let profile = profile.to_owned();
                self.generations.push(FoundGeneration { profile, number, digest, description, kernel });
            }
            Err(why) => self.damaged(&path, format!("cannot be read: {}", why), BRING),
        }
        true
    }

    fn check_images(&mut self, path: &str, profile: &BootProfile, lengths: &BTreeMap<Digest, Option<u64>>) {
        for image in profile.all_images() {
            match lengths.get(&image.digest) {
                Some(Some(size)) if *size != image.size => {
                    let (name, meant) = (&image.name, image.size);
                    let cause = format!("the image of {name} has {size} bytes, and the profile says {meant}");
                    self.damaged(path, cause, BRING);
                }
                Some(_) => {}
                None => self.damaged(path, format!("the image of {} is missing", image.name), BRING),
            }
        }
    }

    fn read_esp(&mut self, esp: &EspReader) {
        match esp.names(paths::BOOT_FILES) {
            Ok(names) => names.iter().for_each(|name| self.read_boot_file(esp, name)),
            Err(error) => self.damage.push(error.remedy(KERNEL)),
        }
        let files = esp.names(paths::ENTRIES).unwrap_or_else(|error| {
            self.damage.push(error.remedy(MENU));
            Vec::new()
        });
        // A name with a dot is nobody's entry: file managers leave such ones.
        for file in files.into_iter().filter(|it| !it.starts_with('.')) {
            let Some(name) = EntryFileName::parse(&file) else { continue };
            let path = paths::entry(&file);
            match esp
                .read(&path)
                .map_err(|error| error.cause().to_owned())
                .map(|bytes| BootEntry::parse(&bytes))
            {
                Ok(Ok(entry)) => {
                    let remedy = if name.is_ours() { KERNEL } else { OF_OTHERS };
                    let started = [&entry.linux].into_iter().chain(&entry.initrd);
                    for missing in started.filter(|it| !esp.has(it.trim_start_matches('/'))) {
                        self.damaged(&path, format!("{missing} is missing"), remedy);
                    }
                    self.entries.push(FoundEntry { file, name, entry });
                }
                Ok(Err(why)) => self.damaged(&path, why.to_string(), MENU),
                Err(why) => self.damaged(&path, why, MENU),
            }
        }
        self.entries.sort_by_cached_key(|it| listed_at(&it.name, Some(&it.entry)));
    }

    fn read_grub_tries(&mut self, esp: &EspReader) {
        const AGAIN: &str = "`lamina system default PROFILE` writes it anew";
        let path = paths::GRUB_TRIES;
        if !esp.has(path) {
            return;
        }
        match esp.read(path).map(|block| GrubTries::parse(&block)) {
            Ok(Ok(tries)) => self.grub_tries = tries,
            Ok(Err(_)) => self.damaged(path, "is no block in which GRUB counts tries: it counts none", AGAIN),
            Err(error) => self.damage.push(error.remedy(AGAIN)),
        }
    }

    fn read_boot_file(&mut self, esp: &EspReader, name: &str) {
        let path = format!("{}/{name}", paths::BOOT_FILES);
        match esp.digest(&path) {
            Ok((digest, size)) => {
                match paths::digest_of_boot_file(&path) {
                    Some(meant) if meant == digest => {}
                    Some(_) => {
                        self.damaged(&path, format!("is damaged: its SHA-256 is {}", digest.hex()), KERNEL);
                    }
                    None => self
                        .unknown
                        .push(format!("whether {path} is what was written: its name has no digest of ours")),
                }
                self.boot_files.push(FoundFile { path, digest, size });
            }
            Err(error) => self.damage.push(error.remedy(KERNEL)),
        }
    }

    /// An entry must find what it binds on this disk, as far as all generations are known.
    fn check_entries(&mut self, known: bool) {
        let bound: BTreeSet<String> =
            self.generations.iter().map(|it| format!("{}@{}", it.profile, it.digest)).collect();
        let named: BTreeSet<&str> = self.generations.iter().map(|it| it.profile.as_str()).collect();
        let partitions: BTreeSet<String> = self.partitions.iter().map(|it| it.uuid.to_string()).collect();
        let mut damage = Vec::new();
        for FoundEntry { file, name, entry } in &self.entries {
            let mut wrong = |cause: String, remedy| {
                damage.push(Error::new(paths::entry(file), cause).remedy(remedy));
            };
            let is_missing = |it: &&str| known && !bound.contains(*it) && !named.contains(it);
            for candidate in entry.candidates().filter(is_missing) {
                wrong(format!("{candidate} is not in the store"), BRING);
            }
            if name.is_ours() && entry.candidates().next().is_none() {
                wrong("names no profile".to_owned(), MENU);
            }
            let of_partitions =
                entry.options.iter().filter(|it| [names::STORE, names::STATE].contains(&it.name()));
            let uuids = of_partitions.filter_map(|it| it.value()?.strip_prefix("PARTUUID="));
            for uuid in uuids.filter(|uuid| !partitions.contains(&uuid.to_ascii_lowercase())) {
                wrong(format!("the partition {uuid} is not on this disk"), MENU);
            }
        }
        self.damage.append(&mut damage);
    }

    /// The names in a folder of the store, sorted; a folder that is missing has none. Nothing where it cannot be listed, which is damage.
    fn names(&mut self, store: &Ext4, folder: &str) -> Option<Vec<String>> {
        let read = || -> Result<Vec<String>, Ext4Error> {
            let names = store.read_dir(folder)?.map(|entry| Ok(entry?.file_name().display().to_string()));
            names.collect()
        };
        let mut names = match read() {
            Ok(names) => names,
            Err(Ext4Error::NotFound) => Vec::new(),
            Err(error) => {
                self.damaged(folder, error.to_string(), ANEW);
                return None;
            }
        };
        names.retain(|name| name != "." && name != "..");
        names.sort();
        Some(names)
    }
}
