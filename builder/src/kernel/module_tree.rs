//! Modules and firmware as files below one folder, and the indexes by which `modprobe` finds modules: depmod of Debian's kmod makes them.
//!
//! Everything lies in `usr/lib`, whatever the package has. Modules lie there as the kernel loads them, without a compressor of their own: the
//! image compresses them, and every `modprobe` can read them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cli::numbers::human_size;
use disk_image::programs::find_program;
use profiles::{Digest, Name};
use squashfs::{Content, Entry, Kind, Metadata, Tree};

use crate::error::{Error, Result};
use crate::image::format::SOURCE_DATE_EPOCH;
use crate::scratch::Scratch;
use crate::store::Store;

/// Where modules lie in a system with one `/usr`.
pub const MODULES: &str = "usr/lib/modules";
/// What depmod reads beside modules (depmod(8), and kmod's `depmod.c`); every other `modules.*` there is its work.
const INPUTS: [&str; 3] = [ORDER, "modules.builtin", "modules.builtin.modinfo"];
/// The order in which depmod numbers modules; what it does not have comes in the order of the folder, which is another on each machine.
pub const ORDER: &str = "modules.order";

/// All modules of Debian's kernel have 400 MB, and all of linux-firmware 1 GB: more is damage, or an attack.
const MOST_BYTES: u64 = 4 << 30;
const MOST_FILES: usize = 100_000;
/// Bytes of a name on the file systems of Linux (NAME_MAX of limits.h), and of a path in a kernel: the longest of Debian's have 100, and the
/// place that a path is written to must stay one that system calls take (PATH_MAX).
const LONGEST_NAME: usize = 255;
const LONGEST_PATH: usize = 1024;
/// What compressors that depmod knows put behind the name of a module.
const ENDINGS: [&str; 3] = [".xz", ".zst", ".gz"];

/// Whether a file of the modules' folder is an index that depmod makes.
pub fn is_index(name: &str) -> bool {
    name.starts_with("modules.") && !INPUTS.contains(&name)
}

/// Whether a file is a module, compressed or not.
pub fn is_module(path: &[u8]) -> bool {
    let name = ENDINGS.iter().find_map(|end| path.strip_suffix(end.as_bytes())).unwrap_or(path);
    name.ends_with(b".ko")
}

/// The release whose modules' folder a path of an image lies in, and the rest of the path; also of one that lies in `lib`.
pub fn of_release(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest =
        path.strip_prefix(b"usr/".as_slice()).unwrap_or(path).strip_prefix(b"lib/modules/".as_slice())?;
    let end = rest.iter().position(|byte| *byte == b'/')?;
    Some((&rest[..end], &rest[end + 1..]))
}

/// The version of depmod, which decides about the bytes of indexes.
///
/// # Errors
/// It is missing or cannot be run.
pub fn depmod_version() -> Result<String> {
    let said = run(depmod()?.arg("--version"), "")?;
    Ok(said.lines().next().unwrap_or_default().to_owned())
}

fn depmod() -> Result<Command> {
    let mut command = Command::new(find_program("depmod", "kmod")?);
    command.env("LC_ALL", "C");
    Ok(command)
}

/// Runs a command; `scratch` stands before paths of the kernel in what it says, and says nothing to people.
fn run(command: &mut Command, scratch: &str) -> Result<String> {
    let ended = command.stdin(Stdio::null()).output().map_err(Error::on("depmod"))?;
    match ended.status.success() {
        true => Ok(String::from_utf8_lossy(&ended.stdout).into_owned()),
        false => {
            let said = String::from_utf8_lossy(&ended.stderr);
            let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
            Err(Error::new("depmod", format!("{}: {}", ended.status, last.replace(scratch, "")))
                .remedy("a module of the kernel may be damaged: get the package again"))
        }
    }
}

fn refused(path: &str, why: impl Into<String>) -> Error {
    Error::new(path.escape_debug().to_string(), why.into()).remedy("is this really a kernel?")
}

