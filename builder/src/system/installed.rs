//! What a medium holds, with all that is known of it.

use std::collections::{BTreeMap, BTreeSet};

use boot_entry::{BootEntry, names};
use cli::numbers::count;
use cli::safe_text::clean;
use profiles::{Digest, Name};

use super::esp::{Esp, EspEntry};
use super::target::Target;
use crate::error::{Error, Result};
use crate::medium::SLOTS;
use crate::medium::contents::{InstalledGeneration, MediumContents};

/// A medium and its EFI system partition.
#[derive(Debug, Clone)]
pub struct Installed {
    /// Its store.
    pub medium: MediumContents,
    /// The partition.
    pub esp: Esp,
    /// The entries of this medium that can be read.
    own: Vec<OwnEntry>,
}

/// An entry of the medium.
#[derive(Debug, Clone)]
struct OwnEntry {
    /// Its place among the entries of the partition.
    place: usize,
    /// What it boots: the place among the generations.
    generation: Option<usize>,
}

impl Installed {
    /// Reads all of it.
    ///
    /// # Errors
    /// The store or the partition cannot be read. What is damaged in them stands in the result.
    pub fn read(target: &Target) -> Result<Installed> {
        let medium = MediumContents::read(&target.store)?;
        if let Some(error) = medium.unlisted.first() {
            return Err(error.clone());
        }
        let mut esp = Esp::read(&target.esp)?;
        esp.room = target.esp_room()?;
        Ok(Installed { own: own_entries(&medium.generations, &esp)?, medium, esp })
    }

    /// What a person should know of generations that are in the menu.
    pub fn warnings(&self) -> Vec<String> {
        let in_menu = self.medium.generations.iter().filter(|it| self.entry_of(it).is_some());
        let damaged = in_menu.filter(|it| self.medium.missing_images(it).next().is_some());
        let sentence = |it: &InstalledGeneration| {
            let missing = count(self.medium.missing_images(it).count(), "image");
            format!(
                "{}: {missing} missing, or of another length: `lamina system install {}` puts its newest generation there again",
                it.label(),
                it.profile
            )
        };
        let without = self.medium.generations.iter().filter_map(|it| {
            let path = self.missing_boot_files(it).next()?;
            Some(format!("{}: {path} is not on the ESP, or is empty: it does not boot", it.label()))
        });
        damaged.map(sentence).chain(without).chain(self.unread()).chain(self.left_alone()).collect()
    }

    /// What nobody knows of the medium, for it cannot be read.
    pub fn unread(&self) -> impl Iterator<Item = String> {
        let slots = self.medium.ledger.as_ref().err().map(|why| {
            format!(
                "the slots that count boots cannot be read: {why}: nobody knows what was good\nhelp: {SLOTS}"
            )
        });
        let images = self.medium.unseen.iter().map(Error::to_string);
        let signature = |it: &InstalledGeneration| match &it.signature {
            Some(Err(why)) => Some(format!("{}: its signature {why}", it.label())),
            _ => None,
        };
        slots.into_iter().chain(images).chain(self.medium.generations.iter().filter_map(signature))
    }

    /// What Lamina has not written, though it has such a name.
    fn left_alone(&self) -> impl Iterator<Item = String> {
        let sentence = |path: &dyn std::fmt::Display, place: &str| {
            clean(&format!(
                "{path} {place}: is no regular file, and nothing that Lamina has written; it is left alone"
            ))
        };
        let of_medium =
            self.medium.no_files.iter().map(move |path| sentence(&path.display(), "on the medium"));
        of_medium.chain(self.esp.no_files.iter().map(move |path| sentence(path, "on the ESP")))
    }

    /// Whether it is what a power cut leaves: it is no profile, and nobody names it. Of one that cannot be read nobody knows either.
    pub fn is_left_over(&self, generation: &InstalledGeneration) -> bool {
        let named =
            generation.kept || self.medium.attempts(generation) > 0 || self.entry_of(generation).is_some();
        generation.contents.is_err()
            && generation.digest.is_some()
            && !named
            && !self.medium.is_last_good(generation)
            && !self.medium.is_running(generation)
    }

    /// The generation of this medium that an entry boots.
    pub fn booted_by(&self, entry: &EspEntry) -> Option<&InstalledGeneration> {
        let is_it = |own: &&OwnEntry| self.esp.entries.get(own.place).is_some_and(|it| it.file == entry.file);
        self.medium.generations.get(self.own.iter().find(is_it)?.generation?)
    }

    /// The generation that boots by itself, as far as the partition says.
    pub fn default_generation(&self) -> Option<&InstalledGeneration> {
        self.booted_by(self.esp.default_entry()?)
    }

