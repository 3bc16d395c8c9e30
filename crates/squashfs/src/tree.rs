//! What an image will hold: a tree of names and entries.
//!
//! Paths are bytes, relative to the root of the image; a leading `/` or `./` and a trailing `/` are ignored, so that the
//! member names of a tar archive can be given as they are. `..`, NUL and names over 255 bytes are refused.

use std::collections::BTreeMap;

use crate::Error;
use crate::entry::{Entry, Kind, Metadata, NAME_MAX};

/// The place of an inode in the tree's arena.
pub(crate) type InodeId = usize;
/// The root directory's place.
pub(crate) const ROOT: InodeId = 0;

#[derive(Clone, Debug)]
pub(crate) struct Inode {
    pub(crate) entry: Entry,
    /// By the bytes of the name; empty unless this is a directory.
    pub(crate) children: BTreeMap<Box<[u8]>, InodeId>,
    /// How many names it has. A removed inode has none and stays in the arena, unseen.
    pub(crate) names: u32,
}

/// A directory tree in memory, from which an image is written.
#[derive(Clone, Debug)]
pub struct Tree {
    inodes: Vec<Inode>,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// Only the root directory: root's, mode 0755, time 0. Insert a directory at `b"/"` to change that.
    pub fn new() -> Self {
        let entry = Entry::new(Metadata::mode(0o755), Kind::Directory);
        Self { inodes: vec![Inode { entry, children: BTreeMap::new(), names: 1 }] }
    }

    /// Puts an entry at `path`, whose parent must be a directory of the tree. A directory put over a directory replaces
    /// its metadata and keeps what it holds; anything else that is already there is an error.
    pub fn insert(&mut self, path: &[u8], entry: Entry) -> Result<(), Error> {
        entry.check().map_err(|problem| Error::entry(path, problem))?;
        let Some((parent, name)) = self.parent(path)? else {
            return self.replace_metadata(path, ROOT, entry);
        };
        if let Some(&existing) = self.inodes[parent].children.get(name) {
            return self.replace_metadata(path, existing, entry);
        }
        let id = self.inodes.len();
        self.inodes.push(Inode { entry, children: BTreeMap::new(), names: 1 });
        self.inodes[parent].children.insert(name.into(), id);
        Ok(())
    }

    fn replace_metadata(&mut self, path: &[u8], id: InodeId, entry: Entry) -> Result<(), Error> {
        let existing = &mut self.inodes[id].entry;
        if existing.kind != Kind::Directory || entry.kind != Kind::Directory {
            return Err(Error::entry(
                path,
                "is in the tree already: remove it first, or leave one of the two out",
            ));
        }
        existing.metadata = entry.metadata;
        Ok(())
    }

    /// Gives the entry at `existing`, which is no directory, a second name: a hard link.
    pub fn link(&mut self, new: &[u8], existing: &[u8]) -> Result<(), Error> {
        let id = self
            .find(existing)?
            .ok_or_else(|| Error::entry(existing, "not in the tree: nothing to link to"))?;
        if self.inodes[id].entry.kind == Kind::Directory {
            return Err(Error::entry(existing, "is a directory, which can have one name only"));
        }
        let taken =
            || Error::entry(new, "is in the tree already: remove it first, or leave one of the two out");
        let (parent, name) = self.parent(new)?.ok_or_else(taken)?;
        if self.inodes[parent].children.contains_key(name) {
            return Err(taken());
        }
        self.inodes[parent].children.insert(name.into(), id);
        self.inodes[id].names += 1;
        Ok(())
    }

    /// Takes the entry at `path` out, with everything below it. Says whether there was one. The root stays.
    pub fn remove(&mut self, path: &[u8]) -> Result<bool, Error> {
        let Some((parent, name)) = self.parent(path)? else {
            return Err(Error::entry(path, "the root of a tree cannot be removed"));
        };
        let mut gone: Vec<InodeId> = self.inodes[parent].children.remove(name).into_iter().collect();
        let found = !gone.is_empty();
        while let Some(id) = gone.pop() {
            self.inodes[id].names -= 1;
            gone.extend(std::mem::take(&mut self.inodes[id].children).into_values());
        }
        Ok(found)
    }

    /// The entry at `path`, if there is one. Symbolic links are not followed.
    pub fn get(&self, path: &[u8]) -> Result<Option<&Entry>, Error> {
        Ok(self.find(path)?.map(|id| &self.inodes[id].entry))
    }

    /// The metadata of the entry at `path`, to be changed for all its names. Symbolic links are not followed.
    pub fn metadata_mut(&mut self, path: &[u8]) -> Result<Option<&mut Metadata>, Error> {
        Ok(self.find(path)?.map(|id| &mut self.inodes[id].entry.metadata))
    }

    /// Every name with its entry, parents before children, siblings by the bytes of their names; the root (an empty
    /// path) is first.
    pub fn entries(&self) -> impl Iterator<Item = (Vec<u8>, &Entry)> {
        let mut waiting = vec![(Vec::new(), ROOT)];
        std::iter::from_fn(move || {
            let (path, id) = waiting.pop()?;
            let inode = &self.inodes[id];
            waiting.extend(inode.children.iter().rev().map(|(name, &child)| (join(&path, name), child)));
            Some((path, &inode.entry))
        })
    }

    /// Lets `change` rewrite the metadata of every inode, as to map owners or to clamp times.
    pub fn edit_metadata(&mut self, mut change: impl FnMut(&mut Metadata)) {
        for inode in &mut self.inodes {
            change(&mut inode.entry.metadata);
        }
    }

    pub(crate) fn inode(&self, id: InodeId) -> &Inode {
        &self.inodes[id]
    }

