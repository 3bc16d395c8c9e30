//! A boot medium: the images and newest generations of some profiles, in the layout that init reads.
//!
//! Images come first and profiles last, and every file appears whole, so that the folder boots at every moment with the
//! profiles that it shows, and can be brought up to date by the same command.

pub mod contents;
pub(crate) mod copying;
pub mod retention;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use boot_ledger::Slots;
use boot_store::layout;
use cli::numbers::count;
use cli::progress::Progress;
use profiles::resolved::KernelPin;
use profiles::{Digest, Name};

use contents::MediumContents;
use copying::Found;
pub use copying::MediumImage;
use retention::{Policy, Removals};

use crate::error::{Error, Result};
use crate::presence;
use crate::removing;
use crate::report::Report;
use crate::store::{Store, generations};
use crate::text_file;

/// What goes onto the medium.
#[derive(Debug, Clone)]
pub struct MediumPlan {
    /// The folder to fill, which also gets the slots that count boots.
    pub folder: PathBuf,
    /// Each image, where it is and will be.
    pub images: Vec<MediumImage>,
    /// Where each profile is and will be.
    pub profiles: Vec<(PathBuf, PathBuf)>,
    /// Where the signature of each profile that has one is and will be.
    pub signatures: Vec<(PathBuf, PathBuf)>,
    /// The kernels that profiles are for. None of them goes onto the medium.
    pub kernels: Vec<(Name, KernelPin)>,
    /// Bytes of all images.
    pub size: u64,
    /// Profiles of the medium with a higher number than the store's, which init would boot in their place.
    pub outnumbered: Vec<PathBuf>,
    /// What older generations leave behind.
    pub removals: Removals,
}

impl MediumPlan {
    /// Reads the newest generation of each profile; every image must be in the store with its size. Of each of these profiles the
    /// medium keeps the newest `keep` generations, and those that its slots name.
    pub fn make(store: &Store, folder: &Path, names: &[Name], keep: NonZero<usize>) -> Result<Self> {
        let mut images: BTreeMap<Digest, MediumImage> = BTreeMap::new();
        let (mut renewed, mut kernels) = (Vec::new(), Vec::new());
        let (mut profiles, mut signatures, mut outnumbered) = (Vec::new(), Vec::new(), Vec::new());
        for name in names {
            let locked = generations::newest_locked(store, name)?;
            for image in locked.profile.all_images() {
                let files = (store.require_image(name, image)?, folder.join(layout::image(&image.digest)));
                images.insert(image.digest, MediumImage { files, wanted: image.clone() });
            }
            let number = locked.stored.generation;
            let highest = generations::newest_in(folder, name)?;
            outnumbered.extend(highest.filter(|(there, _)| *there > number).map(|(_, path)| path));
            let files = (locked.stored.path.clone(), folder.join(locked.place()));
            if locked.own_signature()?.is_some() {
                signatures.push((layout::signature_of(&files.0), layout::signature_of(&files.1)));
            }
            profiles.push(files);
            kernels.extend(locked.profile.kernel.map(|pin| (name.clone(), pin)));
            renewed.push((name.clone(), number));
        }
        let size = images.values().map(|it| it.wanted.size).sum();
        let removals = removals(folder, &renewed, &images.keys().copied().collect(), keep);
        let images = images.into_values().collect();
        let folder = folder.to_path_buf();
        Ok(MediumPlan { folder, images, profiles, signatures, kernels, size, outnumbered, removals })
    }

    /// Every file, in the order of copying: a signature before its profile, which must never be seen without it.
    pub fn files(&self) -> impl Iterator<Item = &(PathBuf, PathBuf)> {
        self.images.iter().map(|image| &image.files).chain(&self.signatures).chain(&self.profiles)
    }

    /// Copies what is not there yet or is damaged there, makes the slots that count boots, and then removes what nobody needs any
    /// more: at every moment the medium boots with the profiles that it shows.
    pub fn carry_out(&self, report: &Report) -> Result<()> {
        let was_there = presence::of(&self.folder)?.is_some();
        let _held = was_there.then(|| hold(&self.folder, report)).transpose()?;
        self.bring_images(report).inspect_err(|_| {
            // Folders that nothing came into are no medium.
            for folder in [self.folder.join("images"), self.folder.clone()].iter().filter(|_| !was_there) {
                let _ = fs::remove_dir(folder);
            }
        })?;
        // Their number says nothing of their contents: another store may have counted on its own.
        for (from, to) in self.signatures.iter().chain(&self.profiles) {
            let bytes = text_file::read(from)?;
            // What cannot be read is not what is to be there: it is written anew, which says why where it cannot be.
            if text_file::read(to).ok().as_ref() != Some(&bytes) {
                self.drop_stale_signature(to)?;
                copying::write_small(&self.folder, to.strip_prefix(&self.folder).unwrap_or(to), &bytes)?;
            }
        }
        make_slots(&self.folder)?;
        removing::remove(&self.folder, &self.removals.files)
    }

