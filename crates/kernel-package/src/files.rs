//! The files of a kernel, whether they lie in a Debian package or in a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use deb::{Kind, Member};
use fault::Error;

use crate::links::{End, Node, follow};
use crate::package_files::PackageFiles;
use crate::reading::{MOST_FILE_BYTES, read_file, too_large};

/// Kernel folders are nested about ten deep.
const DEEPEST: usize = 32;
/// Where kernels put their files.
const FOLDERS: [&str; 5] = ["boot", "lib/modules", "usr/lib/modules", "lib/firmware", "usr/lib/firmware"];

/// What lies below [`FOLDERS`], by its path from the root. A link to a file is that file, and one from firmware to firmware stays a link.
#[derive(Debug, Default)]
pub(crate) struct Files {
    package: Option<PackageFiles>,
    by_path: BTreeMap<String, FileSource>,
    /// Those of `by_path` that are links there.
    copies: BTreeSet<String>,
    /// Links of firmware, with the path of what they lead to, in the form of `by_path`.
    links: BTreeMap<String, String>,
    /// What is neither a file nor a link that leads to something, with why.
    left_out: BTreeMap<String, String>,
    folders: BTreeSet<String>,
}

#[derive(Debug, Clone)]
enum FileSource {
    InPackage(Member),
    OnDisk(PathBuf),
}

impl Files {
    pub fn of_package(path: &Path, cache: Option<&Path>) -> Result<Files, Error> {
        let package = PackageFiles::open(path, cache)?;
        let mut files = Files::default();
        let (members, found) = files.add_members(package.members());
        let source = |path: &str| Some(FileSource::InPackage(file_at(&members, path)?.clone()));
        files.add_links(found, |path| look_in(&members, path), |path| path.to_owned(), source);
        files.package = Some(package);
        Ok(files)
    }

    /// The files below a root; with a release only those of this kernel, and no firmware, which belongs to all of them.
    pub fn of_folder(root: &Path, release: Option<&str>) -> Result<Files, Error> {
        let look = |path: &str| look_on_disk(&root.join(path));
        let mut files = Files::default();
        let mut found = Vec::new();
        // On systems with one /usr, `lib` is a link to `usr/lib`: the same files must not be seen twice.
        let mut seen: Vec<(String, String)> = Vec::new();
        for folder in folders(release) {
            let Some(End::Folder(real)) = follow(&folder, look) else { continue };
            if !seen.iter().any(|(known, _)| *known == real) {
                walk(&root.join(&real), &folder, 0, &mut files, &mut found).map_err(|error| {
                    Error::new(root.join(&folder).display(), format!("reading the folder: {error}"))
                        .because_of(error)
                })?;
                seen.push((real, folder));
            }
        }
        let known = |path: &str| {
            let below = |(real, folder): &(String, String)| {
                Some(format!("{folder}/{}", path.strip_prefix(real)?.strip_prefix('/')?))
            };
            seen.iter().find_map(below).unwrap_or_else(|| path.to_owned())
        };
        files.add_links(found, look, known, |path| Some(FileSource::OnDisk(root.join(path))));
        if let Some(release) = release {
            let is_other = |path: &str| path.starts_with("boot/") && !path.ends_with(&format!("-{release}"));
            files.by_path.retain(|path, _| !is_other(path));
        }
        Ok(files)
    }