    /// The length of the arena: every [`InodeId`] is below it.
    pub(crate) fn arena(&self) -> usize {
        self.inodes.len()
    }

    /// The first name of an inode, for messages.
    pub(crate) fn path_of(&self, wanted: InodeId) -> Vec<u8> {
        let mut waiting = vec![(Vec::new(), ROOT)];
        while let Some((path, id)) = waiting.pop() {
            if id == wanted {
                return path;
            }
            waiting.extend(
                self.inodes[id].children.iter().rev().map(|(name, &child)| (join(&path, name), child)),
            );
        }
        Vec::new()
    }

    fn find(&self, path: &[u8]) -> Result<Option<InodeId>, Error> {
        let mut id = ROOT;
        for name in components(path)? {
            match self.inodes[id].children.get(name) {
                Some(&child) => id = child,
                None => return Ok(None),
            }
        }
        Ok(Some(id))
    }

    /// The directory that holds `path` and the last name; `None` for the root.
    fn parent<'a>(&self, path: &'a [u8]) -> Result<Option<(InodeId, &'a [u8])>, Error> {
        let mut names = components(path)?;
        let Some(last) = names.pop() else { return Ok(None) };
        let mut id = ROOT;
        for name in names {
            id = *self.inodes[id]
                .children
                .get(name)
                .ok_or_else(|| Error::entry(path, "its directory is not in the tree: insert that first"))?;
        }
        if self.inodes[id].entry.kind != Kind::Directory {
            return Err(Error::entry(path, "lies below something that is not a directory"));
        }
        Ok(Some((id, last)))
    }
}

fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(path.len() + 1 + name.len());
    joined.extend_from_slice(path);
    if !path.is_empty() {
        joined.push(b'/');
    }
    joined.extend_from_slice(name);
    joined
}

/// The names that make up a path, checked.
pub(crate) fn components(path: &[u8]) -> Result<Vec<&[u8]>, Error> {
    let mut names = Vec::new();
    for name in path.split(|&byte| byte == b'/') {
        match name {
            b"" | b"." => continue,
            b".." => {
                return Err(Error::entry(path, "contains `..`: give the path from the root of the image"));
            }
            _ if name.len() > NAME_MAX => {
                return Err(Error::entry(path, format!("a name is longer than {NAME_MAX} bytes")));
            }
            _ if name.contains(&0) => return Err(Error::entry(path, "a name contains a NUL byte")),
            _ => names.push(name),
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Device;

    fn directory() -> Entry {
        Entry::new(Metadata::mode(0o755), Kind::Directory)
    }

    fn fifo() -> Entry {
        Entry::new(Metadata::mode(0o600), Kind::Fifo)
    }

    fn message<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn tar_style_paths_are_the_same_path() {
        let mut tree = Tree::new();
        tree.insert(b"./usr/", directory()).unwrap();
        tree.insert(b"/usr//bin", fifo()).unwrap();
        assert!(tree.get(b"usr/bin").unwrap().is_some());
        assert!(tree.get(b"usr/sbin").unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_stored_is_refused_by_name() {
        let mut tree = Tree::new();
        tree.insert(b"fifo", fifo()).unwrap();
        assert_eq!(
            message(tree.insert(b"a/../b", fifo())),
            "a/../b: contains `..`: give the path from the root of the image"
        );
        assert_eq!(
            message(tree.insert(b"gone/x", fifo())),
            "gone/x: its directory is not in the tree: insert that first"
        );
        assert_eq!(
            message(tree.insert(b"fifo/x", fifo())),
            "fifo/x: lies below something that is not a directory"
        );
        assert!(message(tree.insert(b"fifo", fifo())).contains("already"));
        assert!(message(tree.insert(b"a\0b", fifo())).starts_with("a\\x00b: "));
        assert!(message(tree.insert(&[b'n'; 256], fifo())).contains("255 bytes"));
        let link = |target: &[u8]| Entry::new(Metadata::mode(0o777), Kind::Symlink(target.to_vec()));
        assert!(message(tree.insert(b"l", link(b""))).contains("needs a target"));
        assert!(message(tree.insert(b"l", link(&[b'x'; 4096]))).contains("4096 bytes"));
        let device = Kind::CharDevice(Device { major: 4096, minor: 0 });
        assert!(message(tree.insert(b"d", Entry::new(Metadata::mode(0o600), device))).contains("12 bits"));
        assert!(
            message(tree.insert(b"m", Entry::new(Metadata::mode(0o100644), Kind::Fifo))).contains("7777")
        );
    }

    #[test]
    fn removing_takes_what_lies_below_and_leaves_other_names() {
        let mut tree = Tree::new();
        tree.insert(b"a", directory()).unwrap();
        tree.insert(b"a/x", fifo()).unwrap();
        tree.link(b"y", b"a/x").unwrap();
        assert!(tree.remove(b"a").unwrap());
        assert!(!tree.remove(b"a").unwrap());
        let paths: Vec<_> = tree.entries().map(|(path, _)| path).collect();
        assert_eq!(paths, [b"".to_vec(), b"y".to_vec()]);
    }

    #[test]
    fn directories_have_one_name_and_keep_what_they_hold() {
        let mut tree = Tree::new();
        tree.insert(b"a", directory()).unwrap();
        tree.insert(b"a/x", fifo()).unwrap();
        assert!(message(tree.link(b"b", b"a")).contains("one name only"));
        tree.insert(b"a", Entry::new(Metadata::mode(0o700), Kind::Directory)).unwrap();
        assert_eq!(tree.get(b"a").unwrap().unwrap().metadata.mode, 0o700);
        assert!(tree.get(b"a/x").unwrap().is_some());
    }
}