    fn bring_images(&self, report: &Report) -> Result<()> {
        let there = self.images.iter().filter(|image| fs::symlink_metadata(&image.files.1).is_ok());
        let (found, bytes) =
            there.fold((0_u64, 0), |(found, bytes), image| (found + 1, bytes + image.wanted.size));
        let mut missing = Vec::new();
        let what = format!("checking {} on {}", count(found, "image"), self.folder.display());
        let meter = (found > 0).then(|| report.progress().meter(what, bytes));
        let silent = Progress::Silent.work("looking");
        for image in &self.images {
            match copying::look(image, meter.as_ref().unwrap_or(&silent)) {
                Found::Sound => {}
                Found::Nothing => missing.push((image, false)),
                Found::Damaged => missing.push((image, true)),
            }
        }
        drop(meter);
        if missing.is_empty() {
            return Ok(());
        }
        let bytes: u64 = missing.iter().map(|(image, _)| image.wanted.size).sum();
        let what = format!("copying {} to {}", count(missing.len(), "image"), self.folder.display());
        let meter = report.progress().passes(what, bytes, 2 * bytes);
        for (image, was_damaged) in missing {
            copying::copy_image(image, &meter, report, &self.folder)?;
            if was_damaged {
                let path = image.files.1.display();
                report.line(format_args!(
                    "warning: {path}: was damaged on the medium, and was put there again"
                ));
            }
        }
        Ok(())
    }

    /// The signature of a profile that is replaced by another one without a signature would refuse that one.
    fn drop_stale_signature(&self, profile: &Path) -> Result<()> {
        let path = layout::signature_of(profile);
        if self.signatures.iter().any(|(_, to)| *to == path) {
            return Ok(());
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(Error::on(path.display())),
        }
    }
}

/// What goes from the medium in `folder` once the generations `new`, which need the images `needed`, are there. Nothing goes when it cannot be
/// known: with slots that cannot be read, in a folder that is a store and no medium, or of which nobody can tell.
fn removals(folder: &Path, new: &[(Name, u64)], needed: &BTreeSet<Digest>, keep: NonZero<usize>) -> Removals {
    known_removals(folder, new, needed, keep)
        .unwrap_or_else(|error| Removals::nothing(format!("nothing is removed: {error}")))
}

fn known_removals(
    folder: &Path,
    new: &[(Name, u64)],
    needed: &BTreeSet<Digest>,
    keep: NonZero<usize>,
) -> Result<Removals> {
    for name in ["builds", "tmp"] {
        if presence::of(&folder.join(name))?.is_some() {
            return Ok(Removals::nothing("is a store: nothing is removed from it".to_owned()));
        }
    }
    if presence::of(folder)?.is_none() {
        return Ok(Removals::default());
    }
    let contents = MediumContents::read(folder)?;
    if let Err(why) = &contents.ledger {
        let cause = format!("the slots that count boots cannot be read: {why}\nhelp: {SLOTS}");
        return Ok(Removals::nothing(cause));
    }
    let profiles: Vec<Name> = new.iter().map(|(name, _)| name.clone()).collect();
    let verdicts = retention::judge(&contents, &Policy { profiles: &profiles, keep, default: None, new });
    Ok(Removals::after(&contents, &verdicts, new, needed))
}

/// Makes the slots that count boots, where they are missing.
///
/// # Errors
/// The medium cannot be written to; a link, or no folder or no file, has the name of one.
pub(crate) fn make_slots(medium: &Path) -> Result<()> {
    let folder = medium.join("boot");
    copying::make_folder_on(medium, &folder)?;
    Slots::create(medium).map_err(|error| {
        let error = Error::caused(folder.display(), error);
        match error.known_remedy() {
            Some(_) => error,
            None => error.remedy(SLOTS),
        }
    })
}

/// What helps where the slots are none.
pub(crate) const SLOTS: &str = "remove what has their name: `boot/a` and `boot/b` are files of the medium itself, and are made anew, with an empty count";

/// Waits until nobody else changes this medium; flock(2) lets it go with the file or with the process.
///
/// # Errors
/// The folder cannot be locked.
pub(crate) fn hold(folder: &Path, report: &Report) -> Result<File> {
    let file = File::open(folder).map_err(Error::on(folder.display()))?;
    lock(&file, folder, report).map(|()| file)
}

/// The same of a file that is open; `path` names it. Whoever else has this open file keeps others away too: a loop device has it for a moment
/// after its user has ended.
///
/// # Errors
/// It cannot be locked.
pub(crate) fn lock(file: &File, path: &Path, report: &Report) -> Result<()> {
    let locked = match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            report.line(format_args!("{}: waiting for another command", path.display()));
            file.lock()
        }
        Err(TryLockError::Error(error)) => Err(error),
        Ok(()) => Ok(()),
    };
    locked.map_err(Error::on(path.display()))
}
