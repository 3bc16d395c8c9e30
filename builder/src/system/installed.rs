//! What a medium holds, with all that is known of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;

use boot_entry::BootEntry;
use boot_ledger::{Generation, Ledger};
use boot_store::{BootStore, ListedGeneration, ListedProfile, layout};
use cli::numbers::count;
use cli::safe_text::clean;
use profiles::resolved::{BootProfile, ImageRef};
use profiles::{Digest, Name};

use super::esp::{Esp, EspEntry};
use super::target::Target;
use crate::error::{Error, Result};
use crate::medium::retention;

/// One generation of a profile on the medium.
#[derive(Debug, Clone)]
pub struct InstalledGeneration {
    /// The profile.
    pub profile: Name,
    /// Its number.
    pub number: u64,
    /// SHA-256 of its file; `None` where that cannot be read.
    pub digest: Option<Digest>,
    /// A signature lies beside it.
    pub signed: bool,
    /// Somebody wants it to stay.
    pub kept: bool,
    /// The profile, or why it is none.
    pub contents: Result<BootProfile, String>,
}

/// A medium and its EFI system partition.
#[derive(Debug, Clone)]
pub struct Installed {
    /// By name of the profile, the newest first.
    pub generations: Vec<InstalledGeneration>,
    /// The images, each with its length in bytes.
    pub images: BTreeMap<Digest, u64>,
    /// The slots that count boots, or why they cannot be read.
    pub ledger: Result<Ledger, String>,
    /// The partition.
    pub esp: Esp,
    /// Of the profile that this machine was booted from.
    pub running: Option<Digest>,
    /// The entries of this medium that can be read.
    own: Vec<OwnEntry>,
}

/// An entry of the medium.
#[derive(Debug, Clone)]
struct OwnEntry {
    /// Its place among the entries of the partition.
    place: usize,
    /// What it boots.
    boots: Option<(Name, Digest)>,
}

impl InstalledGeneration {
    /// Its images, those that can be added too; none where it cannot be read.
    pub fn images(&self) -> impl Iterator<Item = &ImageRef> {
        self.contents.iter().flat_map(BootProfile::all_images)
    }

    /// As people and other commands write it.
    pub fn label(&self) -> String {
        format!("{}/{}", self.profile, self.number)
    }

    fn in_ledger(&self) -> Option<Generation> {
        self.digest.map(|digest| Generation { number: self.number, digest })
    }
}

impl Installed {
    /// Reads all of it.
    ///
    /// # Errors
    /// The store or the partition cannot be read. What is damaged in them stands in the result.
    pub fn read(target: &Target) -> Result<Installed> {
        let store =
            BootStore::open(&target.store, Path::new("")).map_err(Error::on(target.store.display()))?;
        let mut generations = Vec::new();
        for ListedProfile { name, generations: listed } in store.everything().map_err(Error::on(""))? {
            for ListedGeneration { number, signed, kept } in listed.map_err(Error::on(""))? {
                let (digest, contents) = match store.profile(&name, number) {
                    Ok(stored) => (Some(stored.digest), stored.parse().map_err(|why| why.to_string())),
                    Err(why) => (None, Err(why.to_string())),
                };
                let profile = name.clone();
                generations.push(InstalledGeneration { profile, number, digest, signed, kept, contents });
            }
        }
        let esp = Esp::read(&target.esp)?;
        Ok(Installed {
            own: own_entries(&generations, &esp)?,
            generations,
            images: images(&store)?,
            ledger: retention::ledger(&target.store),
            esp,
            running: retention::running()?,
        })
    }

    /// The generations of a profile, the newest first.
    pub fn of<'a>(&'a self, profile: &'a Name) -> impl Iterator<Item = &'a InstalledGeneration> {
        self.generations.iter().filter(move |it| it.profile == *profile)
    }

    /// A generation by its digest.
    pub fn by_digest(&self, profile: &Name, digest: &Digest) -> Option<&InstalledGeneration> {
        self.generations.iter().find(|it| it.profile == *profile && it.digest == Some(*digest))
    }

    /// Whether it was blessed last of its profile.
    pub fn is_last_good(&self, generation: &InstalledGeneration) -> bool {
        let good = self.ledger.as_ref().ok().and_then(|ledger| ledger.last_good(&generation.profile));
        good.is_some() && good == generation.in_ledger()
    }

