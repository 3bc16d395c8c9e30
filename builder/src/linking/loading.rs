//! One program, or one library that something opens while it runs, with all that its loader would load, in the loader's order.

use elf_linkage::Kind;

use super::facts::ElfFile;
use super::finding::Missing;
use super::loader::{Loader, in_place};
use super::tree::{Found, Here, Tree, View};

/// The layers that a loader finds, and where it looks.
pub(super) struct Surroundings<'t, 'a> {
    pub(super) tree: &'t Tree<'a>,
    pub(super) view: View,
    pub(super) loader: Loader,
    /// Where it looks at last.
    pub(super) usual: Vec<String>,
}

/// A file that is loaded.
pub(super) struct Object<'a> {
    pub(super) file: &'a ElfFile,
    pub(super) layer: usize,
    /// The folder that `$ORIGIN` means, with a leading slash.
    folder: String,
    /// The name by which it was found.
    name: Option<String>,
    /// The object that needed it first.
    by: Option<usize>,
}

impl Object<'_> {
    fn is(&self, name: &str) -> bool {
        self.name.as_deref() == Some(name) || self.file.linkage.soname.as_deref() == Some(name)
    }
}

/// Something that was not found.
pub(super) struct Gap {
    /// The object that needs it.
    pub(super) object: usize,
    pub(super) missing: Missing,
    /// What was found in its place, and cannot be used.
    pub(super) instead: Option<String>,
}

/// All that was loaded, the first one first.
pub(super) struct Loading<'t, 'a> {
    pub(super) objects: Vec<Object<'a>>,
    pub(super) gaps: Vec<Gap>,
    around: &'t Surroundings<'t, 'a>,
}

