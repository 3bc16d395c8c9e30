//! What distinguishes two initramfs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::Path;

use decompress::Compression;
use initramfs_archive::{Entry, Kind};
use profiles::Digest;
use serde::Serialize;

use crate::list;
use fault::Error;

/// The endings of modules, of which the compression does not count.
const MODULE_ENDINGS: [&str; 4] = [".xz", ".zst", ".gz", ".lz4"];
/// More of a compressed module is not unpacked: the largest of Debian's has 15 MB.
const LARGEST_MODULE: u64 = 128 << 20;

/// What distinguishes two initramfs: all paths sorted. Its Display is a line for each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The names of the two, as they were given.
    pub files: (String, String),
    /// Paths that only the first has.
    pub only_in_first: Vec<String>,
    /// Paths that only the second has.
    pub only_in_second: Vec<String>,
    /// What both have, and not in the same way.
    pub changed: Vec<Changed>,
}

/// A path that both have, and of each property that differs the two values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Without a leading slash; of a kernel module without the ending of its compression.
    pub path: String,
    /// What it is: nothing else is compared then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<(&'static str, &'static str)>,
    /// The permission bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<(u32, u32)>,
    /// The numbers of the owner and the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<((u32, u32), (u32, u32))>,
    /// Bytes of a file; of a kernel module, unpacked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<(u64, u64)>,
    /// Where a symbolic link points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<(String, String)>,
    /// Major and minor number of a device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<((u32, u32), (u32, u32))>,
    /// The SHA-256 of the contents of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contents: Option<(String, String)>,
}

/// Compares two initramfs by what lies at each path when all archives are unpacked: order, times, archives and compression do not count.
///
/// # Errors
/// One of them cannot be read, or is damaged.
pub fn diff(first: &Path, second: &Path) -> Result<Difference, Error> {
    let (one, other) = (read(first)?, read(second)?);
    let missing = |from: &Tree, tree: &Tree| {
        tree.keys().filter(|path| !from.contains_key(*path)).cloned().collect::<Vec<_>>()
    };
    let both = one.iter().filter_map(|(path, file)| Some((path, file, other.get(path)?)));
    Ok(Difference {
        files: (first.display().to_string(), second.display().to_string()),
        only_in_first: missing(&other, &one),
        only_in_second: missing(&one, &other),
        changed: both.filter_map(|(path, one, other)| compare(path, one, other)).collect(),
    })
}

impl Difference {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.only_in_first.is_empty() && self.only_in_second.is_empty() && self.changed.is_empty()
    }
}

/// What a path leads to when everything is unpacked.
type Tree = BTreeMap<String, File>;

#[derive(Debug, Clone, PartialEq, Eq)]
struct File {
    kind: Kind,
    mode: u32,
    owner: (u32, u32),
    target: String,
    device: (u32, u32),
    size: u64,
    /// Empty for what is no file.
    digest: String,
}

fn compare(path: &str, one: &File, other: &File) -> Option<Changed> {
    let path = path.to_owned();
    if one.kind != other.kind {
        return Some(Changed { path, kind: Some((name(one.kind), name(other.kind))), ..Changed::default() });
    }
    fn two<T: PartialEq + Clone>(one: &T, other: &T) -> Option<(T, T)> {
        (one != other).then(|| (one.clone(), other.clone()))
    }
    let changed = Changed {
        path,
        kind: None,
        mode: two(&one.mode, &other.mode),
        owner: two(&one.owner, &other.owner),
        size: two(&one.size, &other.size),
        target: two(&one.target, &other.target),
        device: two(&one.device, &other.device),
        contents: two(&one.digest, &other.digest),
    };
    (one != other).then_some(changed)
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Folder => "folder",
        Kind::Link => "link",
        Kind::Device => "device",
        Kind::Other => "other",
    }
}

/// The later entry of a path counts, as it does for the kernel.
fn read(path: &Path) -> Result<Tree, Error> {
    let mut tree = Tree::new();
    let mut linked: HashMap<_, BTreeSet<String>> = HashMap::new();
    list::read(path, &mut |entry, data| {
        let (place, file) = (place(&entry.path), file(entry, data)?);
        if entry.links > 1 && file.kind == Kind::File {
            let inode = (entry.archive.number, entry.inode);
            linked.entry(inode).or_default().insert(place.to_owned());
        }
        tree.insert(place.to_owned(), file);
        Ok(ControlFlow::Continue(()))
    })?;
    linked.values().for_each(|names| share(&mut tree, names));
    Ok(tree)
}