    /// How often it was started since it was blessed, or at all, as far as that is remembered.
    pub fn attempts(&self, generation: &InstalledGeneration) -> u32 {
        let Some(known) = generation.in_ledger() else { return 0 };
        self.ledger.as_ref().map_or(0, |ledger| ledger.attempts(&generation.profile, &known))
    }

    /// Whether this machine runs it.
    pub fn is_running(&self, generation: &InstalledGeneration) -> bool {
        self.running.is_some() && generation.digest == self.running
    }

    /// Its images that are not on the medium, or have another length.
    pub fn missing_images<'a>(
        &'a self,
        generation: &'a InstalledGeneration,
    ) -> impl Iterator<Item = &'a ImageRef> {
        generation.images().filter(|image| self.images.get(&image.digest) != Some(&image.size))
    }

    /// Whether it can be read, and all its images are there.
    pub fn is_whole(&self, generation: &InstalledGeneration) -> bool {
        generation.contents.is_ok() && self.missing_images(generation).next().is_none()
    }

    /// What a person should know of generations that are in the menu.
    pub fn warnings(&self) -> Vec<String> {
        let in_menu = self.generations.iter().filter(|it| self.entry_of(it).is_some());
        let damaged = in_menu.filter(|it| self.missing_images(it).next().is_some());
        let sentence = |it: &InstalledGeneration| {
            let missing = count(self.missing_images(it).count(), "image");
            format!(
                "{}: {missing} missing, or of another length: `lamina system install {}` puts its newest generation there again",
                it.label(),
                it.profile
            )
        };
        damaged.map(sentence).collect()
    }

    /// Whether it is what a power cut leaves: it cannot be read, and nobody names it.
    pub fn is_left_over(&self, generation: &InstalledGeneration) -> bool {
        let named = generation.kept || self.attempts(generation) > 0 || self.entry_of(generation).is_some();
        generation.contents.is_err()
            && !named
            && !self.is_last_good(generation)
            && !self.is_running(generation)
    }

    /// The generation that an entry boots.
    pub fn booted_by(&self, entry: &BootEntry) -> Option<&InstalledGeneration> {
        let (profile, digest) = entry.boots()?;
        self.by_digest(&profile, &digest)
    }

    /// The generation that boots by itself, as far as the partition says.
    pub fn default_generation(&self) -> Option<&InstalledGeneration> {
        self.booted_by(self.esp.default_entry()?.entry.as_ref().ok()?)
    }

    /// What a rollback makes the default: of the profile, or of the one that boots by itself, the last good generation where that is older
    /// than what boots now, else the next older one that is whole.
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
        let newest = || self.generations.iter().find(|it| it.profile == *name);
        let now = default.filter(|it| it.profile == *name).or_else(newest).ok_or_else(|| {
            Error::new(format!("profile {name}"), "is not on the medium")
                .remedy("`lamina system list` says what is there")
        })?;
        let older = || {
            self.generations
                .iter()
                .filter(|it| it.profile == *name && it.number < now.number && self.is_whole(it))
        };
        older().find(|it| self.is_last_good(it)).or_else(|| older().next()).ok_or_else(|| {
            Error::new(now.label(), "is the oldest generation on the medium that can boot")
                .remedy("`lamina system default NAME/NUMBER` chooses any other")
        })
    }

    /// The entry that boots a generation.
    pub fn entry_of(&self, generation: &InstalledGeneration) -> Option<&EspEntry> {
        let digest = generation.digest?;
        let boots = |own: &&OwnEntry| {
            own.boots.as_ref().is_some_and(|it| it.1 == digest && it.0 == generation.profile)
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
    Ok(own.map(|(place, entry)| OwnEntry { place, boots: entry.boots() }).collect())
}

/// The store that an entry names.
fn store_of(entry: &BootEntry) -> Option<&str> {
    entry.options.iter().rfind(|it| it.name() == "lamina.store")?.value()
}

fn images(store: &BootStore) -> Result<BTreeMap<Digest, u64>> {
    let names = match store.directory().names(Path::new(layout::IMAGES)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        names => names.map_err(Error::on(store.path().join(layout::IMAGES).display()))?,
    };
    let image = |name: Vec<u8>| {
        let digest = layout::image_of(std::str::from_utf8(&name).ok()?)?;
        let file = store.directory().file(&layout::image(&digest)).ok()?;
        Some((digest, file.metadata().ok()?.len()))
    };
    Ok(names.filter_map(image).collect())
}