/// A tree of modules and firmware that is being filled.
#[derive(Debug)]
pub struct ModuleTree {
    scratch: Scratch,
    release: Name,
    /// By path in the booted system, without a leading slash: length and SHA-256.
    files: BTreeMap<String, (u64, Digest)>,
    /// By path as well: targets.
    links: BTreeMap<String, String>,
    bytes: u64,
}

impl ModuleTree {
    /// An empty one.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn new(store: &Store, release: &Name) -> Result<ModuleTree> {
        let scratch = store.scratch("modules")?;
        let (files, links) = Default::default();
        let tree = ModuleTree { scratch, release: release.clone(), files, links, bytes: 0 };
        let folder = tree.path(&tree.folder());
        fs::create_dir_all(&folder).map_err(Error::on(folder.display()))?;
        Ok(tree)
    }

    /// The folder of the modules, `usr/lib/modules/RELEASE`.
    pub fn folder(&self) -> String {
        format!("{MODULES}/{}", self.release)
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.scratch.path().join("root").join(inside)
    }

    /// Adds a file; `path` is that in the booted system.
    ///
    /// # Errors
    /// It is there already, has a name that indexes cannot hold, or is one too many; the store cannot be written.
    pub fn add(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        self.check(path)?;
        self.bytes += bytes.len() as u64;
        if self.bytes > MOST_BYTES {
            let most = human_size(MOST_BYTES);
            return Err(refused(path, format!("is more than a kernel has: {most} together")));
        }
        self.files.insert(path.to_owned(), (bytes.len() as u64, Digest::of_bytes(bytes)));
        self.write(path, bytes)
    }

    /// Adds a symbolic link; `path` is that in the booted system.
    ///
    /// # Errors
    /// As of [`ModuleTree::add`].
    pub fn add_link(&mut self, path: &str, target: String) -> Result<()> {
        self.check(path)?;
        self.links.insert(path.to_owned(), target);
        Ok(())
    }

    /// Refuses a path that no file of a kernel has, that is there, or one too many.
    fn check(&self, path: &str) -> Result<()> {
        // Indexes of modules are lines of words; the names of firmware have blanks.
        let is_index_word = path.starts_with(MODULES);
        let is_strange = |name: &str| {
            let has_blank = is_index_word && name.contains(' ');
            matches!(name, "" | "." | "..") || has_blank || name.contains(char::is_control)
        };
        if path.split('/').any(is_strange) {
            return Err(refused(path, "has a name that no file of a kernel has"));
        }
        if path.len() > LONGEST_PATH || path.split('/').any(|name| name.len() > LONGEST_NAME) {
            let most = format!("{LONGEST_NAME} bytes of a name and {LONGEST_PATH} of its path");
            return Err(refused(path, format!("is longer than a file of a kernel is called: {most}")));
        }
        if let Some(file) = self.in_the_place_of_a_folder(path) {
            return Err(refused(path, format!("cannot lie in {file}, which is a file")));
        }
        let below = format!("{path}/");
        let first = |it: Option<&String>| it.is_some_and(|it| it.starts_with(&below));
        if first(self.files.range(below.clone()..).next().map(|it| it.0))
            || first(self.links.range(below.clone()..).next().map(|it| it.0))
        {
            return Err(refused(path, "is a file, and a folder with files lies there too"));
        }
        if self.files.len() + self.links.len() >= MOST_FILES {
            return Err(refused(path, format!("is more than a kernel has: {MOST_FILES} files")));
        }
        match self.files.contains_key(path) || self.links.contains_key(path) {
            true => Err(refused(path, format!("is there twice: another file becomes {path} too"))),
            false => Ok(()),
        }
    }

    /// The file or link, there or still to be made, below which nothing can lie.
    fn in_the_place_of_a_folder(&self, path: &str) -> Option<String> {
        let inside = path.strip_prefix(&self.folder()).and_then(|rest| rest.strip_prefix('/'));
        let top = inside.and_then(|inside| inside.split_once('/')).map(|(top, _)| top);
        if let Some(list) = top.filter(|top| is_index(top) || INPUTS.contains(top)) {
            return Some(format!("{list} of the modules"));
        }
        let mut above = path.match_indices('/').map(|(end, _)| &path[..end]);
        let found = above.find(|it| self.files.contains_key(*it) || self.links.contains_key(*it));
        found.map(|it| it.escape_debug().to_string())
    }

    fn write(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let place = self.path(path);
        let folder = place.parent().unwrap_or(Path::new("/"));
        let made = fs::create_dir_all(folder)
            .and_then(|()| File::create_new(&place))
            .and_then(|mut file| file.write_all(bytes));
        made.map_err(Error::on(place.display()))
    }

    /// Whether it has a file.
    pub fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// A line for each file and each link, by path: all that decides about the tree, but for depmod.
    pub fn lines(&self) -> String {
        let files = self.files.iter().map(|(path, (_, digest))| format!("file {path} {digest}\n"));
        // A name can hold ` to `, and a target too: no line may be another's.
        let links =
            self.links.iter().map(|(path, target)| format!("link {} {path} to {target}\n", path.len()));
        files.chain(links).collect()
    }

    /// Makes the indexes.
    ///
    /// # Errors
    /// depmod is missing, or fails.
    pub fn index(&mut self) -> Result<()> {
        self.complete_order()?;
        let base = self.scratch.path().join("base");
        // depmod looks below `lib/modules` or `usr/lib/modules` of its base, as its distribution has it.
        let links = fs::create_dir(&base)
            .and_then(|()| symlink("../root/usr", base.join("usr")))
            .and_then(|()| symlink("usr/lib", base.join("lib")))
            .and_then(|()| fs::create_dir(base.join("no-settings")));
        links.map_err(Error::on(base.display()))?;
        // The settings of this machine are not those of the system.
        let (mut depmod, scratch) = (depmod()?, format!("{}/", base.display()));
        depmod.arg("-C").arg(base.join("no-settings")).arg("-b").arg(&base).arg(self.release.as_str());
        run(&mut depmod, &scratch)?;
        let folder = self.folder();
        let place = self.path(&folder);
        for entry in fs::read_dir(&place).map_err(Error::on(place.display()))? {
            let entry = entry.map_err(Error::on(place.display()))?;
            let Some(name) = entry.file_name().to_str().filter(|name| is_index(name)).map(str::to_owned)
            else {
                continue;
            };
            let found =
                File::open(entry.path()).and_then(Digest::of).map_err(Error::on(entry.path().display()))?;
            self.files.insert(format!("{folder}/{name}"), (found.1, found.0));
        }
        Ok(())
    }

    /// Puts the modules that it does not have behind those that it has, by path.
    fn complete_order(&mut self) -> Result<()> {
        let folder = format!("{}/", self.folder());
        let order = format!("{folder}{ORDER}");
        let there = match self.files.remove(&order) {
            None => String::new(),
            Some(_) => {
                let place = self.path(&order);
                let bytes = fs::read(&place).map_err(Error::on(place.display()))?;
                fs::remove_file(&place).map_err(Error::on(place.display()))?;
                String::from_utf8_lossy(&bytes).into_owned()
            }
        };
        let mut seen = BTreeSet::new();
        let plain =
            |path: &'_ str| ENDINGS.iter().find_map(|end| path.strip_suffix(end)).unwrap_or(path).to_owned();
        let modules = self.files.keys().filter(|path| is_module(path.as_bytes()));
        let modules: Vec<String> = modules.filter_map(|path| path.strip_prefix(&folder)).map(plain).collect();
        let modules = modules.iter().map(String::as_str);
        let lines =
            there.lines().chain(modules).filter(|line| !line.is_empty() && seen.insert(line.to_string()));
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        self.write(&order, text.as_bytes())?;
        self.files.insert(order, (text.len() as u64, Digest::of_bytes(text)));
        Ok(())
    }

    /// The files that `choose` wants, as a tree of root's, which reads them where they lie.
    ///
    /// # Errors
    /// The tree cannot hold one.
    pub fn tree(&self, choose: impl Fn(&str) -> bool) -> Result<Tree> {
        let mut tree = Tree::new();
        insert(&mut tree, "", Kind::Directory)?;
        insert_folders(&mut tree, &format!("{}/", self.folder()))?;
        for (path, (len, _)) in self.files.iter().filter(|(path, _)| choose(path)) {
            insert_folders(&mut tree, path)?;
            insert(&mut tree, path, Kind::File(Content::HostFile { path: self.path(path), len: *len }))?;
        }
        for (path, target) in self.links.iter().filter(|(path, _)| choose(path)) {
            insert_folders(&mut tree, path)?;
            insert(&mut tree, path, Kind::Symlink(target.clone().into_bytes()))?;
        }
        Ok(tree)
    }
}