/// Gives each name of a file its data, which stands behind one of them.
fn share(tree: &mut Tree, names: &BTreeSet<String>) {
    let files = names.iter().filter_map(|name| tree.get(name));
    let Some(data) = files.max_by_key(|file| file.size).map(|file| (file.size, file.digest.clone())) else {
        return;
    };
    for name in names {
        if let Some(file) = tree.get_mut(name) {
            (file.size, file.digest) = data.clone();
        }
    }
}

/// `bin/sh` for `./bin/sh` and `/bin/sh`; the root is `.`. Of a compressed kernel module, the name without that ending.
fn place(path: &str) -> &str {
    let mut place = path;
    while let Some(rest) = place.strip_prefix("./").or_else(|| place.strip_prefix('/')) {
        place = rest;
    }
    let place = place.trim_end_matches('/');
    let place = if place.is_empty() { "." } else { place };
    module_name(place).unwrap_or(place)
}

fn module_name(path: &str) -> Option<&str> {
    let name = MODULE_ENDINGS.iter().find_map(|ending| path.strip_suffix(ending))?;
    name.ends_with(".ko").then_some(name)
}

fn file(entry: &Entry, data: &mut dyn Read) -> io::Result<File> {
    let kind = entry.kind();
    let (size, digest) = match kind {
        Kind::File if module_name(&entry.path).is_some() => module_digest(data)?,
        Kind::File => digest(data)?,
        _ => (0, String::new()),
    };
    Ok(File {
        kind,
        mode: entry.mode & 0o7777,
        owner: (entry.uid, entry.gid),
        target: list::target(entry, data)?.unwrap_or_default(),
        device: if kind == Kind::Device { entry.device } else { (0, 0) },
        size,
        digest,
    })
}

fn digest(data: &mut dyn Read) -> io::Result<(u64, String)> {
    let (digest, size) = Digest::of(data)?;
    Ok((size, digest.hex()))
}

/// Of the module inside; of the bytes as they stand there when they cannot be unpacked.
fn module_digest(data: &mut dyn Read) -> io::Result<(u64, String)> {
    let mut packed = Vec::new();
    data.read_to_end(&mut packed)?;
    let unpacked = || {
        let inside = Compression::of_magic(&packed).reader(packed.as_slice())?;
        let found = digest(&mut inside.take(LARGEST_MODULE + 1))?;
        if found.0 > LARGEST_MODULE { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(found) }
    };
    unpacked().or_else(|_: io::Error| digest(&mut packed.as_slice()))
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let only = |file: &str, path: &str| format!("only in {file}: {}\n", path.escape_debug());
        let first = self.only_in_first.iter().map(|path| (path, only(&self.files.0, path)));
        let second = self.only_in_second.iter().map(|path| (path, only(&self.files.1, path)));
        let changed = self.changed.iter().map(|changed| (&changed.path, format!("{changed}\n")));
        let lines: BTreeMap<&String, String> = first.chain(second).chain(changed).collect();
        lines.values().try_for_each(|line| f.write_str(line))
    }
}

/// `differs: init: mode 755 and 700, contents`
impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let device = |(major, minor): (u32, u32)| format!("{major}:{minor}");
        let parts = [
            self.kind.map(|(one, other)| format!("{one} and {other}")),
            self.mode.map(|(one, other)| format!("mode {one:o} and {other:o}")),
            self.owner.map(|(one, other)| format!("owner {} and {}", device(one), device(other))),
            self.size.map(|(one, other)| format!("{one} and {other} bytes")),
            self.target
                .as_ref()
                .map(|(one, other)| format!("-> {} and -> {}", one.escape_debug(), other.escape_debug())),
            self.device.map(|(one, other)| format!("device {} and {}", device(one), device(other))),
            self.contents.as_ref().map(|_| "contents".to_owned()),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        write!(f, "differs: {}: {}", self.path.escape_debug(), parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_has_many_spellings() {
        for (path, expected) in [
            ("./bin/sh", "bin/sh"),
            ("/bin/sh", "bin/sh"),
            (".//.//bin/", "bin"),
            (".", "."),
            ("./", "."),
            ("lib/a.ko.xz", "lib/a.ko"),
            ("lib/a.ko.zst", "lib/a.ko"),
            ("lib/a.xz", "lib/a.xz"),
            ("..data", "..data"),
        ] {
            assert_eq!(place(path), expected, "{path}");
        }
    }
}
