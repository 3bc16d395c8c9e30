//! Each file of a store with the reason for which it stays or goes, and the removal of what goes.

use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use boot_store::layout;
use profiles::{Digest, Name};

use super::roots::{Roots, in_words};
use crate::error::{Error, Result};
use crate::removing;
use crate::store::Store;

/// The folders that are looked into, in the order in which what lies in them goes: what names others goes before these.
const FOLDERS: [&str; 11] =
    ["profiles", "builds", "ids", "logs", "checks", "stacks", "elf", "trees", "images", "kernels", "sources"];

/// A file of the store, or a folder that is one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Below the store.
    pub path: PathBuf,
    /// What lies there; a link is itself.
    pub kind: Kind,
    /// Bytes of all files in it.
    pub size: u64,
    /// Since it was written; `None` where the clock says that it is still to come.
    pub age: Option<Duration>,
}

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A link, a FIFO, a socket or a device: nothing of Lamina's.
    Other,
}

impl Kind {
    fn of(found: &fs::Metadata) -> Kind {
        match found.is_dir() {
            true => Kind::Folder,
            false if found.is_file() => Kind::File,
            false => Kind::Other,
        }
    }
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The piece.
    pub piece: Piece,
    /// Whether it stays.
    pub stays: bool,
    /// Why, in words.
    pub why: String,
}

/// Lists what a store holds.
///
/// # Errors
/// A folder cannot be read.
pub fn pieces(store: &Store, now: SystemTime) -> Result<Vec<Piece>> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        let mut paths = entries(&store.root().join(folder))?;
        if folder == "profiles" {
            paths = paths.iter().map(|path| entries(path)).collect::<Result<Vec<_>>>()?.concat();
        }
        for path in paths {
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            let age = metadata.modified().ok().and_then(|written| now.duration_since(written).ok());
            let size = if metadata.is_dir() { size_below(&path) } else { metadata.len() };
            let path = path.strip_prefix(store.root()).unwrap_or(&path).to_owned();
            found.push(Piece { path, kind: Kind::of(&metadata), size, age });
        }
    }
    Ok(found)
}

/// The entries of a folder, sorted; none of what is no folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    // What a link leads to is somebody else's.
    if fs::symlink_metadata(folder).is_ok_and(|found| found.is_symlink()) {
        return Err(Error::new(folder.display(), "is a link, and nothing is removed through one")
            .remedy("put the folder itself there"));
    }
    let entries = match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries.map_err(Error::on(folder.display()))?,
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

/// What cannot be read counts nothing: this is a figure for people.
fn size_below(folder: &Path) -> u64 {
    let (mut size, mut folders) = (0, vec![folder.to_owned()]);
    while let Some(here) = folders.pop() {
        for entry in fs::read_dir(here).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(found) if found.is_dir() => folders.push(entry.path()),
                Ok(found) => size += found.len(),
                Err(_) => {}
            }
        }
    }
    size
}

/// Decides about each piece. What nobody needs stays as long as it is younger than `grace`: another command may be about to name it.
pub fn judge(pieces: Vec<Piece>, roots: &Roots, grace: Duration) -> Vec<Judged> {
    let one = |piece: Piece| {
        let young = piece.age.is_none_or(|age| age < grace);
        let (stays, why) = match needed(&piece.path, piece.kind, roots) {
            Needed::By(why) => (true, why),
            Needed::NotOurs => (true, "no command of Lamina has made it".to_owned()),
            Needed::Not if young => (true, format!("is younger than {}", in_words(grace))),
            Needed::Not => (false, "no generation that stays and no build of the tree needs it".to_owned()),
        };
        Judged { piece, stays, why }
    };
    pieces.into_iter().map(one).collect()
}

enum Needed {
    By(String),
    Not,
    /// It has not the name or the kind of anything that Lamina puts there.
    NotOurs,
}

