//! Roots of real Debian systems, made by mmdebstrap(1) from the apt sources of this machine, cut into images, and kept by what
//! they are made from.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use soak_guest::hex;
use squashfs::{Content, Entry, Kind, Metadata, Tree};
use tar::{Archive, EntryType};

use crate::artifacts;
use crate::failure::Failure;
use crate::store::{ImageLine, Layer, ProfileText, TestStore, newest_profile};

/// The release that most roots are made of: the one this project is developed on.
pub const BOOKWORM: &str = "bookworm";
/// What nobody reads in a test.
const LEFT_OUT: [&str; 4] = ["usr/share/doc/*", "usr/share/man/*", "usr/share/locale/*", "usr/share/info/*"];
/// What comes with apt and dpkg, and what the kernel provides.
const NOT_PACKED: [&str; 4] = ["dev/", "var/cache/apt/", "var/lib/apt/", "var/lib/dpkg/"];

/// A system that is not there yet.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    /// Names the images.
    pub name: &'static str,
    /// The release whose packages are installed.
    pub release: &'static str,
    /// Packages besides Debian's essential ones and apt.
    pub packages: &'static [&'static str],
    /// The images, bottom first, each with parts of paths: the uppermost that has a part of `/the/path` gets it, and the lowest
    /// what none has.
    pub layers: &'static [(&'static str, &'static [&'static str])],
}

/// systemd, in three layers.
pub const SYSTEMD: Recipe = Recipe {
    name: "systemd",
    release: BOOKWORM,
    packages: &["systemd", "systemd-sysv", "udev"],
    layers: &[
        ("base", &[]),
        ("systemd", &["systemd", "udev", "ctl", "/usr/sbin/"]),
        ("configuration", &["/etc/"]),
    ],
};

/// OpenRC, which Debian has no inittab for.
pub const OPENRC: Recipe = Recipe {
    name: "openrc",
    release: BOOKWORM,
    packages: &["openrc", "sysvinit-core"],
    layers: &[("openrc", &[])],
};

/// The images of the system, bottom first, and the store that has them. Made when they are not there: that downloads
/// about 50 MB and takes a quarter of a minute on an idle machine.
pub fn images(recipe: &Recipe) -> Result<(PathBuf, Vec<ImageLine>), Failure> {
    let roots = artifacts::cache().join("roots");
    fs::create_dir_all(&roots).map_err(Failure::at(&roots))?;
    let store = roots.join(key(recipe)?);
    if !store.exists() {
        make(recipe, &roots, &store)?;
    }
    let (_, lines) = newest_profile(&store, recipe.name)?;
    Ok((store, lines))
}

/// In a folder of its own first: another test may be making the same.
fn make(recipe: &Recipe, roots: &Path, store: &Path) -> Result<(), Failure> {
    let scratch = tempfile::Builder::new().prefix("part-").tempdir_in(roots).map_err(Failure::at(roots))?;
    let archive = scratch.path().join("root.tar");
    install(recipe, &archive)?;
    let made = TestStore::create(&scratch.path().join("store"))?;
    let trees = cut(recipe, &archive)?;
    let lines = trees.into_iter().map(|(name, tree)| made.add(&Layer::of(name, tree)));
    let lines = lines.collect::<Result<Vec<_>, _>>()?;
    made.profile(&ProfileText::new(recipe.name, &lines))?;
    match fs::rename(made.folder(), store) {
        Err(error) if !store.exists() => Err(Failure::at(store)(error)),
        _ => Ok(()),
    }
}

fn arguments(recipe: &Recipe) -> Vec<String> {
    let mut arguments = vec!["--quiet".to_owned(), "--variant=minbase".to_owned()];
    arguments.push(format!("--include={}", recipe.packages.join(",")));
    arguments.extend(LEFT_OUT.map(|path| format!("--dpkgopt=path-exclude=/{path}")));
    arguments
}

fn install(recipe: &Recipe, archive: &Path) -> Result<(), Failure> {
    let mut command = Command::new("mmdebstrap");
    command.args(arguments(recipe)).arg(recipe.release).arg(archive).stdin(Stdio::null());
    let output = command.output().map_err(Failure::about("mmdebstrap; run `make deps-test`"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!("{command:?} ended with {}: {said}", output.status)))
}

