//! The content of an image that is not written yet.

use squashfs::{Content, Device, Entry, Kind, Metadata, Tree};

use crate::failure::Failure;

/// A layer that is not an image yet.
#[derive(Debug)]
pub struct Layer {
    pub(super) name: String,
    pub(super) tree: Tree,
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
