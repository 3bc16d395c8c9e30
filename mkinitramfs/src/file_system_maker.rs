//! The programs with which init makes the file system of a writable top at its first use, and checks it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use profiles::StateFileSystem;

use crate::contents::{Contents, Source};
use crate::elf::Linked;
use crate::host_file;
use crate::shared_libraries::{self, Library, Missing};
use fault::Error;

/// Where this machine has such programs.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin"];

/// What a program does for init.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Makes the file system on an empty device.
    Make,
    /// Checks it.
    Check,
}

/// A file system that init can make on an empty device, or check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSystemMaker {
    /// What the program is for.
    pub task: Task,
    /// Its kind; the kernel's driver goes into the initramfs too.
    pub kind: StateFileSystem,
    /// The program that does it, static or dynamic; this machine's own when it is not named.
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

/// Adds `sbin/mkfs.KIND` or `sbin/fsck.KIND` of each, where init looks for it (under the name `mkfs.ext4`, mke2fs(8) makes an ext4), with the loader and the
/// shared libraries of those that are dynamic. Returns the files.
///
/// # Errors
/// A program or one of its libraries is missing, or it is no program.
pub(crate) fn add(contents: &mut Contents, makers: &[FileSystemMaker]) -> Result<Vec<MakerFile>, Error> {
    let mut programs = Vec::new();
    let mut libraries = BTreeMap::new();
    for maker in makers {
        let (path, reason) = match maker.task {
            Task::Make => (format!("sbin/mkfs.{}", maker.kind), format!("makes {} for a state", maker.kind)),
            Task::Check => (format!("sbin/fsck.{}", maker.kind), format!("checks {} of a state", maker.kind)),
        };
        let (program, linked) = maker.read()?;
        if let Some(loader) = &linked.interpreter {
            maker.libraries(&program.path, &linked, loader, &mut libraries)?;
        }
        contents.add(&path, 0o755, Source::Bytes(program.bytes))?;
        programs.push(MakerFile { path, reason });
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
        let bytes = host_file::read(&path).map_err(Error::on(path.display()))?;
        let linked = Linked::read(&bytes).map_err(|cause| {
            Error::new(path.display(), cause).remedy("give the program itself, static or dynamic")
        })?;
        Ok((Library { path, needed_by: String::new(), bytes }, linked))
    }

    /// The program's name on this machine.
    fn name(&self) -> String {
        match (self.task, self.kind) {
            (Task::Make, kind) => format!("mkfs.{kind}"),
            (Task::Check, kind) => kind.top().checker.program.to_owned(),
        }
    }

    fn option(&self) -> &'static str {
        match self.task {
            Task::Make => "--make-file-system",
            Task::Check => "--check-file-system",
        }
    }

    fn find(&self) -> Result<PathBuf, Error> {
        let name = self.name();
        let paths = FOLDERS.map(|folder| Path::new(folder).join(&name));
        paths.into_iter().find(|path| path.is_file()).ok_or_else(|| {
            let cause = format!("this machine has no {name} in {}", FOLDERS.join(", "));
            Error::new(format!("{} {}", self.option(), self.kind), cause).remedy(self.remedy())
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

    fn remedy(&self) -> String {
        let (option, kind) = (self.option(), self.kind);
        let package = kind.file_system().package;
        let own = match (self.task, kind.top().maker.recipe) {
            (Task::Make, Some(recipe)) => format!(
                " ('lamina build {recipe}' makes a static one, and 'lamina image cat {recipe} usr/sbin/mkfs.{kind}' takes it out of its image)"
            ),
            _ => String::new(),
        };
        format!(
            "install it with all that it needs (Debian's {package}), or name a program: {option} {kind}=FILE{own}"
        )
    }
}