/// SHA-256 over all that is asked for: another release of a package alone makes no new root.
fn key(recipe: &Recipe) -> Result<String, Failure> {
    let mut hash = Sha256::new();
    hash.update(arguments(recipe).join("\n"));
    hash.update(recipe.release);
    hash.update(NOT_PACKED.join("\n"));
    hash.update(format!("{:?}", recipe.layers));
    Ok(hex(&hash.finalize()))
}

/// Each layer's tree, read in place: the archive must stay until the images are written.
fn cut(recipe: &Recipe, path: &Path) -> Result<Vec<(&'static str, Tree)>, Failure> {
    let file = Arc::new(File::open(path).map_err(Failure::at(path))?);
    let mut archive = Archive::new(&*file);
    let mut trees: Vec<(&str, Tree)> = recipe.layers.iter().map(|(name, _)| (*name, Tree::new())).collect();
    let mut folders = BTreeMap::new();
    for entry in archive.entries().map_err(Failure::at(path))? {
        let entry = entry.map_err(Failure::at(path))?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = name.trim_start_matches("./").trim_end_matches('/').to_owned();
        if name.is_empty() || NOT_PACKED.iter().any(|left_out| name.starts_with(left_out)) {
            continue;
        }
        let metadata = metadata(entry.header()).map_err(Failure::at(path))?;
        let path_of_root = format!("/{name}");
        let wants = |parts: &[&str]| parts.iter().any(|part| path_of_root.contains(part));
        let index = recipe.layers.iter().rposition(|(_, parts)| wants(parts)).unwrap_or(0);
        if entry.header().entry_type() == EntryType::Directory {
            folders.insert(name.clone(), metadata.clone());
            // Empty ones too; in the lowest layer, where all are.
            add(&mut trees[0].1, &name, Entry::new(metadata, Kind::Directory), &folders)?;
            continue;
        }
        let kind = match entry.header().entry_type() {
            EntryType::Symlink => Kind::Symlink(entry.link_name_bytes().unwrap_or_default().into_owned()),
            EntryType::Link => {
                let existing = entry.link_name_bytes().unwrap_or_default().into_owned();
                let existing = String::from_utf8_lossy(&existing).trim_start_matches("./").to_owned();
                hard_link(&mut trees, &name, &existing, index, &folders)?;
                continue;
            }
            EntryType::Regular | EntryType::Continuous => Kind::File(Content::Range {
                file: Arc::clone(&file),
                offset: entry.raw_file_position(),
                len: entry.size(),
            }),
            EntryType::Fifo => Kind::Fifo,
            other => return Err(Failure::new(format!("{name}: {other:?} is not expected in a root"))),
        };
        add(&mut trees[index].1, &name, Entry::new(metadata, kind), &folders)?;
    }
    Ok(trees)
}

fn metadata(header: &tar::Header) -> std::io::Result<Metadata> {
    let owner = |id: u64| u32::try_from(id).map_err(std::io::Error::other);
    let (uid, gid) = (owner(header.uid()?)?, owner(header.gid()?)?);
    let mtime = i64::try_from(header.mtime()?).unwrap_or_default();
    Ok(Metadata { mode: header.mode()? & 0o7777, uid, gid, mtime, xattrs: Vec::new() })
}

/// Inserts the entry and the folders it lies in, which look the same in each layer.
fn add(
    tree: &mut Tree,
    name: &str,
    entry: Entry,
    folders: &BTreeMap<String, Metadata>,
) -> Result<(), Failure> {
    for (slash, _) in name.match_indices('/') {
        let folder = &name[..slash];
        if tree.get(folder.as_bytes()).map_err(Failure::about(name))?.is_none() {
            let metadata = folders.get(folder).cloned().unwrap_or_else(|| Metadata::mode(0o755));
            let folder_entry = Entry::new(metadata, Kind::Directory);
            tree.insert(folder.as_bytes(), folder_entry).map_err(Failure::about(name))?;
        }
    }
    tree.insert(name.as_bytes(), entry).map_err(Failure::about(name))
}

/// A second name of a file; a copy when the two land in different layers.
fn hard_link(
    trees: &mut [(&str, Tree)],
    name: &str,
    existing: &str,
    index: usize,
    folders: &BTreeMap<String, Metadata>,
) -> Result<(), Failure> {
    let found = trees.iter().find_map(|(_, tree)| tree.get(existing.as_bytes()).ok().flatten().cloned());
    let entry =
        found.ok_or_else(|| Failure::new(format!("{name}: a link to {existing}, which is not there")))?;
    add(&mut trees[index].1, name, entry, folders)
}
