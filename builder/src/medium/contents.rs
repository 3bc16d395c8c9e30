//! What a medium holds, with what its slots and this machine say of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use boot_ledger::{Damage, Generation, Ledger, Slots};
use boot_store::{BootStore, ListedGeneration, layout, signature};
use profiles::resolved::{BootProfile, ImageRef};
use profiles::{Digest, Name};

use crate::error::{Error, Result, beneath};
use crate::text_file;

/// One generation of a profile on the medium.
#[derive(Debug, Clone)]
pub struct InstalledGeneration {
    /// The profile.
    pub profile: Name,
    /// Its number.
    pub number: u64,
    /// SHA-256 of its file; `None` where that cannot be read.
    pub digest: Option<Digest>,
    /// The text of what lies beside it as its signature, or why that cannot be read.
    pub signature: Option<Result<String, String>>,
    /// Somebody wants it to stay.
    pub kept: bool,
    /// The profile, or why it is none.
    pub contents: Result<BootProfile, String>,
}

/// The store of a medium.
#[derive(Debug, Clone)]
pub struct MediumContents {
    /// By name of the profile, the newest first.
    pub generations: Vec<InstalledGeneration>,
    /// Why the generations of some profiles are not known.
    pub unlisted: Vec<Error>,
    /// The images, each with its length in bytes.
    pub images: BTreeMap<Digest, u64>,
    /// What has the name of an image, and nobody can tell what it is.
    pub unseen: Vec<Error>,
    /// The slots that count boots, or why they cannot be read.
    pub ledger: Result<Ledger, String>,
    /// Of the profile that this machine was booted from.
    pub running: Option<Digest>,
    /// What is no file and has the name of a generation, of what lies beside one, of an image or of a slot: paths below the store.
    pub no_files: BTreeSet<PathBuf>,
    /// Signatures and marks of generations that are not there, likewise.
    pub of_none: BTreeSet<PathBuf>,
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
        let digest = || self.digest.ok_or_else(|| "the profile cannot be read".to_owned());
        let is_of = |text: String| signature::is_of(&text, &self.profile, self.number, &digest()?);
        Some(self.signature.clone()?.and_then(is_of))
    }

    /// Whether it has a signature that is for it.
    pub fn is_signed(&self) -> bool {
        self.has_own_signature().is_some_and(|own| own.is_ok())
    }

    fn in_ledger(&self) -> Option<Generation> {
        self.digest.map(|digest| Generation { number: self.number, digest })
    }
}

impl MediumContents {
    /// Reads all of it; `folder` has `profiles/` and `images/`.
    ///
    /// # Errors
    /// The store cannot be read, or Lamina booted this machine and nobody knows what. What is damaged in the store stands in the result.
    pub fn read(folder: &Path) -> Result<Self> {
        let store = BootStore::open(folder, Path::new("")).map_err(Error::on(folder.display()))?;
        let slots = boot_ledger::FILES.map(PathBuf::from).into_iter();
        let mut contents = Self {
            generations: Vec::new(),
            unlisted: Vec::new(),
            images: BTreeMap::new(),
            unseen: Vec::new(),
            ledger: ledger(folder),
            running: running()?,
            no_files: slots.filter(|path| store.is_no_file(path)).collect(),
            of_none: BTreeSet::new(),
        };
        contents.read_images(&store)?;
        for profile in store.everything().map_err(Error::on(""))? {
            contents.no_files.extend(profile.no_files);
            contents.of_none.extend(profile.of_none);
            match profile.generations {
                Ok(listed) => contents
                    .generations
                    .extend(listed.into_iter().map(|it| generation(&store, &profile.name, it))),
                Err(error) => contents.unlisted.push(beneath("")(error)),
            }
        }
        Ok(contents)
    }

    /// The images with their lengths; what has the name of one and is no file, and of what nobody can tell.
    fn read_images(&mut self, store: &BootStore) -> Result<()> {
        let names = match store.folder().all_names(Path::new(layout::IMAGES)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            names => names.map_err(Error::on(store.path().join(layout::IMAGES).display()))?,
        };
        let digests = names.iter().filter_map(|name| layout::image_of(std::str::from_utf8(name).ok()?));
        for digest in digests {
            let path = layout::image(&digest);
            match store.folder().file(&path).and_then(|file| file.metadata()) {
                Ok(found) => _ = self.images.insert(digest, found.len()),
                Err(error) if error.kind() == ErrorKind::InvalidInput => _ = self.no_files.insert(path),
                // It went meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => self.unseen.push(Error::caused(store.path().join(path).display(), error)),
            }
        }
        Ok(())
    }

    /// The generations of a profile, the newest first.
    pub fn of<'a>(&'a self, profile: &'a Name) -> impl Iterator<Item = &'a InstalledGeneration> {
        self.generations.iter().filter(move |it| it.profile == *profile)
    }

    /// A generation with these bytes: the newest, which is the one that init takes for a digest.
    pub(crate) fn by_digest(&self, profile: &Name, digest: &Digest) -> Option<&InstalledGeneration> {
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

    /// Its images that are not on the medium, or have another length, or of which nobody can tell.
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
}

fn generation(store: &BootStore, name: &Name, listed: ListedGeneration) -> InstalledGeneration {
    let ListedGeneration { number, signed, kept } = listed;
    let (digest, contents) = match store.profile(name, number) {
        Ok(stored) => (Some(stored.digest), stored.parse().map_err(|why| why.to_string())),
        Err(why) => (None, Err(why.to_string())),
    };
    let signature = if signed { store.signature(name, number).transpose() } else { None };
    let signature = signature.map(|text| text.map_err(|why| format!("cannot be read: {why}")));
    InstalledGeneration { profile: name.clone(), number, digest, signature, kept, contents }
}

/// The generation that this machine runs. Its images are in use, and a file system with files that are removed and in use cannot be
/// made read-only again (`sb_prepare_remount_readonly` of `fs/namespace.c`), as whoever blesses a boot must.
///
/// # Errors
/// Lamina booted it, and the profile that init left cannot be read.
pub(crate) fn running() -> Result<Option<Digest>> {
    let path = Path::new(boot_report::paths::PROFILE);
    if !path.try_exists().map_err(Error::on(path.display()))? {
        return Ok(None);
    }
    let bytes = text_file::read(path).map_err(Error::on(""))?;
    Ok(Some(Digest::of_bytes(bytes)))
}

/// What the slots say; empty where a medium has none yet.
pub(crate) fn ledger(folder: &Path) -> Result<Ledger, String> {
    let Some(slots) = Slots::open(folder).map_err(|error| error.to_string())? else {
        return Ok(Ledger::default());
    };
    let reading = slots.read();
    let newer = reading.damaged.iter().any(|(_, damage)| matches!(damage, Damage::Newer(_)));
    match reading.damaged.as_slice() {
        [(_, damage), _] => Err(damage.to_string()),
        [(_, damage)] if newer => Err(damage.to_string()),
        _ => Ok(reading.ledger),
    }
}
