//! What a medium holds, with all that is known of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use boot_entry::BootEntry;
use boot_ledger::{Generation, Ledger};
use boot_store::{BootStore, ListedGeneration, layout, signature};
use cli::numbers::count;
use cli::safe_text::clean;
use profiles::resolved::{BootProfile, ImageRef};
use profiles::{Digest, Name};

use super::esp::{Esp, EspEntry};
use super::target::Target;
use crate::error::{Error, Result, beneath};
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
    /// The text of what lies beside it as its signature; empty where that cannot be read.
    pub signature: Option<String>,
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
    /// What is no file and has the name of a generation, of what lies beside one, or of an image: paths below the store.
    pub no_files: BTreeSet<PathBuf>,
    /// Signatures and marks of generations that are not there, likewise.
    pub of_none: BTreeSet<PathBuf>,
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

impl InstalledGeneration {
    /// Its images, those that can be added too; none where it cannot be read.
    pub fn images(&self) -> impl Iterator<Item = &ImageRef> {
        self.contents.iter().flat_map(BootProfile::all_images)
    }

    /// As people and other commands write it.
    pub fn label(&self) -> String {
        format!("{}/{}", self.profile, self.number)
    }

    /// Whether what lies beside it as its signature is for it, by its comments ([`signature::is_of`]), and else why not; `None` where nothing
    /// does.
    pub fn has_own_signature(&self) -> Option<Result<(), String>> {
        let text = self.signature.as_ref()?;
        let digest = self.digest.ok_or_else(|| "the profile cannot be read".to_owned());
        Some(digest.and_then(|digest| signature::is_of(text, &self.profile, self.number, &digest)))
    }

    /// Whether it has a signature that is for it.
    pub fn is_signed(&self) -> bool {
        self.has_own_signature().is_some_and(|own| own.is_ok())
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
        let (mut generations, mut of_none) = (Vec::new(), BTreeSet::new());
        let (images, mut no_files) = images(&store)?;
        for profile in store.everything().map_err(Error::on(""))? {
            no_files.extend(profile.no_files);
            of_none.extend(profile.of_none);
            for listed in profile.generations.map_err(beneath(""))? {
                generations.push(generation(&store, &profile.name, listed));
            }
        }
        let esp = Esp::read(&target.esp)?;
        Ok(Installed {
            own: own_entries(&generations, &esp)?,
            generations,
            images,
            ledger: retention::ledger(&target.store),
            esp,
            running: retention::running()?,
            no_files,
            of_none,
        })
    }

    /// The generations of a profile, the newest first.
    pub fn of<'a>(&'a self, profile: &'a Name) -> impl Iterator<Item = &'a InstalledGeneration> {
        self.generations.iter().filter(move |it| it.profile == *profile)
    }

    /// A generation with these bytes: the newest, which is the one that init takes for a digest.
    fn by_digest(&self, profile: &Name, digest: &Digest) -> Option<&InstalledGeneration> {
        self.generations.iter().find(|it| it.profile == *profile && it.digest == Some(*digest))
    }

