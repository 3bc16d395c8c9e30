//! The bootstrap layer: an image put together from pinned Debian packages, without root, dpkg or maintainer scripts.
//!
//! A recipe with the node `debian` has two files beside it: `debian.kdl` ([`Description`]) says which packages are wanted and
//! what is taken from them; `lock.kdl` ([`Pins`]) pins every package by hash. `lamina bootstrap lock` makes the second from the
//! first with apt's own solver ([`solve`]); a build needs only the two files and the packages ([`Bootstrap::tree`]).

mod description;
mod layer;
mod pattern;
mod pins;
mod solver;

use std::fs::File;
use std::path::{Path, PathBuf};

use cli::numbers::count;
use squashfs::Tree;

pub use description::Description;
pub use pins::{PinnedPackage, Pins};
pub use solver::solve;

use crate::error::{Error, Result};
use crate::fetch::Source;
pub use crate::recipe::{DEBIAN_DESCRIPTION as DESCRIPTION_FILE, DEBIAN_PINS as PINS_FILE};

/// A description and the pins made from it.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    description: Description,
    pins: Pins,
}

impl Bootstrap {
    /// Reads both files from the folder of a recipe.
    ///
    /// # Errors
    /// One cannot be read, or the pins are of another description.
    pub fn load(folder: &Path) -> Result<Bootstrap> {
        let description = Description::load(&folder.join(DESCRIPTION_FILE))?;
        let path = folder.join(PINS_FILE);
        let pins = Pins::load(&path)?;
        pins.check_against(&description).map_err(|cause| {
            Error::new(path.display(), cause).remedy("make it again: lamina bootstrap lock")
        })?;
        Ok(Bootstrap { description, pins })
    }

    /// The packages to fetch, in the order of the pins.
    pub fn sources(&self) -> Vec<Source> {
        self.pins.packages.iter().map(PinnedPackage::source).collect()
    }

    /// Puts the layer together from the fetched packages, which stand in the order of [`Bootstrap::sources`].
    ///
    /// `scratch` is a folder for nameless temporary files, about 300 MB in all; they live as long as the tree.
    ///
    /// # Errors
    /// A package is damaged or another than the pins say; two packages have the same file; a link or an exclusion in
    /// the description is about nothing.
    pub fn tree(&self, packages: &[PathBuf], scratch: &Path) -> Result<Tree> {
        if packages.len() != self.pins.packages.len() {
            let cause = format!(
                "{} given for {} in the lock",
                count(packages.len(), "package"),
                self.pins.packages.len()
            );
            return Err(Error::new(PINS_FILE, cause));
        }
        let mut layer = layer::Layer::new(&self.description)?;
        for (pinned, path) in self.pins.packages.iter().zip(packages) {
            let package = deb::Package::open(path).map_err(Error::on(&pinned.name))?;
            pinned.check(package.control())?;
            let file = scratch_file(scratch)?;
            layer.add(&pinned.name, &package.contents(file).map_err(Error::on(&pinned.name))?)?;
        }
        layer.finish()
    }
}

fn scratch_file(folder: &Path) -> Result<File> {
    tempfile::tempfile_in(folder).map_err(Error::on(folder.display()))
}

#[cfg(test)]
mod tests;
