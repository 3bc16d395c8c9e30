//! A store made for one story: layers of a few files, and resolved profiles that name them.
//!
//! The folders and the profile are written here from ARCHITECTURE.md and not with the product's own code, so that a story
//! also checks what that page promises.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use soak_guest::hex;
use squashfs::{Content, Device, Entry, Kind, Metadata, Tree, WriteOptions, write_image};

use crate::failure::Failure;
use crate::protection::HashTree;

/// An image as a resolved profile names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageLine {
    /// The package's name.
    pub name: String,
    /// SHA-256 of the file, 64 hex digits.
    pub digest: String,
    /// Length of the file, in bytes.
    pub size: u64,
    /// Its hash tree, when it has one.
    pub tree: Option<HashTree>,
}

impl ImageLine {
    fn to_kdl(&self) -> String {
        let tree = self.tree.as_ref().map_or_else(String::new, HashTree::to_kdl);
        let Self { name, digest, size, .. } = self;
        format!("image \"{name}\" version=\"1\" digest=\"sha256:{digest}\" size={size}{tree}")
    }
}

/// A layer that is not an image yet.
#[derive(Debug)]
pub struct Layer {
    name: String,
    tree: Tree,
}

impl Layer {
    /// An empty layer.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), tree: Tree::new() }
    }

    /// A layer with this content.
    pub fn of(name: &str, tree: Tree) -> Self {
        Self { name: name.to_owned(), tree }
    }

    /// Adds an empty folder, mode 0755.
    pub fn folder(self, path: &str) -> Result<Self, Failure> {
        self.add(path, Metadata::mode(0o755), Kind::Directory)
    }

    /// Adds a file, mode 0644.
    pub fn file(self, path: &str, text: &str) -> Result<Self, Failure> {
        self.add(path, Metadata::mode(0o644), Kind::File(Content::from(text.as_bytes().to_vec())))
    }

    /// Adds a shell script, mode 0755, with the search path set.
    pub fn script(self, path: &str, lines: &str) -> Result<Self, Failure> {
        let text = format!("#!/bin/sh\nexport PATH=/usr/sbin:/usr/bin:/sbin:/bin\n{lines}\n");
        self.add(path, Metadata::mode(0o755), Kind::File(Content::from(text.into_bytes())))
    }

    /// Adds a file of any bytes, mode 0755.
    pub fn program(self, path: &str, bytes: Vec<u8>) -> Result<Self, Failure> {
        self.add(path, Metadata::mode(0o755), Kind::File(Content::from(bytes)))
    }

    /// Hides `path` of the layers below: a character device 0:0 (kernel: Documentation/filesystems/overlayfs.rst).
    pub fn whiteout(self, path: &str) -> Result<Self, Failure> {
        self.add(path, Metadata::mode(0), Kind::CharDevice(Device { major: 0, minor: 0 }))
    }

    /// Gives the layer's own root directory this mode and this group.
    pub fn root(mut self, mode: u32, group: u32) -> Result<Self, Failure> {
        let root = self.tree.metadata_mut(b"/").map_err(Failure::about(&self.name))?;
        let root = root.ok_or_else(|| Failure::new("a tree without a root"))?;
        (root.mode, root.gid) = (mode, group);
        Ok(self)
    }

    fn add(mut self, path: &str, metadata: Metadata, kind: Kind) -> Result<Self, Failure> {
        for (slash, _) in path.match_indices('/').filter(|(slash, _)| *slash > 0) {
            let folder = Entry::new(Metadata::mode(0o755), Kind::Directory);
            self.tree.insert(&path.as_bytes()[..slash], folder).map_err(Failure::about(&self.name))?;
        }
        self.tree.insert(path.as_bytes(), Entry::new(metadata, kind)).map_err(Failure::about(&self.name))?;
        Ok(self)
    }
}

/// A resolved profile that is not written yet. Images stand bottom first.
#[derive(Debug)]
pub struct ProfileText {
    name: String,
    images: Vec<ImageLine>,
    root: String,
    verify: String,
    init: String,
    more: Vec<String>,
}