    /// The numbers of a profile that no generation can have: something else has the name of its file.
    pub fn numbers_in_the_way<'a>(&'a self, profile: &Name) -> impl Iterator<Item = u64> + use<'a> {
        let folder = layout::profile_folder(profile);
        let of_profile = self.no_files.iter().filter(move |path| path.parent() == Some(&folder));
        of_profile.filter_map(|path| layout::generation_of(path.file_name()?.to_str()?))
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

    /// Whether this machine runs it. Of several with the same bytes it is the newest.
    pub fn is_running(&self, generation: &InstalledGeneration) -> bool {
        let newest = self.running.and_then(|digest| self.by_digest(&generation.profile, &digest));
        newest.is_some_and(|it| it.number == generation.number)
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
        damaged.map(sentence).chain(self.left_alone()).collect()
    }

    /// What Lamina has not written, though it has such a name.
    fn left_alone(&self) -> impl Iterator<Item = String> {
        let sentence = |path: &dyn std::fmt::Display, place: &str| {
            clean(&format!(
                "{path} {place}: is no regular file, and nothing that Lamina has written; it is left alone"
            ))
        };
        let of_medium = self.no_files.iter().map(move |path| sentence(&path.display(), "on the medium"));
        of_medium.chain(self.esp.no_files.iter().map(move |path| sentence(path, "on the ESP")))
    }

    /// Whether it is what a power cut leaves: it cannot be read, and nobody names it.
    pub fn is_left_over(&self, generation: &InstalledGeneration) -> bool {
        let named = generation.kept || self.attempts(generation) > 0 || self.entry_of(generation).is_some();
        generation.contents.is_err()
            && !named
            && !self.is_last_good(generation)
            && !self.is_running(generation)
    }

    /// The generation of this medium that an entry boots.
    pub fn booted_by(&self, entry: &EspEntry) -> Option<&InstalledGeneration> {
        let is_it = |own: &&OwnEntry| self.esp.entries.get(own.place).is_some_and(|it| it.file == entry.file);
        self.generations.get(self.own.iter().find(is_it)?.generation?)
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
        let newest = || self.generations.iter().find(|it| it.profile == *name);
        let now = default.filter(|it| it.profile == *name).or_else(newest).ok_or_else(|| {
            Error::new(format!("profile {name}"), "is not on the medium")
                .remedy("`lamina system list` says what is there")
        })?;
        let older = || {
            self.generations
                .iter()
                .filter(|it| it.profile == *name && it.number < now.number && it.digest != now.digest)
                .filter(|it| self.is_whole(it))
        };
        older().find(|it| self.is_last_good(it)).or_else(|| older().next()).ok_or_else(|| {
            Error::new(now.label(), "is the oldest generation on the medium that can boot")
                .remedy("`lamina system default NAME/NUMBER` chooses any other")
        })
    }

    /// The entry that boots a generation.
    pub fn entry_of(&self, generation: &InstalledGeneration) -> Option<&EspEntry> {
        let boots = |own: &&OwnEntry| {
            let booted = own.generation.and_then(|at| self.generations.get(at));
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

fn generation(store: &BootStore, name: &Name, listed: ListedGeneration) -> InstalledGeneration {
    let ListedGeneration { number, signed, kept } = listed;
    let (digest, contents) = match store.profile(name, number) {
        Ok(stored) => (Some(stored.digest), stored.parse().map_err(|why| why.to_string())),
        Err(why) => (None, Err(why.to_string())),
    };
    let signature = signed.then(|| store.signature(name, number).ok().flatten().unwrap_or_default());
    InstalledGeneration { profile: name.clone(), number, digest, signature, kept, contents }
}

/// The store that an entry names.
fn store_of(entry: &BootEntry) -> Option<&str> {
    entry.options.iter().rfind(|it| it.name() == "lamina.store")?.value()
}

/// The images with their lengths, and what has the name of one and is no file.
fn images(store: &BootStore) -> Result<(BTreeMap<Digest, u64>, BTreeSet<PathBuf>)> {
    let names = match store.folder().all_names(Path::new(layout::IMAGES)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        names => names.map_err(Error::on(store.path().join(layout::IMAGES).display()))?,
    };
    let (mut images, mut no_files) = (BTreeMap::new(), BTreeSet::new());
    let digests = names.iter().filter_map(|name| layout::image_of(std::str::from_utf8(name).ok()?));
    for digest in digests {
        let path = layout::image(&digest);
        match store.folder().file(&path).and_then(|file| file.metadata()) {
            Ok(found) => _ = images.insert(digest, found.len()),
            Err(error) if error.kind() == ErrorKind::InvalidInput => _ = no_files.insert(path),
            Err(_) => {}
        }
    }
    Ok((images, no_files))
}
