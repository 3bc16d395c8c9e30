//! Which kernel of a folder is meant: the folder may be the root of a system with several, or the modules of one of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fault::Error;

/// Where a system keeps the modules of its kernels: two folders, where its `/lib` is no link to `/usr/lib`.
const MODULES: [&str; 2] = ["lib/modules", "usr/lib/modules"];

/// A root folder, and the release of one of its kernels where that is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub root: PathBuf,
    pub release: Option<String>,
}

impl Place {
    /// Takes `ROOT`, `ROOT/lib/modules`, or `ROOT/lib/modules/RELEASE`, from which the root follows; `release` chooses one of several.
    ///
    /// # Errors
    /// The folder of one kernel's modules, and another release; a release that is not there.
    pub fn of(path: &Path, release: Option<&str>) -> Result<Place, Error> {
        let place = Place::at(path);
        let Some(wanted) = release else { return Ok(place) };
        let all = match &place.release {
            Some(only) => BTreeSet::from([only.clone()]),
            None => releases(&place.root),
        };
        match all.contains(wanted) {
            true => Ok(Place { release: Some(wanted.to_owned()), ..place }),
            false => Err(no_such(path, wanted, &all)),
        }
    }

    fn at(path: &Path) -> Place {
        of_modules(path).unwrap_or_else(|| Place { root: path.to_owned(), release: None })
    }
}

/// A release that was asked for, and that is not among those that are there.
pub(crate) fn no_such<'a>(path: &Path, wanted: &str, there: impl IntoIterator<Item = &'a String>) -> Error {
    let there = there.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let there = if there.is_empty() { "none".to_owned() } else { there };
    let cause = format!("it holds no kernel {}; there is: {there}", wanted.escape_debug());
    Error::new(path.display(), cause)
        .remedy("name a release as `uname -r` prints it, one of those that are there")
}

/// The kernels whose modules are installed at `path`: the root of a system, its `lib/modules`, or the folder of one of them. What
/// depmod(8) made for a kernel that was removed is none.
///
/// # Errors
/// There is none.
pub fn installed(path: &Path) -> Result<BTreeSet<String>, Error> {
    let place = Place::at(path);
    // It comes with the kernel: Documentation/kbuild/kbuild.rst.
    let is_whole = |release: &String| {
        MODULES.iter().any(|it| place.root.join(it).join(release).join("modules.builtin").exists())
    };
    let all: BTreeSet<String> = match &place.release {
        Some(only) => BTreeSet::from([only.clone()]),
        None => releases(&place.root).into_iter().filter(is_whole).collect(),
    };
    match all.is_empty() {
        false => Ok(all),
        true => Err(Error::new(
            path.display(),
            "it holds no kernel with modules: no lib/modules/RELEASE with a modules.builtin",
        )
        .remedy(
            "name the root of a system with --kernel; a package holds one kernel, and needs no --release",
        )),
    }
}

/// The folder of modules of the kernel that is called `release`, in the one or the other of the two below `root`.
pub fn modules_of(root: &Path, release: &str) -> Option<PathBuf> {
    MODULES.iter().map(|folder| root.join(folder).join(release)).find(|folder| folder.is_dir())
}

/// `ROOT/lib/modules` or `ROOT/usr/lib/modules`, or the folder of one release in it, by where the folder really lies.
fn of_modules(path: &Path) -> Option<Place> {
    if ["boot"].iter().chain(&MODULES).any(|folder| path.join(folder).is_dir()) {
        return None;
    }
    let real = fs::canonicalize(path).ok()?;
    let (modules, release) = match real.ends_with("lib/modules") {
        true => (real.as_path(), None),
        false => (real.parent().filter(|it| it.ends_with("lib/modules"))?, Some(real.file_name()?.to_str()?)),
    };
    let above = modules.parent()?.parent()?;
    let root = if above.ends_with("usr") { above.parent()? } else { above };
    Some(Place { root: root.to_owned(), release: release.map(str::to_owned) })
}

/// The kernels with modules below a root.
fn releases(root: &Path) -> BTreeSet<String> {
    let folders = MODULES.map(|folder| root.join(folder));
    let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    folders.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
