//! Additions of others: a folder with `files/`, `hooks/`, `modules` and `programs`, as docs/initramfs.md promises it.

mod hooks;
mod interpreters;
mod links;
mod tree;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use cli::numbers::count;
use kernel_package::KernelPackage;
use profiles::suggest;
use serde::Serialize;

use crate::contents::{Contents, Source};
use crate::host_file;
use crate::programs::{self, Libraries};
use fault::Error;
use hooks::Hook;

/// What a drop-in may have. A README is for people.
const PARTS: [&str; 4] = ["files", "hooks", "modules", "programs"];
const FOR_PEOPLE: [&str; 2] = ["README", "README.md"];
/// What is init's own, with all that is below; and what it mounts something over, so that nobody would see what lies there.
const INITS_OWN: [&str; 10] = [
    "dev",
    "etc/lamina",
    "init",
    "lamina",
    "lib/lamina/hooks",
    "lib/modules",
    "newroot",
    "proc",
    "run",
    "sys",
];

/// The drop-ins of an initramfs.
pub(crate) struct DropIns(Vec<DropIn>);

struct DropIn {
    folder: PathBuf,
    modules: Vec<Line>,
    programs: Vec<Line>,
    hooks: Vec<Hook>,
    has_files: bool,
}

/// A line of a list.
struct Line {
    /// `FOLDER/modules:3`
    place: String,
    text: String,
}

/// What a drop-in brought. Its Display is a line for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Added {
    /// The drop-in.
    pub folder: PathBuf,
    /// Files, folders and links out of its `files/`.
    pub files: usize,
    /// The kernel modules that it names.
    pub modules: Vec<String>,
    /// The programs that it names, by their paths in the initramfs.
    pub programs: Vec<String>,
    /// Its hooks, in the same way.
    pub hooks: Vec<String>,
}

impl DropIns {
    /// Reads the lists of all of them.
    ///
    /// # Errors
    /// One has nothing or something that is not known, or a line that is no name or path.
    pub(crate) fn read(folders: &[PathBuf]) -> Result<DropIns, Error> {
        folders.iter().map(|folder| DropIn::read(folder)).collect::<Result<_, _>>().map(DropIns)
    }

    /// The modules of `others` and of all drop-ins.
    ///
    /// # Errors
    /// The kernel does not have one of the drop-ins'.
    pub(crate) fn modules(&self, kernel: &KernelPackage, others: &[String]) -> Result<Vec<String>, Error> {
        let mut modules = others.to_owned();
        for Line { place, text } in self.0.iter().flat_map(|drop_in| &drop_in.modules) {
            let name = text.replace('-', "_");
            if kernel.module(&name).is_none() && !kernel.is_builtin(&name) {
                let cause = format!("the kernel {} has no module '{text}'", kernel.release());
                return Err(Error::new(place, cause).remedy("'modinfo FILE.ko' shows a module's name"));
            }
            modules.push(name);
        }
        Ok(modules)
    }

    /// Adds the files and programs of all drop-ins, behind everything else.
    ///
    /// # Errors
    /// A file cannot go in, is there already, or belongs to init; a program or one of its libraries is missing.
    pub(crate) fn add(
        &self,
        contents: &mut Contents,
        libraries: &mut Libraries,
    ) -> Result<Vec<Added>, Error> {
        let added = self.0.iter().map(|drop_in| drop_in.add(contents, libraries));
        let added = added.collect::<Result<Vec<_>, _>>()?;
        for (path, host) in self.0.iter().filter(|it| it.has_files).flat_map(|it| tree::links(&it.folder)) {
            links::end(contents, &path).map_err(|error| error.about(host.display()))?;
        }
        self.0.iter().try_for_each(|drop_in| hooks::check_interpreters(&drop_in.hooks, contents))?;
        Ok(added)
    }
}

