//! The modules of one program or library: which there are, what each defines, imports and names.
//!
//! What is only compiled for tests (`#[cfg(test)]`, `#[test]`) is left out: a test module may look at everything.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use syn::{Expr, Item, ItemMod, Lit, Meta};

use crate::finding::Unreadable;
use crate::paths::{self, Definition, Import, Mention};

/// All modules below one root file. The first is the root itself.
#[derive(Debug, Default)]
pub struct Modules {
    all: Vec<Module>,
}

/// The place of a module in [`Modules`].
pub type Id = usize;

/// One module.
#[derive(Debug)]
pub struct Module {
    /// Its name; of a root, the name of the file.
    pub name: String,
    /// The module it is declared in.
    pub parent: Option<Id>,
    /// The file it is written in, relative to the repository.
    pub file: PathBuf,
    /// The modules that it declares.
    pub children: BTreeMap<String, Id>,
    /// The items that it defines.
    pub defined: BTreeMap<String, Definition>,
    /// The names that it imports, whether for itself or for others.
    pub imports: BTreeMap<String, Import>,
    /// The paths before each `::*`.
    pub globs: Vec<Vec<String>>,
    /// Every path that its code names.
    pub mentions: Vec<Mention>,
}

impl Modules {
    /// Reads the module in the file `root_file`, and all that it declares. Paths are relative to the folder `repository`.
    pub fn read(repository: &Path, root_file: &Path) -> Result<Self, Unreadable> {
        let mut modules = Self::default();
        let name = root_file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let folder = root_file.parent().unwrap_or(Path::new("")).to_owned();
        modules.read_file(repository, &name, None, root_file, &folder)?;
        Ok(modules)
    }

    /// The module `id`.
    pub fn get(&self, id: Id) -> &Module {
        &self.all[id]
    }

    /// All modules.
    pub fn ids(&self) -> std::ops::Range<Id> {
        0..self.all.len()
    }

    /// From the root down to the module itself.
    pub fn line_of(&self, id: Id) -> Vec<Id> {
        let mut line: Vec<Id> = std::iter::successors(Some(id), |id| self.all[*id].parent).collect();
        line.reverse();
        line
    }

    /// `folder` is where the files of the modules that it declares are.
    fn read_file(
        &mut self,
        repository: &Path,
        name: &str,
        parent: Option<Id>,
        file: &Path,
        folder: &Path,
    ) -> Result<Id, Unreadable> {
        let text = fs::read_to_string(repository.join(file))
            .map_err(|error| Unreadable::new(file.display(), error))?;
        let parsed = syn::parse_file(&text).map_err(|error| {
            Unreadable::new(format!("{}:{}", file.display(), error.span().start().line), error)
        })?;
        self.add(repository, name, parent, file, folder, &parsed.items)
    }

    fn add(
        &mut self,
        repository: &Path,
        name: &str,
        parent: Option<Id>,
        file: &Path,
        folder: &Path,
        items: &[Item],
    ) -> Result<Id, Unreadable> {
        let id = self.all.len();
        let found = paths::find(items);
        self.all.push(Module {
            name: name.to_owned(),
            parent,
            file: file.to_owned(),
            children: BTreeMap::new(),
            defined: found.defined,
            imports: found.imports,
            globs: found.globs,
            mentions: found.mentions,
        });
        for item in items {
            if let Item::Mod(declared) = item
                && !paths::only_for_tests(&declared.attrs)
            {
                let name = declared.ident.to_string();
                let child = self.declared(repository, &name, id, file, folder, declared)?;
                self.all[id].children.insert(name, child);
            }
        }
        Ok(id)
    }

    fn declared(
        &mut self,
        repository: &Path,
        name: &str,
        parent: Id,
        file: &Path,
        folder: &Path,
        declared: &ItemMod,
    ) -> Result<Id, Unreadable> {
        if let Some((_, items)) = &declared.content {
            return self.add(repository, name, Some(parent), file, &folder.join(name), items);
        }
        // The Rust reference, "The path attribute": relative to the folder of the file that has it.
        let told =
            path_attribute(declared).map(|path| normal(&file.parent().unwrap_or(Path::new("")).join(path)));
        let flat = folder.join(format!("{name}.rs"));
        let own_folder = folder.join(name).join("mod.rs");
        match told {
            Some(path) => {
                let folder = path.parent().unwrap_or(Path::new("")).to_owned();
                self.read_file(repository, name, Some(parent), &path, &folder)
            }
            None if repository.join(&flat).exists() => {
                self.read_file(repository, name, Some(parent), &flat, &folder.join(name))
            }
            None => self.read_file(repository, name, Some(parent), &own_folder, &folder.join(name)),
        }
    }
}

fn path_attribute(declared: &ItemMod) -> Option<String> {
    declared.attrs.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(text) => Some(text.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    })
}

/// Without `..`, so that a file has one name.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        if part.as_os_str() == ".." {
            normal.pop();
        } else {
            normal.push(part);
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(files: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let modules = Modules::read(folder.path(), Path::new(files[0].0)).unwrap();
        let name = |id: &Id| modules.get(*id).name.clone();
        modules.ids().map(|id| modules.line_of(id).iter().map(name).collect::<Vec<_>>().join("::")).collect()
    }

    #[test]
    fn modules_are_found_where_rust_looks_for_them() {
        let files = [
            ("src/lib.rs", "mod flat; mod folder; mod inline { mod inner; }"),
            ("src/flat.rs", "mod below;"),
            ("src/flat/below.rs", ""),
            ("src/folder/mod.rs", "#[path = \"../elsewhere.rs\"] mod told;"),
            ("src/elsewhere.rs", ""),
            ("src/inline/inner.rs", ""),
        ];
        let expected =
            ["lib", "lib::flat", "lib::flat::below", "lib::folder", "lib::folder::told", "lib::inline"];
        assert_eq!(names(&files)[..6], expected);
        assert_eq!(names(&files)[6], "lib::inline::inner");
    }

    #[test]
    fn test_modules_are_left_out() {
        let files = [("lib.rs", "#[cfg(test)] mod tests; #[cfg(all(test, unix))] mod more; mod a {}")];
        assert_eq!(names(&files), ["lib", "lib::a"]);
    }
}
