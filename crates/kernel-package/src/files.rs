//! The files of a kernel, whether they lie in a Debian package or in a folder.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use deb::{Contents, Kind, Member, Package};
use fault::Error;

/// A kernel image or a module is far smaller; more is damage or an attack.
const MOST_FILE_BYTES: u64 = 1 << 30;
/// Kernel folders are nested about ten deep.
const DEEPEST: usize = 32;
/// Where kernels put their files.
const FOLDERS: [&str; 5] = ["boot", "lib/modules", "usr/lib/modules", "lib/firmware", "usr/lib/firmware"];

/// Every regular file below [`FOLDERS`], by its path from the root.
#[derive(Debug)]
pub(crate) struct Files {
    package: Option<Contents>,
    by_path: BTreeMap<String, FileSource>,
}

#[derive(Debug)]
enum FileSource {
    InPackage(Member),
    OnDisk(PathBuf),
}

impl Files {
    pub fn of_package(path: &Path) -> Result<Files, Error> {
        let scratch = tempfile::tempfile().map_err(|error| {
            Error::new(path.display(), format!("making a scratch file to unpack it: {error}"))
                .remedy("set TMPDIR to a folder with room")
                .because_of(error)
        })?;
        let contents = Package::open(path).and_then(|package| package.contents(scratch)).map_err(unread)?;
        let by_path = contents
            .members()
            .iter()
            .filter(|member| matches!(member.kind, Kind::File { .. }))
            .filter_map(|member| Some((String::from_utf8(member.path.clone()).ok()?, member)))
            .filter(|(path, _)| FOLDERS.iter().any(|folder| is_below(path, folder)))
            .map(|(path, member)| (path, FileSource::InPackage(member.clone())))
            .collect();
        Ok(Files { package: Some(contents), by_path })
    }

    pub fn of_folder(root: &Path) -> Result<Files, Error> {
        let mut by_path = BTreeMap::new();
        // On systems with one /usr, `lib` is a link to `usr/lib`: the same files must not be seen twice.
        let mut seen = Vec::new();
        for folder in FOLDERS {
            let Ok(real) = root.join(folder).canonicalize() else { continue };
            if !seen.contains(&real) {
                walk(&real, folder, 0, &mut by_path).map_err(|error| {
                    Error::new(root.join(folder).display(), format!("reading the folder: {error}"))
                        .because_of(error)
                })?;
                seen.push(real);
            }
        }
        Ok(Files { package: None, by_path })
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.by_path.keys().map(String::as_str)
    }

    pub fn has(&self, path: &str) -> bool {
        self.by_path.contains_key(path)
    }

    pub fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        match (self.by_path.get(path), &self.package) {
            (Some(FileSource::InPackage(member)), Some(contents)) => contents.read(member),
            (Some(FileSource::OnDisk(path)), _) => read_limited(File::open(path)?),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

fn unread(error: deb::Error) -> Error {
    Error::new(error.path().display(), error.cause()).remedy(error.remedy()).because_of(error)
}

/// Refuses what may never end: a FIFO would wait for a writer, and a device such as /dev/zero has no end.
///
/// # Errors
/// Something lies at `path` that is not a regular file.
pub fn refuse_special(path: &Path) -> Result<(), Error> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => {
            Err(Error::new(path.display(), "is neither a regular file nor a folder")
                .remedy("give a kernel package, or the folder where one was unpacked"))
        }
        // What cannot be looked at is told when it is opened.
        _ => Ok(()),
    }
}

/// Reads all of `source`, and refuses more than a kernel's file can have.
///
/// # Errors
/// It cannot be read, or has 1 GiB and more.
pub fn read_limited(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if source.take(MOST_FILE_BYTES).read_to_end(&mut bytes)? as u64 == MOST_FILE_BYTES {
        return Err(io::Error::other("it is larger than 1 GiB"));
    }
    Ok(bytes)
}

/// Collects regular files; links are left out (`build` and `source` lead to whole source trees).
fn walk(folder: &Path, path: &str, depth: usize, found: &mut BTreeMap<String, FileSource>) -> io::Result<()> {
    if depth > DEEPEST {
        return Err(io::Error::other(format!("folders are nested deeper than {DEEPEST}")));
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let (kind, path) = (entry.file_type()?, format!("{path}/{name}"));
        if kind.is_dir() {
            walk(&entry.path(), &path, depth + 1, found)?;
        } else if kind.is_file() {
            found.insert(path, FileSource::OnDisk(entry.path()));
        }
    }
    Ok(())
}
