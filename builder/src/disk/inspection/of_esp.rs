//! What lies on the EFI system partition of a disk: kernels, entries, what GRUB counts. Loaders and their menus are
//! [`loader_check`](crate::disk::loader_check)'s.

use boot_entry::entry::listed_at;
use boot_entry::{BootEntry, EntryFileName, GrubTries, paths};
use disk_image::SharedClusters;
use disk_image::read::EspReader;

use super::{FoundEntry, FoundFile, Inspection, KERNEL, OF_OTHERS};
use crate::disk::loader_check::{ANEW, MENU};

impl Inspection {
    /// All of it.
    pub(super) fn read_partition(&mut self, esp: &EspReader) {
        self.read_esp(esp);
        self.read_grub_tries(esp);
        match esp.shared_clusters() {
            Ok(shared) => self.damage.extend(shared.iter().map(SharedClusters::damage)),
            Err(error) => self.damage.push(error.remedy(ANEW)),
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
}
