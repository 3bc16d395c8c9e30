//! The medium that is worked on, its EFI system partition, and who works on them.

use std::fs::File;
use std::path::{Path, PathBuf};

use boot_store::layout;
use nix::fcntl::Flock;

use crate::error::{Error, Result};
use crate::medium;
use crate::report::Report;

/// Where init looks on a medium when `lamina.dir=` says nothing else.
const FOLDER: &str = "lamina";

/// A store that boots, and the partition with its menu; both are folders here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The folder with `profiles/` and `images/`.
    pub store: PathBuf,
    /// The root of the EFI system partition.
    pub esp: PathBuf,
}

impl Target {
    /// A mounted medium, or the folder of its store; and a mounted EFI system partition.
    ///
    /// # Errors
    /// One of them is no such folder.
    pub fn mounted(medium: &Path, esp: &Path) -> Result<Target> {
        let has_profiles = |folder: &Path| folder.join(layout::PROFILES).is_dir();
        let store = match [medium.join(FOLDER), medium.to_owned()].into_iter().find(|it| has_profiles(it)) {
            Some(store) => store,
            None => {
                let cause = format!("is no medium: neither it nor its folder {FOLDER} has a folder profiles");
                return Err(Error::new(medium.display(), cause).remedy(
                    "mount the store's partition and give that folder; `lamina medium create` makes one",
                ));
            }
        };
        if store.join("builds").exists() {
            return Err(Error::new(store.display(), "is a store of builds, and no medium").remedy(
                "give the medium's folder with `--medium DIR`, and the store of builds with `--store DIR`",
            ));
        }
        if !esp.is_dir() {
            return Err(Error::new(esp.display(), "is no folder")
                .remedy("mount the EFI system partition, and give that folder with `--esp DIR`"));
        }
        Ok(Target { store, esp: esp.to_owned() })
    }

    /// Waits until nobody else changes this medium; flock(2) lets it go with the value or with the process.
    ///
    /// # Errors
    /// The folder cannot be locked.
    pub fn hold(&self, report: &Report) -> Result<Flock<File>> {
        medium::hold(&self.store, report)
    }
}
