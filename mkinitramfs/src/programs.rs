//! Programs of this machine in the initramfs, with their loader and their shared libraries, of which several programs share one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::contents::{Contents, Source};
use crate::elf::Linked;
use crate::host_file;
use crate::shared_libraries::{self, Library, Missing};
use fault::Error;

/// Where this machine has the programs of an administrator, whatever PATH says.
pub(crate) const FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin"];

/// One of them.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file())
}

/// A program that init or somebody needs, or one of the libraries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MakerFile {
    /// Its path in the initramfs.
    pub path: String,
    /// Why it is there.
    pub reason: String,
}

/// The libraries and loaders that programs asked for, by their paths in the initramfs.
#[derive(Default)]
pub(crate) struct Libraries {
    all: BTreeMap<String, Library>,
}

/// Reads a program, static or dynamic.
///
/// # Errors
/// It cannot be read, or is none.
pub(crate) fn read(path: &Path) -> Result<(Vec<u8>, Linked), Error> {
    let bytes = host_file::read(path).map_err(Error::on(path.display()))?;
    let linked = Linked::read(&bytes).map_err(|cause| {
        Error::new(path.display(), cause).remedy("give the program itself, static or dynamic")
    })?;
    Ok((bytes, linked))
}

impl Libraries {
    /// Adds the loader and the libraries of a program; of a static one there are none.
    ///
    /// All libraries go beside the C library: that is a folder which the loader searches of its own accord, and the initramfs has no
    /// `/etc/ld.so.cache`.
    ///
    /// # Errors
    /// One of them is missing, which `remedy` helps against, or two programs want different files at one place.
    pub fn add(&mut self, program: &Path, linked: &Linked, remedy: &str) -> Result<(), Error> {
        let Some(loader) = &linked.interpreter else { return Ok(()) };
        let needed_by = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let folders = shared_libraries::folders(loader);
        let found =
            shared_libraries::closure(program, linked, &folders).map_err(|Missing { name, needed_by }| {
                let cause = format!("{needed_by} needs {name}, which is in no folder of the loader {loader}");
                Error::new(program.display(), cause).remedy(remedy)
            })?;
        let loader_path = Path::new(loader);
        let bytes = host_file::read(loader_path).map_err(|cause| {
            Error::new(program.display(), format!("its loader {loader}: {cause}")).remedy(remedy)
        })?;
        let c_library = found.iter().find(|(name, _)| name.starts_with("libc."));
        let beside = c_library.map_or(loader_path, |(_, library)| &library.path);
        let folder = beside.parent().unwrap_or(Path::new("/lib")).to_string_lossy().into_owned();
        let inside = |path: &str| path.trim_start_matches('/').to_owned();
        let loader_file = Library { path: loader_path.to_owned(), needed_by, bytes };
        self.all.entry(inside(loader)).or_insert(loader_file);
        for (name, library) in found {
            // A name with a slash is a path to the loader too.
            let path = if name.contains('/') { inside(&name) } else { inside(&format!("{folder}/{name}")) };
            let there = self.all.entry(path.clone()).or_insert_with(|| library.clone());
            if there.bytes != library.bytes {
                let (one, other) = (there.path.display(), library.path.display());
                return Err(Error::new(path, format!("both {one} and {other} would be it"))
                    .remedy("give a static program in the place of one of those that need it"));
            }
        }
        Ok(())
    }

    /// Puts all of them into the initramfs, each with the program that asked for it first.
    pub fn put(self, contents: &mut Contents) -> Result<Vec<MakerFile>, Error> {
        let put = |(path, library): (String, Library)| {
            let reason = format!("needed by {}", library.needed_by);
            contents.add(&path, 0o755, Source::Bytes(library.bytes))?;
            Ok(MakerFile { path, reason })
        };
        self.all.into_iter().map(put).collect()
    }
}
