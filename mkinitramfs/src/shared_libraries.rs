//! The shared libraries of a program of this machine, found as its loader finds them: ld.so(8), ldconfig(8).
//!
//! The folders are those of `/etc/ld.so.conf` and what it includes, and the usual ones behind them. A DT_RUNPATH (or DT_RPATH) counts for
//! the file that has it. Variants for newer processors (`glibc-hwcaps`) are left out: the initramfs may run on another machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::elf::Linked;
use crate::host_file;

/// Where loaders look without being told, after the folder that they lie in.
const USUAL: [&str; 6] = ["/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib64", "/usr/local/lib"];
/// A configuration that includes itself ends here.
const DEEPEST: usize = 8;

/// A library that goes into the initramfs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Library {
    /// The file on this machine.
    pub path: PathBuf,
    /// The program or library that asks for it first.
    pub needed_by: String,
    /// All bytes of the file.
    pub bytes: Vec<u8>,
}

/// A library that is nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing {
    /// As DT_NEEDED names it.
    pub name: String,
    /// The file that asks for it.
    pub needed_by: String,
}

/// The folders of this machine's loader, in order.
pub(crate) fn folders(interpreter: &str) -> Vec<PathBuf> {
    let mut folders = configured(Path::new("/etc/ld.so.conf"), DEEPEST);
    folders.extend(Path::new(interpreter).parent().map(Path::to_owned));
    folders.extend(USUAL.map(PathBuf::from));
    folders
}

/// All that `program` needs, and what that needs, by name. The loader itself is not among them.
///
/// # Errors
/// One of them is nowhere.
pub(crate) fn closure(
    program: &Path,
    linked: &Linked,
    folders: &[PathBuf],
) -> Result<BTreeMap<String, Library>, Missing> {
    let loader = linked.interpreter.as_deref().map(Path::new).and_then(Path::file_name);
    let mut found = BTreeMap::new();
    let mut open = vec![(program.to_owned(), linked.clone())];
    while let Some((path, file)) = open.pop() {
        let needed_by = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let own = file.search.iter().map(|folder| in_place(folder, &path));
        let places: Vec<PathBuf> = own.chain(folders.iter().cloned()).collect();
        for name in &file.needed {
            if found.contains_key(name) || loader.is_some_and(|loader| loader == name.as_str()) {
                continue;
            }
            let (path, bytes, file) = find(name, &places, linked)
                .ok_or_else(|| Missing { name: name.clone(), needed_by: needed_by.clone() })?;
            found.insert(name.clone(), Library { path: path.clone(), needed_by: needed_by.clone(), bytes });
            open.push((path, file));
        }
    }
    Ok(found)
}

/// The first file of this name that is for the processor of the program; others are passed over, as the loader does.
fn find(name: &str, places: &[PathBuf], program: &Linked) -> Option<(PathBuf, Vec<u8>, Linked)> {
    // A name with a slash is a path.
    let paths: Vec<PathBuf> = match name.contains('/') {
        true => vec![PathBuf::from(name)],
        false => places.iter().map(|folder| folder.join(name)).collect(),
    };
    paths.into_iter().find_map(|path| {
        let bytes = host_file::read(&path).ok()?;
        let linked = Linked::read(&bytes).ok().filter(|linked| linked.machine == program.machine)?;
        Some((path, bytes, linked))
    })
}

/// A folder of DT_RUNPATH: `$ORIGIN` is the folder of the file that has it.
fn in_place(folder: &str, file: &Path) -> PathBuf {
    let real = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let origin = real.parent().unwrap_or(Path::new("/")).to_string_lossy().into_owned();
    PathBuf::from(folder.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin))
}

/// The folders of a configuration of ldconfig(8): one a line, `#` begins a comment, `include` takes a pattern.
fn configured(file: &Path, depth: usize) -> Vec<PathBuf> {
    let text = host_file::read_text(file).unwrap_or_default();
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    let mut folders = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let mut words = line.split_whitespace();
        match (words.next(), depth.checked_sub(1)) {
            (Some("include"), Some(depth)) => {
                let files = words.flat_map(|pattern| matching(&file.with_file_name(pattern)));
                folders.extend(files.flat_map(|file| configured(&file, depth)));
            }
            (Some("include" | "hwcap"), _) => {}
            _ => folders.push(PathBuf::from(line)),
        }
    }
    folders
}

