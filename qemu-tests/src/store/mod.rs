//! A store made for one story: layers of a few files, and resolved profiles that name them.
//!
//! The folders and the profile are written here from ARCHITECTURE.md and not with the product's own code, so that a story
//! also checks what that page promises.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use soak_guest::hex;
use squashfs::{WriteOptions, write_image};

use crate::failure::Failure;

mod foreign_images;
mod layer;
mod profile_text;

pub use layer::Layer;
pub use profile_text::{HashTree, ImageLine, ProfileText, newest_profile};

/// A store in a folder.
#[derive(Debug)]
pub struct TestStore {
    folder: PathBuf,
}

impl TestStore {
    /// Makes an empty store at `folder`, which must not exist.
    pub fn create(folder: &Path) -> Result<Self, Failure> {
        for part in ["images", "profiles"] {
            let part = folder.join(part);
            fs::create_dir_all(&part).map_err(Failure::at(&part))?;
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// The folder that holds `images/` and `profiles/`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes `layer` as an image.
    pub fn add(&self, layer: &Layer) -> Result<ImageLine, Failure> {
        let unnamed = self.folder.join("images").join(format!("{}.part", layer.name));
        let file = fs::OpenOptions::new().read(true).write(true).create_new(true).open(&unnamed);
        let file = file.map_err(Failure::at(&unnamed))?;
        let summary = write_image(&layer.tree, &WriteOptions::default(), file, &mut |_| ());
        let summary = summary.map_err(Failure::about(&layer.name))?;
        let line = ImageLine {
            name: layer.name.clone(),
            digest: hex(&summary.digest),
            size: summary.size,
            tree: None,
        };
        let path = self.image_path(&line);
        fs::rename(&unnamed, &path).map_err(Failure::at(&path))?;
        Ok(line)
    }

    /// Links or copies the image `line` out of the store at `from`, unless it is here already.
    pub fn take(&self, line: &ImageLine, from: &Path) -> Result<(), Failure> {
        let source = from.join("images").join(format!("{}.sqfs", line.digest));
        let target = self.image_path(line);
        let taken = match fs::hard_link(&source, &target) {
            // Never copied over: the target may be the source itself, and copying would empty both.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) if error.kind() == ErrorKind::CrossesDevices => fs::copy(&source, &target).map(drop),
            linked => linked,
        };
        taken.map_err(Failure::at(&source))
    }

    /// Where the file of the image `line` is, or would be.
    pub fn image_path(&self, line: &ImageLine) -> PathBuf {
        self.folder.join("images").join(format!("{}.sqfs", line.digest))
    }

    /// Writes a profile as generation 1.
    pub fn profile(&self, profile: &ProfileText) -> Result<(), Failure> {
        self.profile_text(&profile.name, &profile.to_kdl())
    }

    /// Writes a profile as the generation `number`, and says where.
    pub fn generation(&self, number: u64, profile: &ProfileText) -> Result<PathBuf, Failure> {
        self.write_generation(&profile.name, number, &profile.to_kdl())
    }

    /// Writes any text as generation 1 of the profile `name`.
    pub fn profile_text(&self, name: &str, text: &str) -> Result<(), Failure> {
        self.write_generation(name, 1, text).map(drop)
    }

    /// Makes the two boot slots, with nothing in them: ARCHITECTURE.md says that they are files of 4096 bytes.
    pub fn boot_slots(&self) -> Result<(), Failure> {
        let folder = self.folder.join("boot");
        fs::create_dir_all(&folder).map_err(Failure::at(&folder))?;
        ["a", "b"].iter().try_for_each(|slot| {
            let path = folder.join(slot);
            fs::write(&path, [0; 4096]).map_err(Failure::at(&path))
        })
    }

    fn write_generation(&self, name: &str, number: u64, text: &str) -> Result<PathBuf, Failure> {
        let folder = self.folder.join("profiles").join(name);
        fs::create_dir_all(&folder).map_err(Failure::at(&folder))?;
        let path = folder.join(format!("{number}.kdl"));
        fs::write(&path, text).map_err(Failure::at(&path))?;
        Ok(path)
    }
}

/// The SHA-256 of a file, 64 hex digits, as names of images and `lamina.profile=NAME@sha256:HEX` have it.
pub fn sha256(path: &Path) -> Result<String, Failure> {
    Ok(hex(&Sha256::digest(fs::read(path).map_err(Failure::at(path))?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taking_an_image_twice_leaves_it_whole() -> Result<(), Failure> {
        let folder = tempfile::tempdir().map_err(Failure::about("a temporary folder"))?;
        let [from, to] = ["from", "to"].map(|name| TestStore::create(&folder.path().join(name)));
        let (from, to) = (from?, to?);
        let line = from.add(&Layer::new("layer").file("/file", "text")?)?;
        to.take(&line, from.folder())?;
        to.take(&line, from.folder())?;
        let bytes = fs::metadata(from.image_path(&line)).map_err(Failure::about("the image"))?.len();
        assert_eq!(bytes, line.size);
        Ok(())
    }
}