/// Inserts the folders above a path, with one time and one owner for all.
pub fn insert_folders(tree: &mut Tree, path: &str) -> Result<()> {
    path.match_indices('/').try_for_each(|(end, _)| insert(tree, &path[..end], Kind::Directory))
}

/// Inserts what lies at a path, with one time and one owner for all.
pub fn insert(tree: &mut Tree, path: &str, kind: Kind) -> Result<()> {
    let mode = match kind {
        Kind::Directory => 0o755,
        Kind::Symlink(_) => 0o777,
        _ => 0o644,
    };
    let metadata = Metadata { mtime: i64::from(SOURCE_DATE_EPOCH), ..Metadata::mode(mode) };
    tree.insert(path.as_bytes(), Entry::new(metadata, kind)).map_err(Error::on(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_and_releases_are_told_from_their_paths() {
        for (name, is) in [
            ("modules.dep.bin", true),
            ("modules.order", false),
            ("modules.builtin", false),
            ("config", false),
        ] {
            assert_eq!(is_index(name), is, "{name}");
        }
        assert_eq!(of_release(b"usr/lib/modules/6.1/kernel/a.ko"), Some((&b"6.1"[..], &b"kernel/a.ko"[..])));
        assert_eq!(of_release(b"lib/modules/6.1/modules.dep"), Some((&b"6.1"[..], &b"modules.dep"[..])));
        assert_eq!(of_release(b"usr/lib/modules/6.1"), None);
        assert_eq!(of_release(b"usr/share/lib/modules/6.1/x"), None);
    }

    /// An archive can say what no file system holds.
    #[test]
    fn what_cannot_be_written_is_refused_before_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut tree = ModuleTree::new(&store, &Name::parse("6.1").unwrap()).unwrap();
        tree.add("usr/lib/firmware/a", b"a").unwrap();
        tree.add("usr/lib/firmware/b/c", b"c").unwrap();
        tree.add_link("usr/lib/firmware/d", "a".to_owned()).unwrap();
        for (path, why) in [
            ("usr/lib/firmware/a/x".to_owned(), "cannot lie in usr/lib/firmware/a, which is a file"),
            ("usr/lib/firmware/d/x".to_owned(), "cannot lie in usr/lib/firmware/d, which is a file"),
            ("usr/lib/firmware/b".to_owned(), "is a file, and a folder with files lies there too"),
            (format!("usr/lib/firmware/{}", "x".repeat(256)), "is longer than a file of a kernel is called"),
            ("usr/lib/firmware/../x".to_owned(), "has a name that no file of a kernel has"),
        ] {
            for error in [tree.add(&path, b"x"), tree.add_link(&path, "a".to_owned())] {
                let error = error.unwrap_err().to_string();
                assert!(error.starts_with(&format!("{path}: {why}")), "{error}");
            }
        }
    }
}
