//! Images as folders, for builds: `trees/HEX/root` is the image unpacked, `trees/HEX/stamp` says what its metadata was then.
//!
//! This is the only way to them. A tree is looked at each time before it is used; one that was changed is unpacked anew. `trees/` is
//! its owner's alone (0700): what is in it has the modes that the packages gave, and a folder that all may write to must not be
//! reached by all.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use profiles::resolved::VerityRef;
use rustix::fs::{CWD, renameat};
use verified_store::CheckedImage;

use super::tree_stamp::{self, Stamp};
use super::{Dependency, Store, opening, trees};
use crate::error::{Error, Result};
use crate::image::overlay_marks;
use crate::new_folder::{self, Rule};
use crate::report::Report;
use crate::scratch::{Scratch, aside_name, is_there};

/// Of `trees/` and of each tree in it.
const PRIVATE: u32 = 0o700;
/// In `trees/HEX`.
pub(super) const ROOT: &str = "root";
const STAMP: &str = "stamp";
const DAMAGED: &str = "`lamina store verify` says how to have a damaged image again";

/// What a look at a tree says.
#[derive(Debug, PartialEq, Eq)]
enum State {
    /// It is as it was unpacked, and ours.
    Sound,
    /// It is not there, or was made by an earlier version or for another user.
    Missing,
    /// It has another stamp now.
    Changed,
}

impl Store {
    /// `trees/HEX/root`, made from the image when it is missing, and anew when somebody changed it. It appears whole or not at all, and
    /// every byte of it was checked against the hash tree that the record of the build names.
    ///
    /// # Errors
    /// The image is missing, or is damaged beyond mending; the tree cannot be written.
    pub fn unpacked(&self, layer: &Dependency, report: &Report) -> Result<PathBuf> {
        let place = self.tree_path(&layer.digest);
        let folder = self.root.join("trees");
        opening::refuse_link(&folder)?;
        if look(&place) == State::Sound {
            return Ok(place.join(ROOT));
        }
        let trees =
            new_folder::listed(&self.folder(&folder, PRIVATE)?).map_err(Error::on(folder.display()))?;
        // One at a time: a tree that another process has made meanwhile and uses by now must not be exchanged below it.
        let trees = Flock::lock(trees, FlockArg::LockExclusive)
            .map_err(|(_, errno)| Error::caused(folder.display(), errno))?;
        close_to_others(&trees).map_err(Error::on(folder.display()))?;
        let state = look(&place);
        if state != State::Sound {
            self.unpack(layer, (&trees, &place), state, report)?;
        }
        Ok(place.join(ROOT))
    }

    /// Unpacks into `trees`, a descriptor of the folder of `place`.
    fn unpack(
        &self,
        layer: &Dependency,
        (trees, place): (&File, &Path),
        state: State,
        report: &Report,
    ) -> Result<()> {
        let verity = self.verity_of(layer);
        let image = self.open_image(&layer.digest, verity.as_ref())?;
        if state == State::Changed {
            let what = trees::compare(image.image(), &place.join(ROOT)).err();
            let what = what
                .unwrap_or_else(|| "names and contents are the image's, times or inodes are not".to_owned());
            report.line(format_args!(
                "warning: {}: was changed since it was unpacked, and is unpacked again: {what}",
                place.display()
            ));
        }
        refuse_overlay_marks(&image, &self.image_path(&layer.digest), layer)?;
        let scratch = self.scratch("unpack")?;
        let made = scratch.path().join("tree");
        fill(&image, &made)?;
        self.finish_reading(&image, &layer.digest, verity.as_ref(), report);
        exchange(&scratch, &made, trees, place)
    }

    /// What opens the image of a layer, by the record of its build. One that is gone leaves the digest, which says as much.
    pub(crate) fn verity_of(&self, layer: &Dependency) -> Option<VerityRef> {
        let record = self.record(&layer.id).ok().flatten()?;
        record.verity.filter(|_| record.digest == layer.digest)
    }
}

/// Whether a tree is what was unpacked. One that belongs to somebody else is not ours to use: he can change it at any time, and his
/// files may be closed to us.
fn look(place: &Path) -> State {
    let owner = fs::symlink_metadata(place).ok().filter(|found| found.is_dir()).map(|found| found.uid());
    let Some(stamp) = tree_stamp::read(&place.join(STAMP)) else { return State::Missing };
    if owner != Some(nix::unistd::geteuid().as_raw()) {
        return State::Missing;
    }
    match Stamp::of(&place.join(ROOT)) {
        Ok(found) if found.to_string() == stamp => State::Sound,
        _ => State::Changed,
    }
}

/// Takes the rights of others away from a `trees/` that an earlier version made.
fn close_to_others(trees: &File) -> io::Result<()> {
    match trees.metadata()?.mode() & 0o077 {
        0 => Ok(()),
        _ => trees.set_permissions(fs::Permissions::from_mode(PRIVATE)),
    }
}

/// A builder before 2026-11-26 made images with attributes on which overlayfs acts, and with whiteouts; in a tree they would act on the build's root.
pub(crate) fn refuse_overlay_marks(image: &CheckedImage, path: &Path, layer: &Dependency) -> Result<()> {
    for item in image.image().walk() {
        let item = item.map_err(|error| Error::caused("", error).remedy(DAMAGED))?;
        overlay_marks::refuse_overlay_marks(path, &item.path, &item.metadata, &item.kind).map_err(
            |error| {
                let record = format!("builds/{}.kdl", layer.id.hex());
                error.remedy(format!(
                    "remove {record} and build {} again with this version, which makes no such image",
                    layer.name
                ))
            },
        )?;
    }
    Ok(())
}

/// Unpacks an image and stamps it.
fn fill(image: &CheckedImage, made: &Path) -> Result<()> {
    let on = || Error::on::<io::Error>(made.display());
    new_folder::fresh(made, Rule::NothingInherited(PRIVATE)).map_err(on())?;
    let root = made.join(ROOT);
    // It names the image itself.
    image
        .image()
        .unpack(&root, &squashfs::UnpackOptions::user())
        .map_err(|error| Error::caused("", error).remedy(DAMAGED))?;
    crate::sandbox::give_to_builds(&root)?;
    let folder = File::open(made).map_err(on())?;
    // The contents first: a power cut must not leave a tree of empty files under its final name.
    nix::unistd::syncfs(folder.as_fd()).map_err(Error::on(made.display()))?;
    let stamp = Stamp::of(&root).map_err(on())?;
    let path = made.join(STAMP);
    let write = || -> io::Result<()> {
        fs::write(&path, stamp.to_string())?;
        File::open(&path)?.sync_all()?;
        folder.sync_all()
    };
    write().map_err(Error::on(path.display()))
}

/// Puts a finished tree in its place in `trees`, and what was there into scratch, to be removed. The lock of `trees` is held meanwhile.
fn exchange(scratch: &Scratch, made: &Path, trees: &File, place: &Path) -> Result<()> {
    let name = place.file_name().unwrap_or_default();
    let attempt = || -> io::Result<()> {
        if is_there(trees, name) {
            // Somebody else's folder may change its name, but not the folder that it is in.
            let aside = |errno| renameat(trees, name, trees, aside_name(trees, name).ok_or(errno)?);
            renameat(trees, name, CWD, scratch.path().join("old")).or_else(aside)?;
        }
        atomic_file::move_into(&File::open(made)?, (CWD, made), (trees, name))
    };
    attempt().map_err(|error| {
        Error::caused(place.display(), error)
            .remedy("remove this folder; `lamina build` unpacks the image again")
    })
}