/// The files that a pattern means, sorted; `*` stands for anything, in the last name of the path.
fn matching(pattern: &Path) -> Vec<PathBuf> {
    let name = pattern.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some((begin, end)) = name.split_once('*') else { return vec![pattern.to_owned()] };
    let folder = pattern.parent().unwrap_or(Path::new("/"));
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let fits = |name: &String| {
        name.len() >= begin.len() + end.len() && name.starts_with(begin) && name.ends_with(end)
    };
    let mut files: Vec<String> = names.filter_map(|name| name.into_string().ok()).filter(fits).collect();
    files.sort();
    files.into_iter().map(|name| folder.join(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn files(program: &Path) -> Vec<(String, PathBuf)> {
        let linked = Linked::read(&fs::read(program).expect("the program")).expect("an ELF program");
        let folders = folders(linked.interpreter.as_deref().expect("a dynamic program"));
        let found = closure(program, &linked, &folders).expect("all of them");
        let real = |path: &Path| fs::canonicalize(path).expect("a file");
        found.into_iter().map(|(name, library)| (name, real(&library.path))).collect()
    }

    /// What ldd(1) says: lines `NAME => PATH (ADDRESS)`.
    fn judged(program: &Path) -> Vec<(String, PathBuf)> {
        let output = Command::new("ldd").arg(program).output().expect("ldd, of Debian's libc-bin");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let lines = text.lines().filter_map(|line| line.trim().split_once(" => "));
        let mut found: Vec<(String, PathBuf)> = lines
            .map(|(name, rest)| {
                let path = rest.split(" (").next().unwrap_or_default();
                (name.to_owned(), fs::canonicalize(path).expect("what ldd names"))
            })
            .filter(|(name, _)| !name.starts_with("ld-linux"))
            .collect();
        found.sort();
        found
    }

    #[test]
    fn the_libraries_are_those_that_ldd_names() {
        for (program, least) in [
            ("/usr/sbin/mkfs.ext4", 6),
            ("/usr/sbin/mkfs.xfs", 5),
            ("/usr/sbin/mkfs.btrfs", 4),
            ("/usr/sbin/mkfs.f2fs", 3),
            ("/usr/bin/qemu-system-x86_64", 40),
        ] {
            let program = Path::new(program);
            assert!(program.exists(), "{}: missing: run `make deps-test`", program.display());
            let found = files(program);
            assert_eq!(found, judged(program), "{}", program.display());
            assert!(found.len() >= least, "{}: {found:?}", program.display());
        }
    }

    #[test]
    fn what_is_nowhere_is_named_with_what_needs_it() {
        let program = Path::new("/usr/sbin/mkfs.ext4");
        let linked = Linked::read(&fs::read(program).expect("mkfs.ext4")).expect("an ELF program");
        let missing = closure(program, &linked, &[PathBuf::from("/nowhere")]).expect_err("nothing is there");
        assert_eq!((missing.needed_by.as_str(), missing.name.as_str()), ("mkfs.ext4", "libext2fs.so.2"));
        // A file for another processor, or none at all, is passed over as if it was not there.
        let folder = tempfile::tempdir().expect("a folder");
        let mut other = fs::read("/lib/x86_64-linux-gnu/libext2fs.so.2").expect("the library");
        other[18] = 183;
        fs::write(folder.path().join("libext2fs.so.2"), other).expect("written");
        fs::write(folder.path().join("libcom_err.so.2"), "INPUT(libother.so)").expect("written");
        let mut places = vec![folder.path().to_owned()];
        assert!(closure(program, &linked, &places).is_err());
        places.extend(folders("/lib64/ld-linux-x86-64.so.2"));
        let found = closure(program, &linked, &places).expect("behind it");
        assert!(found.values().all(|library| !library.path.starts_with(folder.path())));
    }

    #[test]
    fn the_configuration_of_ldconfig_is_read_with_what_it_includes() {
        let folder = tempfile::tempdir().expect("a folder");
        let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
        fs::create_dir(folder.path().join("more")).expect("a folder");
        put(
            "ld.so.conf",
            "/first # why\n\ninclude more/*.conf\nhwcap 0 nosegneg\n\t/last\ninclude ld.so.conf\n",
        );
        put("more/b.conf", "/b\n");
        put("more/a.conf", "/a\n/a2\n");
        put("more/other", "/never\n");
        let found = configured(&folder.path().join("ld.so.conf"), 1);
        let wanted = ["/first", "/a", "/a2", "/b", "/last", "/first", "/last"];
        assert_eq!(found, wanted.map(PathBuf::from));
        assert!(configured(&folder.path().join("absent"), 1).is_empty());
        assert_eq!(in_place("$ORIGIN/../lib", Path::new("/nowhere/bin/x")), Path::new("/nowhere/bin/../lib"));
    }
}