impl DropIn {
    fn read(folder: &Path) -> Result<DropIn, Error> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).map_err(Error::on(folder.display()))? {
            let entry = entry.map_err(Error::on(folder.display()))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !FOR_PEOPLE.contains(&name.as_str()) {
                check_part(&entry.path(), &name)?;
                found.push(name);
            }
        }
        if found.is_empty() {
            return Err(Error::new(folder.display(), "is a drop-in with nothing in it").remedy(
                "it has the folders files and hooks, and the lists modules and programs, or one of them",
            ));
        }
        let list = |name: &str| match found.iter().any(|it| it == name) {
            true => lines(&folder.join(name)),
            false => Ok(Vec::new()),
        };
        let (modules, programs) = (list("modules")?, list("programs")?);
        modules.iter().try_for_each(check_module)?;
        programs.iter().try_for_each(check_program)?;
        let has = |part: &str| found.iter().any(|name| name == part);
        let hooks = if has("hooks") { hooks::read(folder)? } else { Vec::new() };
        Ok(DropIn { folder: folder.to_owned(), modules, programs, hooks, has_files: has("files") })
    }

    fn add(&self, contents: &mut Contents, libraries: &mut Libraries) -> Result<Added, Error> {
        let files = if self.has_files { tree::add(&self.folder, contents)? } else { 0 };
        let mut programs = Vec::new();
        for Line { place, text } in &self.programs {
            let host = Path::new(text);
            let path = text.trim_start_matches('/').to_owned();
            let remedy = "install it with all that it needs, or take the line away";
            let added = check_free(&path).and_then(|()| {
                let (bytes, linked) = programs::read(host)?;
                libraries.add(host, &linked, remedy)?;
                contents.add(&path, 0o755, Source::Bytes(bytes))
            });
            added.map_err(|error| error.about(place))?;
            programs.push(path);
        }
        let modules = self.modules.iter().map(|line| line.text.replace('-', "_")).collect();
        let hooks = hooks::add(&self.hooks, contents, libraries)?;
        Ok(Added { folder: self.folder.clone(), files, modules, programs, hooks })
    }
}

/// Whether something in a drop-in is one of its parts, and of the right kind.
fn check_part(path: &Path, name: &str) -> Result<(), Error> {
    if !PARTS.contains(&name) {
        return Err(
            Error::new(path.display(), "is no part of a drop-in").remedy(suggest::remedy(name, &PARTS))
        );
    }
    let kind = fs::symlink_metadata(path).map_err(Error::on(path.display()))?.file_type();
    match (name, kind.is_dir(), kind.is_file()) {
        ("files" | "hooks", true, _) | ("modules" | "programs", _, true) => Ok(()),
        ("files" | "hooks", ..) => Err(Error::new(path.display(), "is no folder")
            .remedy(format!("{name} is a folder; no link is followed"))),
        _ => Err(Error::new(path.display(), "is no regular file")
            .remedy("it is a list, one name a line; no link is followed")),
    }
}

/// One a line; `#` begins a comment.
fn lines(path: &Path) -> Result<Vec<Line>, Error> {
    let text = host_file::read_text(path).map_err(Error::on(path.display()))?;
    let lines = (1..).zip(text.lines()).map(|(number, line)| {
        let text = line.split('#').next().unwrap_or_default().trim().to_owned();
        Line { place: format!("{}:{number}", path.display()), text }
    });
    Ok(lines.filter(|line| !line.text.is_empty()).collect())
}

fn check_module(line: &Line) -> Result<(), Error> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    if line.text.chars().all(is_part) {
        return Ok(());
    }
    let cause = format!("'{}' is no name of a kernel module", line.text.escape_debug());
    Err(Error::new(&line.place, cause).remedy("write one name a line, as lsmod prints it, without .ko"))
}

fn check_program(line: &Line) -> Result<(), Error> {
    let is_plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(char::is_control);
    match line.text.strip_prefix('/') {
        Some(path) if path.split('/').all(is_plain) => Ok(()),
        _ => Err(Error::new(&line.place, format!("'{}' is no path of a program", line.text.escape_debug()))
            .remedy("write one path a line, from / on and without '..'")),
    }
}

/// Whether a path of the initramfs is not init's own.
fn check_free(path: &str) -> Result<(), Error> {
    let inside =
        |own: &&&str| path.strip_prefix(**own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    match INITS_OWN.iter().find(inside) {
        None => Ok(()),
        Some(own) => Err(Error::new(path, format!("/{own} of the initramfs belongs to init"))
            .remedy("put it elsewhere; modules of the kernel are named in the list modules")),
    }
}

impl fmt::Display for Added {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  drop-in {}: {}", self.folder.display(), count(self.files, "file"))?;
        let lists = [("modules", &self.modules), ("programs", &self.programs), ("hooks", &self.hooks)];
        let mut lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
        lists.try_for_each(|(name, list)| write!(f, ", {name} {}", list.join(" ")))
    }
}