    /// Adds the files of a package. Gives all members by path, and the links with their targets.
    fn add_members<'a>(&mut self, all: &'a [Member]) -> (Members<'a>, Vec<(String, String)>) {
        let (mut members, mut links) = (Members::new(), Vec::new());
        for member in all {
            match String::from_utf8(member.path.clone()) {
                Ok(path) => drop(members.insert(path, member)),
                Err(error) => self.leave_out(&String::from_utf8_lossy(error.as_bytes()), NOT_TEXT),
            }
        }
        let ours = |path: &str| FOLDERS.iter().any(|folder| is_below(path, folder));
        for (path, member) in members.iter().filter(|(path, _)| ours(path)) {
            match (&member.kind, file_at(&members, path)) {
                (_, Some(file)) => self.add(path, FileSource::InPackage(file.clone())),
                (Kind::Symlink(target), _) => {
                    links.push((path.clone(), String::from_utf8_lossy(target).into_owned()));
                }
                (Kind::Directory, _) => _ = self.folders.insert(path.clone()),
                _ => self.leave_out(path, NO_FILE),
            }
        }
        (members, links)
    }

    fn add(&mut self, path: &str, source: FileSource) {
        self.by_path.insert(path.to_owned(), source);
    }

    fn leave_out(&mut self, path: &str, why: impl Into<String>) {
        self.left_out.insert(path.to_owned(), why.into());
    }

    /// Decides what each link becomes. `known` turns a path without links into the one that it has here, and `source` finds a file there.
    fn add_links(
        &mut self,
        found: Vec<(String, String)>,
        look: impl Fn(&str) -> Node,
        known: impl Fn(&str) -> String,
        source: impl Fn(&str) -> Option<FileSource>,
    ) {
        for (path, target) in found {
            match follow(&path, &look) {
                Some(End::File(end) | End::Folder(end))
                    if is_firmware(&path) && is_firmware(&known(&end)) =>
                {
                    self.links.insert(path, known(&end));
                }
                Some(End::File(end)) => {
                    self.by_path.extend(source(&end).map(|source| (path.clone(), source)));
                    self.copies.insert(path);
                }
                Some(End::Folder(end)) => self.leave_out(&path, format!("leads to the folder {end}")),
                None => self.leave_out(&path, format!("leads to {target}, which is not there")),
            }
        }
    }

    /// Whether a path is a link to the file that it gives.
    pub fn is_link(&self, path: &str) -> bool {
        self.copies.contains(path)
    }

    /// The links of firmware, each with the path of what it leads to.
    pub fn links(&self) -> &BTreeMap<String, String> {
        &self.links
    }

    /// What is in neither of the two, by path, with why.
    pub fn left_out(&self) -> &BTreeMap<String, String> {
        &self.left_out
    }

    /// What lies at a path that no file has, as the end of a sentence; `None` where nothing does.
    pub fn instead_of_file(&self, path: &str) -> Option<&str> {
        let below = format!("{path}/");
        let has_files =
            self.by_path.range(below.clone()..).next().is_some_and(|(file, _)| file.starts_with(&below));
        match has_files || self.folders.contains(path) {
            true => Some("is a folder"),
            false => self.left_out.get(path).map(String::as_str),
        }
    }

    /// The paths that [`Files::instead_of_file`] may know, in no order.
    pub fn no_files(&self) -> impl Iterator<Item = &str> {
        self.folders.iter().chain(self.left_out.keys()).map(String::as_str)
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.by_path.keys().map(String::as_str)
    }

    pub fn has(&self, path: &str) -> bool {
        self.by_path.contains_key(path)
    }

    pub fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        self.bytes(path, PackageFiles::read)
    }

    /// The same of a file that is not wanted again.
    pub fn look_at(&self, path: &str) -> io::Result<Vec<u8>> {
        self.bytes(path, PackageFiles::look_at)
    }

    fn bytes(
        &self,
        path: &str,
        read: impl Fn(&PackageFiles, &Member) -> io::Result<Vec<u8>>,
    ) -> io::Result<Vec<u8>> {
        match (self.by_path.get(path), &self.package) {
            (Some(FileSource::InPackage(member)), Some(package)) => match member.kind {
                Kind::File { length, .. } if length >= MOST_FILE_BYTES => Err(too_large()),
                _ => read(package, member),
            },
            (Some(FileSource::OnDisk(path)), _) => read_file(&File::open(path)?),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// When a file of a folder was changed; `None` for those of a package.
    pub fn changed(&self, path: &str) -> Option<SystemTime> {
        let FileSource::OnDisk(path) = self.by_path.get(path)? else { return None };
        fs::metadata(path).and_then(|found| found.modified()).ok()
    }

    /// Keeps what was read of a package for the next time.
    pub fn keep(&self) -> Result<(), Error> {
        self.package.as_ref().map_or(Ok(()), PackageFiles::keep)
    }
}

/// Where the files of all kernels lie, or of one.
fn folders(release: Option<&str>) -> Vec<String> {
    let Some(release) = release else { return FOLDERS.map(str::to_owned).into() };
    let of_one = |folder: &&str| match folder.rsplit('/').next() {
        Some("firmware") => None,
        Some("modules") => Some(format!("{folder}/{release}")),
        _ => Some((*folder).to_owned()),
    };
    FOLDERS.iter().filter_map(of_one).collect()
}

/// Why a device, a FIFO or a socket is left out.
const NO_FILE: &str = "is neither a file nor a folder nor a link";

const NOT_TEXT: &str = "has a name that is not UTF-8";

/// The members of a package by path.
type Members<'a> = BTreeMap<String, &'a Member>;

fn is_firmware(path: &str) -> bool {
    is_below(path.strip_prefix("usr/").unwrap_or(path), "lib/firmware")
}

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// Collects files and links.
fn walk(
    folder: &Path,
    path: &str,
    depth: usize,
    files: &mut Files,
    links: &mut Vec<(String, String)>,
) -> io::Result<()> {
    if depth > DEEPEST {
        return Err(io::Error::other(format!("folders are nested deeper than {DEEPEST}")));
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{path}/{}", entry.file_name().to_string_lossy());
        if entry.file_name().to_str().is_none() {
            files.leave_out(&path, NOT_TEXT);
            continue;
        }
        // The folder says what lies in it: to ask for each of thousands of files takes a minute over 9p in an emulated guest.
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        match if is_file { Node::File } else { look_on_disk(&entry.path()) } {
            Node::Folder => {
                walk(&entry.path(), &path, depth + 1, files, links)?;
                files.folders.insert(path);
            }
            Node::File => files.add(&path, FileSource::OnDisk(entry.path())),
            Node::Link(target) => links.push((path, target)),
            Node::Nothing => files.leave_out(&path, NO_FILE),
        }
    }
    Ok(())
}

fn look_on_disk(path: &Path) -> Node {
    let Ok(found) = fs::symlink_metadata(path) else { return Node::Nothing };
    match found.file_type() {
        kind if kind.is_dir() => Node::Folder,
        kind if kind.is_file() => Node::File,
        kind if kind.is_symlink() => fs::read_link(path)
            .map_or(Node::Nothing, |target| Node::Link(target.to_string_lossy().into_owned())),
        _ => Node::Nothing,
    }
}

/// In a package, where not every folder need be named.
fn look_in(members: &Members<'_>, path: &str) -> Node {
    match members.get(path).map(|member| &member.kind) {
        Some(Kind::File { .. } | Kind::HardLink(_)) if file_at(members, path).is_some() => Node::File,
        Some(Kind::Symlink(target)) => Node::Link(String::from_utf8_lossy(target).into_owned()),
        Some(Kind::Directory) => Node::Folder,
        Some(_) => Node::Nothing,
        None => {
            let below = format!("{path}/");
            let next = members.range(below.clone()..).next();
            next.filter(|(name, _)| name.starts_with(&below)).map_or(Node::Nothing, |_| Node::Folder)
        }
    }
}

/// The member with a file's bytes; dpkg gives a hard link those of another member.
fn file_at<'a>(members: &Members<'a>, path: &str) -> Option<&'a Member> {
    let member = members.get(path)?;
    let member = match &member.kind {
        Kind::HardLink(target) => members.get(std::str::from_utf8(target).ok()?)?,
        _ => member,
    };
    matches!(member.kind, Kind::File { .. }).then_some(*member)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_a_hard_link_of_nothing_is_left_out_and_told() {
        let member = |path: &str, kind: Kind| Member {
            path: path.as_bytes().to_vec(),
            kind,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: 0,
        };
        let all = [
            member("boot/hard", Kind::HardLink(b"boot/gone".to_vec())),
            member("boot/soft", Kind::Symlink(b"hard".to_vec())),
        ];
        let mut files = Files::default();
        let (members, found) = files.add_members(&all);
        let source = |path: &str| Some(FileSource::InPackage(file_at(&members, path)?.clone()));
        files.add_links(found, |path| look_in(&members, path), |path| path.to_owned(), source);
        let left_out: Vec<&str> = files.left_out().keys().map(String::as_str).collect();
        assert_eq!((left_out, files.paths().count()), (vec!["boot/hard", "boot/soft"], 0));
    }

    /// A package of some kilobytes can say so of its zeros: no memory is taken for them.
    #[test]
    fn a_file_of_a_package_is_no_larger_than_one_of_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("tree/DEBIAN")).unwrap();
        fs::create_dir(path("tree/boot")).unwrap();
        fs::write(path("tree/boot/vmlinuz-6.1"), "the kernel").unwrap();
        let control = "Package: k\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: k\n";
        fs::write(path("tree/DEBIAN/control"), control).unwrap();
        let built = std::process::Command::new("dpkg-deb")
            .arg("--build")
            .args([path("tree"), path("k.deb")])
            .output();
        assert!(built.unwrap().status.success());
        let mut files = Files::of_package(&path("k.deb"), None).unwrap();
        assert_eq!(files.read("boot/vmlinuz-6.1").unwrap(), b"the kernel");
        let Some(FileSource::InPackage(member)) = files.by_path.get_mut("boot/vmlinuz-6.1") else { panic!() };
        member.kind = Kind::File { offset: 0, length: MOST_FILE_BYTES };
        let error = files.read("boot/vmlinuz-6.1").unwrap_err().to_string();
        assert_eq!(error, "it is larger than 1 GiB");
    }
}
