//! Where files lie that can be had again: downloads, what is made from them, and what was read of a kernel. Each kind has a folder of its
//! own, and who fills it removes what was not used for longest ([`keep_newest`]).

use std::fs::{self, File, FileTimes};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fault::{Error, Result};
use rustix::fs::Access;

/// What helps where it cannot be filled.
const ELSEWHERE: &str = "set LAMINA_CACHE to a folder that you may write to, and that has room";

/// A folder of the cache: `name` in `$LAMINA_CACHE`, else in `~/.cache/lamina` (`$XDG_CACHE_HOME/lamina` where that is set).
///
/// # Errors
/// No variable says where.
pub fn of(name: &str) -> Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("LAMINA_CACHE")
        .or_else(|| {
            // The XDG Base Directory Specification: a relative path is invalid, and ignored.
            let cache = variable("XDG_CACHE_HOME").filter(|cache| cache.is_absolute());
            cache.map(|cache| cache.join("lamina"))
        })
        .or_else(|| variable("HOME").map(|home| home.join(".cache/lamina")))
        .map(|cache| cache.join(name))
        .ok_or_else(|| {
            Error::new("cache", "neither LAMINA_CACHE nor HOME is set").remedy("set LAMINA_CACHE to a folder")
        })
}

/// Makes a folder of the cache, with those above it, and looks whether it can be filled.
///
/// # Errors
/// Something else is there; it cannot be made, or not be written to.
pub fn make(folder: &Path) -> Result<()> {
    let unusable = |error: io::Error, what: &str| {
        Error::new(folder.display(), format!("the cache cannot be {what}: {error}"))
            .because_of(error)
            .remedy(ELSEWHERE)
    };
    let is_there = |path: &&Path| fs::symlink_metadata(path).is_ok();
    if let Some(file) = folder.ancestors().find(is_there).filter(|nearest| !nearest.is_dir()) {
        let cause = format!("the cache cannot be made: {} is no folder", file.display());
        return Err(Error::new(folder.display(), cause).remedy(ELSEWHERE));
    }
    fs::create_dir_all(folder).map_err(|error| unusable(error, "made"))?;
    let allowed = rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK);
    allowed.map_err(|errno| unusable(errno.into(), "written to"))
}

/// What helps against an error of writing to the cache, where it is the place that is wrong.
pub fn helped(error: Error) -> Error {
    use ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let kind = error.system_said().map(|said| said.kind());
    match kind {
        Some(StorageFull | QuotaExceeded | ReadOnlyFilesystem | PermissionDenied) => {
            error.about("the cache").remedy(ELSEWHERE)
        }
        _ => error,
    }
}

/// Whether this user wrote a file of the cache: what nothing else vouches for is taken from nobody else, as under sudo with the cache of the
/// caller.
pub fn is_own(file: &File) -> bool {
    file.metadata().is_ok_and(|found| found.uid() == rustix::process::geteuid().as_raw())
}

/// Notes that a file of the cache is used now. Somebody else's cannot be touched, and is read all the same.
pub fn note_use(file: &File) {
    let _ = file.set_times(FileTimes::new().set_modified(SystemTime::now()));
}

/// Removes all of these files but the `most` that were used last. Another process may have one open, which keeps its bytes.
///
/// # Errors
/// The folder cannot be listed.
pub fn keep_newest(folder: &Path, most: usize, is_one: impl Fn(&Path) -> bool) -> io::Result<()> {
    let mut all = entries(folder)?;
    all.retain(|(_, path)| is_one(path));
    all.sort_by_key(|(used, _)| std::cmp::Reverse(*used));
    all.iter().skip(most).for_each(|(_, path)| drop(fs::remove_file(path)));
    Ok(())
}

/// Each file of the folder, with the time of its last use, but for those that another process removes meanwhile.
///
/// # Errors
/// The folder cannot be listed.
pub fn entries(folder: &Path) -> io::Result<Vec<(SystemTime, PathBuf)>> {
    let of = |entry: io::Result<fs::DirEntry>| {
        let entry = entry.ok()?;
        let found = entry.metadata().ok().filter(fs::Metadata::is_file)?;
        Some((found.modified().ok()?, entry.path()))
    };
    Ok(fs::read_dir(folder)?.filter_map(of).collect())
}
