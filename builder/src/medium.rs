//! A boot medium: the images and newest generations of some profiles, in the layout that init reads.
//!
//! Images come first and profiles last, and every file appears whole, so that the folder boots at every moment with the
//! profiles that it shows, and can be brought up to date by the same command.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use boot_ledger::Slots;
use profiles::resolved::BootProfile;
use profiles::{Digest, Name};
use progress::{Meter, Progress, count};
use unnamed_file::UnnamedFile;

use crate::error::{Error, Result};
use crate::store::Store;
use crate::{lock, signature, text_file};

/// What goes onto the medium.
#[derive(Debug, Clone)]
pub struct MediumPlan {
    /// The folder to fill, which also gets the slots that count boots.
    pub folder: PathBuf,
    /// Where each image is and will be.
    pub images: Vec<(PathBuf, PathBuf)>,
    /// Where each profile is and will be.
    pub profiles: Vec<(PathBuf, PathBuf)>,
    /// Where the signature of each profile that has one is and will be.
    pub signatures: Vec<(PathBuf, PathBuf)>,
    /// Bytes of all images.
    pub size: u64,
    /// Profiles of the medium with a higher number than the store's, which init would boot in their place.
    pub outnumbered: Vec<PathBuf>,
}

impl MediumPlan {
    /// Reads the newest generation of each profile; every image must be in the store with its size.
    pub fn make(store: &Store, folder: &Path, names: &[Name]) -> Result<Self> {
        let mut images: BTreeMap<Digest, u64> = BTreeMap::new();
        let (mut profiles, mut signatures, mut outnumbered) = (Vec::new(), Vec::new(), Vec::new());
        for name in names {
            let (number, path) = lock::newest(store, name)?.ok_or_else(|| {
                Error::new(format!("profile {name}"), "has not been locked")
                    .remedy(format!("`lamina build {name}` builds and locks"))
            })?;
            let bytes = text_file::read(&path)?;
            let profile = BootProfile::parse(&path.display().to_string(), &bytes).map_err(Error::on(""))?;
            for image in profile.images.iter().chain(&profile.optional) {
                let from = store.image_path(&image.digest);
                let found = fs::metadata(&from).map_err(|error| {
                    Error::new(from.display(), format!("profile {name} needs it: {error}"))
                        .remedy(format!("`lamina build {name}` makes what is missing"))
                })?;
                let length = found.len();
                if length != image.size {
                    let cause = format!("has {}, profile {name} says {}", count(length, "byte"), image.size);
                    return Err(Error::new(from.display(), cause).remedy("run `lamina store verify`"));
                }
                images.insert(image.digest, image.size);
            }
            let on_medium = folder.join("profiles").join(name.as_str());
            let highest = lock::newest_in(&on_medium)?;
            outnumbered.extend(highest.filter(|(there, _)| *there > number).map(|(_, path)| path));
            let target = on_medium.join(format!("{number}.kdl"));
            let signature = signature::path_of(&path);
            if signature.is_file() {
                signatures.push((signature, signature::path_of(&target)));
            }
            profiles.push((path, target));
        }
        let size = images.values().sum();
        let place = |digest: &Digest| {
            (store.image_path(digest), folder.join(format!("images/{}.sqfs", digest.hex())))
        };
        let images = images.keys().map(place).collect();
        Ok(MediumPlan { folder: folder.to_path_buf(), images, profiles, signatures, size, outnumbered })
    }

    /// Every file, in the order of copying: a signature before its profile, which must never be seen without it.
    pub fn files(&self) -> impl Iterator<Item = &(PathBuf, PathBuf)> {
        self.images.iter().chain(&self.signatures).chain(&self.profiles)
    }

    /// Copies what is not there yet, and makes the slots that count boots.
    pub fn carry_out(&self, progress: Progress) -> Result<()> {
        let length = |path: &Path| fs::metadata(path).map(|found| found.len()).ok();
        let missing: Vec<_> = self
            .images
            .iter()
            .filter(|(from, to)| length(to).is_none() || length(to) != length(from))
            .collect();
        let bytes: u64 = missing.iter().filter_map(|(from, _)| length(from)).sum();
        if !missing.is_empty() {
            let what = format!("copying {} to {}", count(missing.len(), "image"), self.folder.display());
            let meter = progress.passes(what, bytes, 2 * bytes);
            for (from, to) in missing {
                check(from, &meter)?;
                copy(from, to, &meter)?;
            }
        }
        // Their number says nothing of their contents: another store may have counted on its own.
        for (from, to) in self.signatures.iter().chain(&self.profiles) {
            let bytes = fs::read(from).map_err(Error::on(from.display()))?;
            if fs::read(to).ok() != Some(bytes) {
                self.drop_stale_signature(to)?;
                copy(from, to, &Progress::Silent.work("copying"))?;
            }
        }
        Slots::create(&self.folder).map_err(Error::on(self.folder.join("boot").display()))
    }

    /// The signature of a profile that is replaced by another one without a signature would refuse that one.
    fn drop_stale_signature(&self, profile: &Path) -> Result<()> {
        let path = signature::path_of(profile);
        if self.signatures.iter().any(|(_, to)| *to == path) || !path.exists() {
            return Ok(());
        }
        fs::remove_file(&path).map_err(Error::on(path.display()))
    }
}

/// Whether an image of the store is what its name says: init would refuse another one, on a machine that is far away by then.
fn check(image: &Path, meter: &Meter) -> Result<()> {
    let digest = File::open(image).and_then(|file| Digest::of(meter.reader(file)));
    let (digest, _) = digest.map_err(Error::on(image.display()))?;
    if image.file_stem().is_some_and(|stem| stem == digest.hex().as_str()) {
        return Ok(());
    }
    let cause = format!("its SHA-256 is {}: the file was changed or damaged", digest.hex());
    Err(Error::new(image.display(), cause).remedy("`lamina store verify` says how to have it again"))
}

/// Makes a folder and those above it, each on the disk before what will lie in it.
fn make_folder(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_folder(above)?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.and_then(|()| File::open(above)?.sync_all()),
    }
    .map_err(Error::on(folder.display()))
}

/// Copies a file so that it appears whole; on file systems that can, the two share their blocks (FICLONE, ioctl_ficlone(2)).
fn copy(from: &Path, to: &Path, meter: &Meter) -> Result<()> {
    if let Some(parent) = to.parent() {
        make_folder(parent)?;
    }
    let source = File::open(from).map_err(Error::on(from.display()))?;
    let target = UnnamedFile::beside(to)?;
    let file = target.handle()?;
    if rustix::fs::ioctl_ficlone(&file, &source).is_err() {
        let mut out = BufWriter::with_capacity(1 << 17, &file);
        let copied = io::copy(&mut meter.reader(&source), &mut out).and_then(|_| out.flush());
        copied.map_err(Error::on(to.display()))?;
    } else {
        meter.advance(source.metadata().map_or(0, |found| found.len()));
    }
    Ok(target.publish()?)
}
