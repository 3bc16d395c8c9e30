//! Joins the files of many packages to one tree with one `/usr`.

use std::collections::BTreeMap;

use deb::{Contents, Kind as MemberKind, Member};
use squashfs::{Content, Device, Entry, Kind, Metadata, Tree};

use super::description::Description;
use crate::error::{Error, Result};
use crate::image::format::SOURCE_DATE_EPOCH;
use crate::image::overlay_marks;
use crate::stacking::Folder;

/// Top-level folders of old that are links into `/usr` today.
const MERGED: [&str; 4] = ["bin", "lib", "lib64", "sbin"];

/// Links may point at links; a longer chain is a circle.
const LONGEST_CHAIN: usize = 16;

/// The tree as it grows, and who put what into it.
pub(super) struct Layer<'a> {
    description: &'a Description,
    tree: Tree,
    /// The package that brought each file, for messages about conflicts.
    owners: BTreeMap<Vec<u8>, String>,
    /// How many files each exclusion of the description has kept out.
    excluded: Vec<usize>,
}

impl<'a> Layer<'a> {
    /// The tree with nothing but the links into `/usr`.
    pub fn new(description: &'a Description) -> Result<Layer<'a>> {
        let excluded = vec![0; description.exclude.len()];
        let mut layer = Layer { description, tree: Tree::new(), owners: BTreeMap::new(), excluded };
        layer.put(b"", directory(0o755), "the root")?;
        for name in MERGED {
            layer.put(format!("usr/{name}").as_bytes(), directory(0o755), "the layer")?;
            let link = Kind::Symlink(format!("usr/{name}").into_bytes());
            layer.put(name.as_bytes(), Entry::new(metadata(0o777), link), "the layer")?;
        }
        Ok(layer)
    }

    /// Adds a package's files.
    pub fn add(&mut self, package: &str, contents: &Contents) -> Result<()> {
        for member in contents.members() {
            let path = merged(&member.path);
            if self.is_excluded(&path) {
                continue;
            }
            if matches!(member.kind, MemberKind::CharDevice(0, 0)) {
                return Err(overlay_marks::whiteout(package, &path)
                    .remedy(format!("`exclude \"{}\"` in debian.kdl leaves it out", path.escape_ascii())));
            }
            match &member.kind {
                MemberKind::HardLink(target) => self.link(&path, &merged(target), package)?,
                kind => self.put(&path, entry(member, kind, contents), package)?,
            }
        }
        Ok(())
    }

    /// Adds what the description adds, and checks that all it says is about something.
    pub fn finish(mut self) -> Result<Tree> {
        const OWNER: &str = super::DESCRIPTION_FILE;
        for (path, mode) in &self.description.folders {
            self.put(path.as_bytes(), directory(*mode), OWNER)?;
        }
        for (path, text) in &self.description.files {
            let content = Content::from(text.clone().into_bytes());
            self.put(path.as_bytes(), Entry::new(metadata(0o644), Kind::File(content)), OWNER)?;
        }
        for (path, target) in &self.description.links {
            let link = Kind::Symlink(target.clone().into_bytes());
            self.put(path.as_bytes(), Entry::new(metadata(0o777), link), OWNER)?;
        }
        for (path, _) in &self.description.links {
            self.check_link(path)?;
        }
        let counted = self.description.exclude.iter().zip(&self.excluded);
        let idle: Vec<String> =
            counted.filter(|(_, count)| **count == 0).map(|(pattern, _)| pattern.to_string()).collect();
        if !idle.is_empty() {
            let cause = format!("exclude matches no file of any package: {}", idle.join(", "));
            return Err(Error::new(OWNER, cause).remedy("remove it, or correct its path"));
        }
        Ok(self.tree)
    }

    fn is_excluded(&mut self, path: &[u8]) -> bool {
        let matching = self.description.exclude.iter().position(|pattern| pattern.matches(path));
        if let Some(index) = matching {
            self.excluded[index] += 1;
        }
        matching.is_some()
    }

    /// Puts an entry and, where they are missing, the folders above it.
    fn put(&mut self, path: &[u8], entry: Entry, owner: &str) -> Result<()> {
        self.make_parents(path)?;
        if entry.kind == Kind::Directory {
            return self.put_directory(path, entry, owner);
        }
        self.own(path, owner)?;
        self.tree.insert(path, entry).map_err(Error::on(owner))
    }

    /// Folders are shared; they must agree on who may use them.
    fn put_directory(&mut self, path: &[u8], entry: Entry, owner: &str) -> Result<()> {
        let known = self.tree.get(path).map_err(Error::on(owner))?;
        if let (Some(known), Some(first)) = (known, self.owners.get(path)) {
            let difference = match known.kind {
                Kind::Directory => Folder::of(&entry.metadata).difference(&Folder::of(&known.metadata)),
                _ => Some(("a folder".to_owned(), "none".to_owned())),
            };
            if let Some((mine, theirs)) = difference {
                let shown = path.escape_ascii();
                let cause = format!("the folder /{shown} ({mine}) is not as {first} has it ({theirs})");
                return Err(Error::new(owner, cause).remedy(LEAVE_ONE_OUT));
            }
        }
        self.owners.entry(path.to_vec()).or_insert_with(|| owner.to_owned());
        self.tree.insert(path, entry).map_err(Error::on(owner))
    }

    fn link(&mut self, path: &[u8], target: &[u8], owner: &str) -> Result<()> {
        self.make_parents(path)?;
        self.own(path, owner)?;
        self.tree.link(path, target).map_err(|error| {
            Error::new(
                owner,
                format!("/{}: a second name of /{}: {error}", path.escape_ascii(), target.escape_ascii()),
            )
            .remedy("exclude both, or none")
        })
    }

    fn own(&mut self, path: &[u8], owner: &str) -> Result<()> {
        match self.owners.insert(path.to_vec(), owner.to_owned()) {
            None => Ok(()),
            Some(first) => {
                Err(Error::new(owner, format!("has /{}, which {first} has too", path.escape_ascii()))
                    .remedy(LEAVE_ONE_OUT))
            }
        }
    }

    /// Packages list the folders of their files, but a package's folder can have been moved into `/usr`.
    fn make_parents(&mut self, path: &[u8]) -> Result<()> {
        for (index, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            let parent = &path[..index];
            if self.tree.get(parent).map_err(Error::on("bootstrap"))?.is_none() {
                self.tree.insert(parent, directory(0o755)).map_err(Error::on("bootstrap"))?;
            }
        }
        Ok(())
    }

    /// A link of the description must lead to something.
    fn check_link(&self, path: &str) -> Result<()> {
        let mut here = path.to_owned();
        for _ in 0..LONGEST_CHAIN {
            let entry = self.tree.get(here.as_bytes()).map_err(Error::on(path))?;
            match entry.map(|entry| &entry.kind) {
                None => {
                    return Err(Error::new(
                        super::DESCRIPTION_FILE,
                        format!("the link {path} leads to {here}, which is not there"),
                    )
                    .remedy("correct the link, or want the package that has its target"));
                }
                Some(Kind::Symlink(target)) => here = follow(&here, &String::from_utf8_lossy(target)),
                Some(_) => return Ok(()),
            }
        }
        Err(Error::new(super::DESCRIPTION_FILE, format!("the link {path} leads in a circle")))
    }
}

const LEAVE_ONE_OUT: &str = "exclude the path in debian.kdl, or leave one of the two packages out";

/// `bin/sh` becomes `usr/bin/sh`.
fn merged(path: &[u8]) -> Vec<u8> {
    let first = path.split(|&byte| byte == b'/').next().unwrap_or_default();
    match MERGED.iter().any(|name| name.as_bytes() == first) {
        true => [b"usr/", path].concat(),
        false => path.to_vec(),
    }
}

/// Where a link at `path` leads, as a path in the image.
fn follow(path: &str, target: &str) -> String {
    let mut names: Vec<&str> = match target.starts_with('/') {
        true => Vec::new(),
        false => path.split('/').rev().skip(1).collect::<Vec<_>>().into_iter().rev().collect(),
    };
    for name in target.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop();
            }
            name => names.push(name),
        }
    }
    String::from_utf8_lossy(&merged(names.join("/").as_bytes())).into_owned()
}

fn metadata(mode: u32) -> Metadata {
    Metadata { mtime: i64::from(SOURCE_DATE_EPOCH), ..Metadata::mode(mode) }
}

fn directory(mode: u32) -> Entry {
    Entry::new(metadata(mode), Kind::Directory)
}

/// Owners and modes are the package's; the time is that of every built image.
fn entry(member: &Member, kind: &MemberKind, contents: &Contents) -> Entry {
    let device = |&major: &u32, &minor: &u32| Device { major, minor };
    let kind = match kind {
        MemberKind::Directory => Kind::Directory,
        MemberKind::File { offset, length } => {
            Kind::File(Content::Range { file: contents.file().clone(), offset: *offset, len: *length })
        }
        MemberKind::Symlink(target) | MemberKind::HardLink(target) => Kind::Symlink(target.clone()),
        MemberKind::BlockDevice(major, minor) => Kind::BlockDevice(device(major, minor)),
        MemberKind::CharDevice(major, minor) => Kind::CharDevice(device(major, minor)),
        MemberKind::Fifo => Kind::Fifo,
    };
    Entry::new(Metadata { uid: member.uid, gid: member.gid, ..metadata(member.mode) }, kind)
}
