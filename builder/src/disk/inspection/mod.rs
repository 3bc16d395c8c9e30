//! What lies on a disk that `lamina disk create` wrote, and what is wrong with it. Nothing is mounted, and nothing written.

mod of_esp;
mod of_store;

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use boot_entry::{BootEntry, EntryFileName, GrubTries, names, paths};
use disk_image::PartitionKind;
use disk_image::partition_table::FoundPartition;
use disk_image::read::DiskReader;
use nix::fcntl::OFlag;
use profiles::Digest;
use profiles::resolved::KernelPin;

use super::loader_check::{self, ANEW, MENU};
use super::other_disk::{self, OtherDisk};
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
    let disk = opened(path)?;
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
        found.read_partition(esp);
    }
    if reader.partition(PartitionKind::Store).is_ok() {
        found.check_entries(known);
    }
    Ok(Found::System(Box::new(found)))
}

fn opened(path: &Path) -> Result<File> {
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
    Ok(disk)
}

impl Inspection {
    fn damaged(&mut self, object: &str, cause: impl Into<String>, remedy: &str) {
        self.damage.push(Error::new(object, cause.into()).remedy(remedy));
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
}
