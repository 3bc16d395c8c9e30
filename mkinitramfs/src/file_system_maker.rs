//! The programs with which init makes the file system of a writable top at its first use, and checks it.

use std::path::PathBuf;

use profiles::StateFileSystem;

use crate::contents::{Contents, Source};
use crate::programs::{self, FOLDERS, Libraries, MakerFile};
use fault::Error;

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

/// Adds `sbin/mkfs.KIND` or `sbin/fsck.KIND` of each, where init looks for it (under the name `mkfs.ext4`, mke2fs(8) makes an ext4), and the loader and the
/// shared libraries of those that are dynamic to `libraries`. Returns the programs.
///
/// # Errors
/// A program or one of its libraries is missing, or it is no program.
pub(crate) fn add(
    contents: &mut Contents,
    makers: &[FileSystemMaker],
    libraries: &mut Libraries,
) -> Result<Vec<MakerFile>, Error> {
    let mut programs = Vec::new();
    for maker in makers {
        let (path, reason) = match maker.task {
            Task::Make => (format!("sbin/mkfs.{}", maker.kind), format!("makes {} for a state", maker.kind)),
            Task::Check => (format!("sbin/fsck.{}", maker.kind), format!("checks {} of a state", maker.kind)),
        };
        let program = maker.program.clone().map_or_else(|| maker.find(), Ok)?;
        let (bytes, linked) = programs::read(&program)?;
        libraries.add(&program, &linked, &maker.remedy())?;
        contents.add(&path, 0o755, Source::Bytes(bytes))?;
        programs.push(MakerFile { path, reason });
    }
    Ok(programs)
}

impl FileSystemMaker {
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
        programs::find(&name).ok_or_else(|| {
            let cause = format!("this machine has no {name} in {}", FOLDERS.join(", "));
            Error::new(format!("{} {}", self.option(), self.kind), cause).remedy(self.remedy())
        })
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