    /// What a rollback makes the default: of the profile, or of the one that boots by itself, the last good generation where that is older
    /// than what boots now, else the next older one that is whole. One with the same bytes would be the same system.
    ///
    /// # Errors
    /// There is none; nobody knows which profile is meant.
    pub fn generation_before(&self, profile: Option<&Name>) -> Result<&InstalledGeneration> {
        let default = self.default_generation();
        let name = profile.or(default.map(|it| &it.profile)).ok_or_else(|| {
            Error::new(
                "system",
                "no entry of this medium boots by itself: nobody knows which profile is meant",
            )
            .remedy("name it: `lamina system rollback NAME`")
        })?;
        let newest = || self.medium.generations.iter().find(|it| it.profile == *name);
        let now = default.filter(|it| it.profile == *name).or_else(newest).ok_or_else(|| {
            Error::new(format!("profile {name}"), "is not on the medium")
                .remedy("`lamina system list` says what is there")
        })?;
        let older = || {
            self.medium
                .generations
                .iter()
                .filter(|it| it.profile == *name && it.number < now.number && it.digest != now.digest)
                .filter(|it| self.is_whole(it))
        };
        older().find(|it| self.medium.is_last_good(it)).or_else(|| older().next()).ok_or_else(|| {
            Error::new(now.label(), "is the oldest generation on the medium that can boot")
                .remedy("`lamina system default NAME/NUMBER` chooses any other")
        })
    }

    /// The kernel and initramfs files that the entry of a generation starts, and that the partition has not: paths.
    pub fn missing_boot_files(&self, generation: &InstalledGeneration) -> impl Iterator<Item = &str> {
        let entry = self.entry_of(generation).and_then(|it| it.entry.as_ref().ok());
        entry.into_iter().flat_map(Esp::started_by).filter(|path| !self.esp.has_boot_file(path))
    }

    /// Whether all is there that a generation boots with.
    pub fn is_whole(&self, generation: &InstalledGeneration) -> bool {
        self.medium.is_whole(generation) && self.missing_boot_files(generation).next().is_none()
    }

    /// The entry that boots a generation.
    pub fn entry_of(&self, generation: &InstalledGeneration) -> Option<&EspEntry> {
        let boots = |own: &&OwnEntry| {
            let booted = own.generation.and_then(|at| self.medium.generations.get(at));
            booted.is_some_and(|it| it.profile == generation.profile && it.number == generation.number)
        };
        self.own.iter().find(boots).and_then(|own| self.esp.entries.get(own.place))
    }

    /// The entries of this medium that can be read. Those of another medium, which share the partition, name another store.
    pub fn own_entries(&self) -> impl Iterator<Item = (&EspEntry, &BootEntry)> {
        let entries = self.own.iter().filter_map(|own| self.esp.entries.get(own.place));
        entries.filter_map(|it| Some((it, it.entry.as_ref().ok()?)))
    }

    /// The entries that are neither of this medium nor damaged ones of Lamina.
    pub fn foreign_entries(&self) -> impl Iterator<Item = &EspEntry> {
        let own: BTreeSet<String> = self.own_entries().map(|it| it.0.path()).collect();
        let damaged = |it: &&EspEntry| it.name.is_ours() && it.entry.is_err();
        self.esp.entries.iter().filter(move |it| !own.contains(&it.path()) && !damaged(it))
    }
}

/// Those of Lamina that name the same store as one that boots a generation of the medium.
fn own_entries(generations: &[InstalledGeneration], esp: &Esp) -> Result<Vec<OwnEntry>> {
    let there: BTreeSet<(&str, Digest)> =
        generations.iter().filter_map(|it| Some((it.profile.as_str(), it.digest?))).collect();
    let readable = || {
        let ours = esp.entries.iter().enumerate().filter(|it| it.1.name.is_ours());
        ours.filter_map(|(place, it)| Some((place, it.entry.as_ref().ok()?)))
    };
    let boots_one = |entry: &BootEntry| {
        entry.boots().is_some_and(|(name, digest)| there.contains(&(name.as_str(), digest)))
    };
    // Two media can have a generation in common, and share the partition: the store of this one is that which most entries name.
    let mut stores: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    readable().filter(|it| boots_one(it.1)).for_each(|it| *stores.entry(store_of(it.1)).or_default() += 1);
    let most = stores.values().max().copied().unwrap_or(0);
    let mut likely = stores.iter().filter(|it| *it.1 == most);
    let Some(store) = likely.next() else { return Ok(Vec::new()) };
    if let Some(other) = likely.next() {
        let name = |it: &Option<&str>| it.unwrap_or("none").to_owned();
        let cause = format!(
            "entries of two media, with the stores {} and {}, boot as many generations of this one",
            name(store.0),
            name(other.0)
        );
        return Err(Error::new("the EFI system partition", clean(&cause))
            .remedy("remove the entries of the other medium, or give each its own partition"));
    }
    let own = readable().filter(|it| store_of(it.1) == *store.0);
    let boots = |place: usize, entry: &BootEntry| booted_by(generations, esp.entries.get(place)?, entry);
    Ok(own.map(|(place, entry)| OwnEntry { place, generation: boots(place, entry) }).collect())
}

/// The generation that an entry boots: of several with the bytes that it binds that of its name, else the newest.
fn booted_by(generations: &[InstalledGeneration], file: &EspEntry, entry: &BootEntry) -> Option<usize> {
    let (profile, digest) = entry.boots()?;
    let number = file.name.number(&profile);
    let mut same = (0..generations.len())
        .filter(|at| generations[*at].profile == profile && generations[*at].digest == Some(digest));
    same.clone().find(|at| Some(generations[*at].number) == number).or_else(|| same.next())
}

/// The store that an entry names.
fn store_of(entry: &BootEntry) -> Option<&str> {
    entry.options.iter().rfind(|it| it.name() == names::STORE)?.value()
}
