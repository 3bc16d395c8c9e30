//! The programs with which init makes the file system of a writable top at its first use.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use profiles::StateFileSystem;

use crate::contents::{Contents, Source};
use crate::elf::Linked;
use crate::error::Error;
use crate::host_file;
use crate::shared_libraries::{self, Library, Missing};

/// Where this machine has such programs.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin"];

/// A file system that init can make on an empty device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSystemMaker {
    /// Its kind; the kernel's driver goes into the initramfs too.
    pub kind: StateFileSystem,
    /// The program that makes it, static or dynamic; this machine's `mkfs.KIND` when it is not named.
    pub program: Option<PathBuf>,
}

/// A file that went in for a maker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MakerFile {
    /// Its path in the initramfs.
    pub path: String,
    /// Why it is there.
    pub reason: String,
}

/// Adds `sbin/mkfs.KIND` of each, where init looks for it (under the name `mkfs.ext4`, mke2fs(8) makes an ext4), with the loader and the
/// shared libraries of those that are dynamic. Returns the files.
///
/// # Errors
/// A program or one of its libraries is missing, or it is no program.
pub(crate) fn add(contents: &mut Contents, makers: &[FileSystemMaker]) -> Result<Vec<MakerFile>, Error> {
    let mut programs = Vec::new();
    let mut libraries = BTreeMap::new();
    for maker in makers {
        let path = format!("sbin/mkfs.{}", maker.kind);
        let (program, linked) = maker.read()?;
        if let Some(loader) = &linked.interpreter {
            maker.libraries(&program.path, &linked, loader, &mut libraries)?;
        }
        contents.add(&path, 0o755, Source::Bytes(program.bytes))?;
        programs.push(MakerFile { path, reason: format!("makes {} for a state", maker.kind) });
    }
    for (path, library) in libraries {
        let reason = format!("needed by {}", library.needed_by);
        contents.add(&path, 0o755, Source::Bytes(library.bytes))?;
        programs.push(MakerFile { path, reason });
    }
    Ok(programs)
}

impl FileSystemMaker {
    fn read(&self) -> Result<(Library, Linked), Error> {
        let path = match &self.program {
            Some(path) => path.clone(),
            None => self.find()?,
        };
        let bytes = host_file::read(&path).map_err(Error::at(&path))?;
        let linked = Linked::read(&bytes).map_err(|cause| {
            Error::new(path.display(), cause).remedy("give the program itself, static or dynamic")
        })?;
        Ok((Library { path, needed_by: String::new(), bytes }, linked))
    }

    fn find(&self) -> Result<PathBuf, Error> {
        let name = format!("mkfs.{}", self.kind);
        let paths = FOLDERS.map(|folder| Path::new(folder).join(&name));
        paths.into_iter().find(|path| path.is_file()).ok_or_else(|| {
            let cause = format!("this machine has no {name} in {}", FOLDERS.join(", "));
            Error::new(format!("--make-file-system {}", self.kind), cause).remedy(self.remedy())
        })
    }

    /// Adds the loader and the libraries by their paths in the initramfs.
    ///
    /// All libraries go beside the C library: that is a folder which the loader searches of its own accord, and the initramfs has no
    /// `/etc/ld.so.cache`.
    fn libraries(
        &self,
        program: &Path,
        linked: &Linked,
        loader: &str,
        all: &mut BTreeMap<String, Library>,
    ) -> Result<(), Error> {
        let needed_by = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let folders = shared_libraries::folders(loader);
        let found =
            shared_libraries::closure(program, linked, &folders).map_err(|Missing { name, needed_by }| {
                let cause = format!("{needed_by} needs {name}, which is in no folder of the loader {loader}");
                Error::new(program.display(), cause).remedy(self.remedy())
            })?;
        let loader_path = Path::new(loader);
        let bytes = host_file::read(loader_path).map_err(|cause| {
            Error::new(program.display(), format!("its loader {loader}: {cause}")).remedy(self.remedy())
        })?;
        let c_library = found.iter().find(|(name, _)| name.starts_with("libc."));
        let beside = c_library.map_or(loader_path, |(_, library)| &library.path);
        let folder = beside.parent().unwrap_or(Path::new("/lib")).to_string_lossy().into_owned();
        let inside = |path: &str| path.trim_start_matches('/').to_owned();
        all.entry(inside(loader)).or_insert(Library { path: loader_path.to_owned(), needed_by, bytes });
        for (name, library) in found {
            // A name with a slash is a path to the loader too.
            let path = if name.contains('/') { inside(&name) } else { inside(&format!("{folder}/{name}")) };
            let there = all.entry(path.clone()).or_insert_with(|| library.clone());
            if there.bytes != library.bytes {
                let (one, other) = (there.path.display(), library.path.display());
                return Err(Error::new(path, format!("both {one} and {other} would be it"))
                    .remedy("give a static program for one of the file systems"));
            }
        }
        Ok(())
    }

    fn remedy(&self) -> &'static str {
        match self.kind {
            StateFileSystem::Ext4 => {
                "install it (Debian's e2fsprogs), or name a program: --make-file-system ext4=FILE ('lamina build e2fsprogs' makes a \
                 static one, and 'lamina image cat e2fsprogs usr/sbin/mkfs.ext4' takes it out of its image)"
            }
            StateFileSystem::Xfs => {
                "install it with all that it needs (Debian's xfsprogs), or name a program: --make-file-system xfs=FILE"
            }
            StateFileSystem::Btrfs => {
                "install it with all that it needs (Debian's btrfs-progs), or name a program: --make-file-system btrfs=FILE"
            }
            StateFileSystem::F2fs => {
                "install it with all that it needs (Debian's f2fs-tools), or name a program: --make-file-system f2fs=FILE"
            }
        }
    }
}