impl<'t, 'a> Loading<'t, 'a> {
    /// Loads `file` and all that it needs; `interpreter` is its loader, where it has one and that is there.
    pub(super) fn of(
        around: &'t Surroundings<'t, 'a>,
        (file, layer): (&'a ElfFile, usize),
        interpreter: Option<Found<'a>>,
    ) -> Self {
        let mut loading = Loading { objects: Vec::new(), gaps: Vec::new(), around };
        loading.add(file, layer, None, folder_of(&file.path), None);
        if let Some(Found { here: Here::Elf(found), layer }) = interpreter {
            let path = file.linkage.interpreter.as_deref().unwrap_or_default();
            let name = path.rsplit('/').next().map(str::to_owned);
            loading.add(found, layer, name, folder_of(path.trim_start_matches('/')), Some(0));
        }
        let mut next = 0;
        while next < loading.objects.len() {
            loading.load_needed_by(next);
            next += 1;
        }
        if around.loader.compares_versions() {
            (0..loading.objects.len()).for_each(|object| loading.compare_versions(object));
        }
        loading
    }

    fn add(
        &mut self,
        file: &'a ElfFile,
        layer: usize,
        name: Option<String>,
        folder: String,
        by: Option<usize>,
    ) {
        // The same file under another name is loaded once.
        if self.objects.iter().all(|object| !std::ptr::eq(object.file, file)) {
            self.objects.push(Object { file, layer, folder, name, by });
        }
    }

    fn load_needed_by(&mut self, object: usize) {
        let file = self.objects[object].file;
        for name in &file.linkage.needed {
            if self.around.loader.is(name) || self.objects.iter().any(|loaded| loaded.is(name)) {
                continue;
            }
            let mut instead = None;
            match self.look_for(object, name, &mut instead) {
                Some((found, layer, folder)) => {
                    self.add(found, layer, Some(name.clone()), folder, Some(object))
                }
                // From where a program is started nobody knows.
                None if name.contains('/') && !name.starts_with('/') => {}
                None => self.gaps.push(Gap { object, missing: Missing::Library(name.clone()), instead }),
            }
        }
    }

    /// The first file that the loader takes, its layer, and the folder in which it was found.
    fn look_for(
        &self,
        object: usize,
        name: &str,
        instead: &mut Option<String>,
    ) -> Option<(&'a ElfFile, usize, String)> {
        if name.contains('/') {
            let (folder, _) = name.rsplit_once('/')?;
            return self
                .library(name, instead)
                .ok()
                .flatten()
                .map(|(file, layer)| (file, layer, folder.to_owned()));
        }
        for folder in self.folders(object) {
            match self.library(&format!("{folder}/{name}"), instead) {
                Ok(Some((file, layer))) => return Some((file, layer, folder)),
                Ok(None) => {}
                Err(Unusable) => return None,
            }
        }
        None
    }

    /// The library at a path; an error where the loader looks no further.
    fn library(
        &self,
        path: &str,
        instead: &mut Option<String>,
    ) -> Result<Option<(&'a ElfFile, usize)>, Unusable> {
        let Some(Found { here, layer }) = self.around.tree.follow(self.around.view, path) else {
            return Ok(None);
        };
        let why = match here {
            Here::Elf(file) if file.is_ours() && file.linkage.kind == Kind::Shared => {
                return Ok(Some((file, layer)));
            }
            Here::Elf(file) if file.is_ours() => "is no library".to_owned(),
            Here::Elf(_) => "is for another machine".to_owned(),
            Here::Broken(why) => why.to_owned(),
            Here::Folder | Here::Link(_) | Here::Other => return Ok(None),
        };
        instead.get_or_insert(format!("{path} {why}"));
        // glibc passes over files for other machines alone.
        match (self.around.loader, here) {
            (Loader::Glibc, Here::Elf(file)) if !file.is_ours() => Ok(None),
            _ => Err(Unusable),
        }
    }

    /// Where the loader looks for what this object needs, in its order.
    fn folders(&self, object: usize) -> Vec<String> {
        let mut folders = Vec::new();
        let mut take = |from: &Object<'_>, list: &[String]| {
            folders.extend(list.iter().flat_map(|folder| in_place(folder, &from.folder)));
        };
        let own = &self.objects[object];
        let linkage = &own.file.linkage;
        match self.around.loader {
            Loader::Glibc if !linkage.runpath.is_empty() => take(own, &linkage.runpath),
            Loader::Glibc => {
                for above in self.chain(object).filter(|above| above.file.linkage.runpath.is_empty()) {
                    take(above, &above.file.linkage.rpath);
                }
            }
            Loader::Musl => {
                for above in self.chain(object) {
                    let linkage = &above.file.linkage;
                    let list = if linkage.runpath.is_empty() { &linkage.rpath } else { &linkage.runpath };
                    take(above, list);
                }
            }
        }
        if !(linkage.no_usual_folders && self.around.loader == Loader::Glibc) {
            folders.extend(self.around.usual.iter().cloned());
        }
        folders
    }

    /// The object, what needed it, and so on up to the program.
    fn chain(&self, object: usize) -> impl Iterator<Item = &Object<'a>> {
        let first = self.objects.get(object);
        std::iter::successors(first, |object| object.by.and_then(|by| self.objects.get(by)))
    }

    fn compare_versions(&mut self, object: usize) {
        let file = self.objects[object].file;
        for needed in file.linkage.needed_versions.iter().filter(|needed| !needed.weak) {
            let Some(library) = self.objects.iter().find(|loaded| loaded.is(&needed.library)) else {
                continue;
            };
            let linkage = &library.file.linkage;
            let why = match &linkage.defined_versions {
                Some(versions) if versions.contains(&needed.version) => continue,
                Some(_) => "does not define it",
                // It may say that its symbols have no version: they are taken then, with a warning of the loader.
                None if linkage.versioned => continue,
                None => "has symbols without versions",
            };
            let missing =
                Missing::Version { library: needed.library.clone(), version: needed.version.clone() };
            let instead = Some(format!("/{} {why}", library.file.path));
            self.gaps.push(Gap { object, missing, instead });
        }
    }
}

/// The loader gives up here.
struct Unusable;

/// The folder of a path without a leading slash, with one.
fn folder_of(path: &str) -> String {
    format!("/{}", path.rsplit_once('/').map_or("", |(folder, _)| folder))
}