impl Needed {
    /// Of what its name says that it is, where it says something; `why` finds the reason for which that is needed.
    fn by<T>(named: Option<T>, why: impl FnOnce(T) -> Option<String>) -> Needed {
        named.map_or(Needed::NotOurs, |it| why(it).map_or(Needed::Not, Needed::By))
    }
}

/// Finds out by its place and its kind what a piece is, and asks whether that is needed.
fn needed(path: &Path, kind: Kind, roots: &Roots) -> Needed {
    let words: Vec<&str> = path.components().filter_map(text).collect();
    match (&words[..], kind) {
        (["images", name], Kind::File) => {
            Needed::by(layout::image_of(name), |image| roots.images.get(&image).cloned())
        }
        (["trees", name], Kind::Folder) => Needed::by(digest(name, ""), |image| {
            roots.images.contains_key(&image).then(|| "unpacked from an image that stays".to_owned())
        }),
        (["elf", name], Kind::File) => Needed::by(digest(name, ""), |image| {
            roots.images.contains_key(&image).then(|| "read from an image that stays".to_owned())
        }),
        (["builds", name], Kind::File) => {
            Needed::by(digest(name, ".kdl"), |id| roots.builds.get(&id).cloned())
        }
        (["ids", name], Kind::File) => Needed::by(digest(name, ""), |id| {
            roots.builds.contains_key(&id).then(|| "the text of the id of a build that stays".to_owned())
        }),
        (["logs", name], Kind::File) => {
            Needed::by(digest(name, ".check.log").or(digest(name, ".log")), |id| {
                roots.builds.contains_key(&id).then(|| "of a build that stays".to_owned())
            })
        }
        (["sources", name], Kind::File) => {
            Needed::by(digest(name, ""), |source| roots.sources.get(&source).cloned())
        }
        (["kernels", name], Kind::File) => needed_kernel(name, roots),
        (["checks" | "stacks", name], Kind::File | Kind::Folder) => Needed::by(digest(name, ""), |_| None),
        (["profiles", profile, name], Kind::File) => {
            Needed::by(generation_beside(profile, name), |it| roots.generations.get(&it).cloned())
        }
        _ => Needed::NotOurs,
    }
}

/// A record is what gives a kernel its name, and goes by `lamina kernel remove` alone.
fn needed_kernel(name: &str, roots: &Roots) -> Needed {
    match name.strip_suffix(".kdl").map(Name::parse) {
        Some(Ok(name)) => Needed::By(format!("it is what `kernel \"{name}\"` of a profile means")),
        _ => Needed::by(digest(name, ""), |kernel| roots.kernels.get(&kernel).cloned()),
    }
}

/// The file of the generation that a file of a profile's folder belongs to: itself, its signature or its mark.
fn generation_beside(profile: &str, name: &str) -> Option<PathBuf> {
    let number = name.split('.').next().unwrap_or_default();
    let file = format!("{number}.kdl");
    layout::generation_of(&file)?;
    let is_one = [".kdl", ".kdl.minisig", ".keep"].iter().any(|end| name == format!("{number}{end}"));
    is_one.then(|| Path::new("profiles").join(profile).join(file))
}

fn digest(name: &str, end: &str) -> Option<Digest> {
    Digest::parse(name.strip_suffix(end)?).ok()
}

fn text(component: Component<'_>) -> Option<&str> {
    component.as_os_str().to_str()
}