impl ProfileText {
    /// A profile with a small writable tmpfs on top, images checked by digest, and `/sbin/init`.
    pub fn new(name: &str, images: &[ImageLine]) -> Self {
        Self {
            name: name.to_owned(),
            images: images.to_vec(),
            root: "root writable=\"tmpfs\" size=\"50%\"".to_owned(),
            verify: "digest".to_owned(),
            init: "/sbin/init".to_owned(),
            more: Vec::new(),
        }
    }

    /// Names the program that the system starts with.
    #[must_use]
    pub fn init(mut self, init: &str) -> Self {
        init.clone_into(&mut self.init);
        self
    }

    /// The whole node `root`, such as `root writable="LABEL=state"`.
    #[must_use]
    pub fn root(mut self, node: &str) -> Self {
        node.clone_into(&mut self.root);
        self
    }

    /// One more line, such as `sealed`.
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        self.more.push(line.to_owned());
        self
    }

    /// An image that the profile offers and does not stack.
    #[must_use]
    pub fn optional(self, image: &ImageLine) -> Self {
        let line = image.to_kdl().replacen("image", "optional", 1);
        self.line(&line)
    }

    /// `verity`, `digest` or `none`.
    #[must_use]
    pub fn verify(mut self, verify: &str) -> Self {
        verify.clone_into(&mut self.verify);
        self
    }

    /// Leaves out the writable top.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        "root writable=\"no\"".clone_into(&mut self.root);
        self
    }

    fn to_kdl(&self) -> String {
        let images: String = self.images.iter().map(|image| format!("    {}\n", image.to_kdl())).collect();
        let more: String = self.more.iter().map(|line| format!("    {line}\n")).collect();
        let Self { name, root, verify, init, .. } = self;
        format!(
            "profile \"{name}\" format=1 {{\n{images}{more}    {root}\n    verify \"{verify}\"\n    init \"{init}\"\n}}\n"
        )
    }
}

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

/// The newest generation of the profile `name` in the store at `folder`: its file and its images, bottom first.
pub fn newest_profile(folder: &Path, name: &str) -> Result<(PathBuf, Vec<ImageLine>), Failure> {
    let generations = folder.join("profiles").join(name);
    let entries = fs::read_dir(&generations).map_err(Failure::at(&generations))?;
    let newest = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".kdl")?.parse::<u64>().ok())
        .max()
        .ok_or_else(|| Failure::new(format!("{}: no generation of the profile", generations.display())))?;
    let path = generations.join(format!("{newest}.kdl"));
    let text = fs::read_to_string(&path).map_err(Failure::at(&path))?;
    Ok((path, text.lines().filter_map(image_line).collect()))
}

/// Reads one `image` line as `lamina profile lock` writes it, without a KDL parser: the harness drives programs.
fn image_line(line: &str) -> Option<ImageLine> {
    let rest = line.trim_start().strip_prefix("image ")?;
    let name = rest.split_whitespace().next()?.trim_matches('"').to_owned();
    let property = |name: &str| {
        let value = rest.split_once(&format!(" {name}="))?.1;
        value.split_whitespace().next().map(|value| value.trim_matches('"'))
    };
    let digest = property("digest")?.trim_start_matches("sha256:").to_owned();
    let number = |name| property(name).and_then(|value| value.parse().ok());
    let tree = property("root-hash").and_then(|root_hash| {
        Some(HashTree {
            root_hash: root_hash.to_owned(),
            salt: property("salt")?.to_owned(),
            data_blocks: number("data-blocks")?,
            fec_roots: property("fec-roots").and_then(|roots| roots.parse().ok()),
        })
    });
    Some(ImageLine { name, digest, size: number("size")?, tree })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_line_survives_writing_and_reading() {
        let tree = HashTree {
            root_hash: "cd".repeat(32),
            salt: "ef".repeat(32),
            data_blocks: 1,
            fec_roots: Some(2),
        };
        for tree in [None, Some(HashTree { fec_roots: None, ..tree.clone() }), Some(tree)] {
            let line = ImageLine { name: "busybox".to_owned(), digest: "ab".repeat(32), size: 4096, tree };
            let read = image_line(&format!("    {}", line.to_kdl())).expect("it is an image line");
            assert_eq!(read, line);
        }
    }

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

    #[test]
    fn other_lines_are_no_images() {
        assert!(image_line("    init \"/sbin/init\"").is_none());
    }
}
