//! The medium that is worked on, its EFI system partition, and who works on them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use boot_store::layout::{self, DEFAULT_FOLDER};
use disk_image::FatVolume;

use super::on_disk::{DiskCopies, MountedDisk};
use super::room::FreeRoom;
use crate::error::{Error, Result};
use crate::medium;
use crate::presence;
use crate::report::Report;

/// A store that boots, and the partition with its menu; both are folders here.
#[derive(Debug, Clone)]
pub struct Target {
    /// The folder with `profiles/` and `images/`.
    pub store: PathBuf,
    /// The root of the EFI system partition.
    pub esp: PathBuf,
    /// What people call it.
    pub name: String,
    /// The image or the device of the disk, where it was given.
    pub disk: Option<PathBuf>,
    /// Of copies that stand for a file system of a disk: how much fits into that; of the store, and of the partition.
    rooms: (Option<FreeRoom>, Option<FreeRoom>),
    /// Changes the partition where its folder holds copies.
    pub(super) volume: Option<Arc<FatVolume>>,
}

impl Target {
    /// A mounted medium, or the folder of its store; and a mounted EFI system partition.
    ///
    /// # Errors
    /// One of them is no such folder, or cannot be looked at.
    pub fn mounted(medium: &Path, esp: &Path) -> Result<Target> {
        let store = store_in(medium)?.ok_or_else(|| {
            let cause =
                format!("is no medium: neither it nor its folder {DEFAULT_FOLDER} has a folder profiles");
            Error::new(medium.display(), cause)
                .remedy("mount the store's partition and give that folder; `lamina medium create` makes one")
        })?;
        Target::of(store, esp)
    }

    fn of(store: PathBuf, esp: &Path) -> Result<Target> {
        if presence::of(&store.join("builds"))?.is_some() {
            return Err(Error::new(store.display(), "is a store of builds, and no medium").remedy(
                "give the medium's folder with `--medium DIR`, and the store of builds with `--store DIR`",
            ));
        }
        if !presence::of_folder(esp)? {
            return Err(Error::new(esp.display(), "is no folder")
                .remedy("mount the EFI system partition, and give that folder with `--esp DIR`"));
        }
        Ok(Target {
            disk: None,
            name: store.display().to_string(),
            store,
            esp: esp.to_owned(),
            rooms: (None, None),
            volume: None,
        })
    }

    /// A disk of which all is copies.
    ///
    /// # Errors
    /// There is no store.
    pub fn of_copies(disk: &Path, copies: &DiskCopies) -> Result<Target> {
        let store = store_in(&copies.medium())?.ok_or_else(|| no_store(disk))?;
        let target = Target::of(store, &copies.esp())?;
        let rooms = (Some(copies.store_room), Some(copies.esp_room));
        Ok(Target { name: disk.display().to_string(), disk: Some(disk.to_owned()), rooms, ..target })
    }

    /// A disk that can be changed; its partition is taken over.
    ///
    /// # Errors
    /// There is no store.
    pub fn of_mounted(disk: &Path, mounted: &MountedDisk) -> Result<Target> {
        let named = |error: Error| error.about(disk.display());
        let store = store_in(&mounted.medium).map_err(named)?.ok_or_else(|| no_store(disk))?;
        let target = Target::of(store, &mounted.copies.esp()).map_err(named)?;
        let rooms = (None, Some(mounted.copies.esp_room));
        let volume = Some(Arc::clone(&mounted.volume));
        Ok(Target { name: disk.display().to_string(), disk: Some(disk.to_owned()), rooms, volume, ..target })
    }

    /// How much fits into the store.
    ///
    /// # Errors
    /// Its file system cannot be asked.
    pub fn room(&self) -> Result<FreeRoom> {
        self.rooms.0.map_or_else(|| FreeRoom::of(&self.store), Ok)
    }

    /// How much fits onto the partition, as it is now.
    ///
    /// # Errors
    /// It cannot be asked.
    pub(super) fn esp_room(&self) -> Result<FreeRoom> {
        match (&self.volume, self.rooms.1) {
            (Some(volume), _) => {
                let (free, cluster) = volume.room().map_err(Error::on("the EFI system partition"))?;
                Ok(FreeRoom { free, cluster })
            }
            (None, Some(room)) => Ok(room),
            (None, None) => FreeRoom::of(&self.esp),
        }
    }

    /// Waits until nobody else changes this medium; flock(2) lets it go with the value or with the process.
    ///
    /// # Errors
    /// The folder cannot be locked.
    pub fn hold(&self, report: &Report) -> Result<File> {
        medium::hold(&self.store, report)
    }
}

/// The folder with `profiles/` on what is mounted there, or that folder itself.
fn store_in(medium: &Path) -> Result<Option<PathBuf>> {
    for store in [medium.join(DEFAULT_FOLDER), medium.to_owned()] {
        if presence::of_folder(&store.join(layout::PROFILES))? {
            return Ok(Some(store));
        }
    }
    Ok(None)
}

fn no_store(disk: &Path) -> Error {
    Error::new(
        disk.display(),
        format!("has no folder {DEFAULT_FOLDER} with profiles on its store's partition"),
    )
    .remedy("give a disk that `lamina disk create` wrote")
}