/// Removes what goes, in this order; the store is held ([`Store::hold`]) since before it was judged. A kill leaves a store of which less was removed. What was written again meanwhile stays.
///
/// # Errors
/// Something cannot be removed; what stood before it is gone.
pub fn carry_out(store: &Store, judged: &[Judged], grace: Duration) -> Result<()> {
    let gone: Vec<&Piece> = judged.iter().filter(|it| !it.stays).map(|it| &it.piece).collect();
    if gone.is_empty() {
        return Ok(());
    }
    let scratch = store.scratch("gc")?;
    for (number, piece) in gone.into_iter().enumerate() {
        let path = store.root().join(&piece.path);
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        if Kind::of(&found) != piece.kind {
            continue;
        }
        let age = found.modified().ok().and_then(|written| SystemTime::now().duration_since(written).ok());
        if age.is_none_or(|age| age < grace) {
            continue;
        }
        match found.is_dir() {
            // A tree must never be seen with a part of it missing.
            true => {
                let aside = scratch.path().join(number.to_string());
                fs::rename(&path, aside).map_err(Error::on(path.display()))?;
            }
            false => removing::remove(store.root(), std::slice::from_ref(&piece.path))?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_or_young_or_strange_stays_and_all_else_goes() {
        let (needed, other) = (Digest::from_bytes([1; 32]), Digest::from_bytes([2; 32]));
        let mut roots = Roots::default();
        roots.images.insert(needed, "profile web/3 stacks it".to_owned());
        roots.builds.insert(needed, "the tree builds web 1".to_owned());
        roots.sources.insert(needed, "the tree builds web 1".to_owned());
        roots.kernels.insert(needed, "profile web/3 boots on it".to_owned());
        roots.generations.insert("profiles/web/3.kdl".into(), "the newest generation".to_owned());
        let day = Duration::from_secs(86_400);
        let verdict = |path: &str, age: Duration| {
            let kind = if path.starts_with("trees") { Kind::Folder } else { Kind::File };
            let piece = Piece { path: path.into(), kind, size: 1, age: Some(age) };
            let judged = judge(vec![piece], &roots, day).remove(0);
            (judged.stays, judged.why)
        };
        let (hex, gone) = (needed.hex(), other.hex());
        for folder in [
            "images/HEX.sqfs",
            "builds/HEX.kdl",
            "ids/HEX",
            "logs/HEX.log",
            "logs/HEX.check.log",
            "sources/HEX",
            "kernels/HEX",
            "trees/HEX",
            "elf/HEX",
        ] {
            assert!(verdict(&folder.replace("HEX", &hex), 2 * day).0, "{folder}");
            let (stays, why) = verdict(&folder.replace("HEX", &gone), 2 * day);
            assert!(!stays && why.contains("no build of the tree"), "{folder}: {why}");
            let (stays, why) = verdict(&folder.replace("HEX", &gone), day / 2);
            assert!(stays && why == "is younger than 24 hours", "{folder}: {why}");
        }
        for (path, stays) in [
            ("profiles/web/3.kdl", true),
            ("profiles/web/3.kdl.minisig", true),
            ("profiles/web/2.kdl", false),
            ("profiles/web/2.kdl.minisig", false),
            ("profiles/web/2.keep", false),
            ("profiles/web/notes.txt", true),
            ("images/notes.txt", true),
            ("kernels/linux-6.12.kdl", true),
            ("kernels/notes.txt", true),
            ("roots/x", true),
        ] {
            assert_eq!(verdict(path, 2 * day).0, stays, "{path}");
        }
    }

    #[test]
    fn what_is_no_file_of_lamina_by_its_kind_stays() {
        let hex = Digest::from_bytes([2; 32]).hex();
        let why = |folder: &str, kind: Kind| {
            let path = PathBuf::from(format!("{folder}/{hex}"));
            let piece = Piece { path, kind, size: 1, age: Some(Duration::MAX) };
            judge(vec![piece], &Roots::default(), Duration::ZERO).remove(0).why
        };
        for (folder, files, folders) in [
            ("sources", true, false),
            ("trees", false, true),
            ("checks", true, true),
            ("stacks", true, true),
            ("elf", true, false),
        ] {
            for (kind, may_go) in [(Kind::File, files), (Kind::Folder, folders), (Kind::Other, false)] {
                let why = why(folder, kind);
                let goes = why.starts_with("no generation that stays");
                assert!(
                    goes == may_go && goes != why.starts_with("no command of Lamina"),
                    "{folder} {kind:?}: {why}"
                );
            }
        }
    }
}
