//! The crates of this repository, as cargo knows them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand, Package, TargetKind};

use crate::finding::Unreadable;

/// The crates of the workspace, by name.
#[derive(Debug)]
pub struct Workspace {
    /// The folder of the workspace: the root of the repository.
    pub root: PathBuf,
    /// All members, sorted by name.
    pub crates: Vec<Crate>,
}

/// A crate of ours.
#[derive(Debug, Clone)]
pub struct Crate {
    /// As in its manifest, with dashes.
    pub name: String,
    /// Its folder, relative to the repository: `crates/stack`.
    pub folder: String,
    /// Crates of ours that it is built with (normal and build dependencies).
    pub imports: BTreeSet<String>,
    /// Crates of ours that only its tests and benchmarks use.
    pub test_imports: BTreeSet<String>,
    /// Whether it makes a program.
    pub is_program: bool,
    /// The root files of its library, programs, tests and benchmarks, relative to the repository.
    pub roots: Vec<PathBuf>,
}

impl Workspace {
    /// Asks `cargo metadata` about the workspace around `folder`; that needs no network.
    pub fn read(folder: &Path) -> Result<Self, Unreadable> {
        let metadata = MetadataCommand::new().current_dir(folder).no_deps().exec();
        let metadata = metadata.map_err(|error| Unreadable::new("cargo metadata", error))?;
        let root = metadata.workspace_root.as_std_path().to_owned();
        let ours: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
        let mut crates: Vec<Crate> =
            metadata.packages.iter().map(|package| Crate::of(package, &root, &ours)).collect();
        crates.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Self { root, crates })
    }

    /// Whether there is a crate with this name.
    pub fn has(&self, name: &str) -> bool {
        self.crates.iter().any(|one| one.name == name)
    }
}

impl Crate {
    fn of(package: &Package, root: &Path, ours: &BTreeSet<&str>) -> Self {
        let of_kind = |kinds: &[DependencyKind]| {
            let wanted = package.dependencies.iter().filter(|one| kinds.contains(&one.kind));
            wanted.map(|one| one.name.clone()).filter(|name| ours.contains(name.as_str())).collect()
        };
        let relative = |path: &Path| path.strip_prefix(root).unwrap_or(path).to_owned();
        let manifest = relative(package.manifest_path.as_std_path());
        Self {
            name: package.name.to_string(),
            folder: manifest.parent().unwrap_or(Path::new("")).to_string_lossy().into_owned(),
            imports: of_kind(&[DependencyKind::Normal, DependencyKind::Build]),
            test_imports: of_kind(&[DependencyKind::Development]),
            is_program: package.targets.iter().any(|target| target.kind.contains(&TargetKind::Bin)),
            roots: package.targets.iter().map(|target| relative(target.src_path.as_std_path())).collect(),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Crates in folders of their names, each with its imports.
    pub fn workspace(crates: &[(&str, &[&str])]) -> Workspace {
        let of = |(name, imports): &(&str, &[&str])| Crate {
            name: (*name).to_owned(),
            folder: (*name).to_owned(),
            imports: imports.iter().map(|name| (*name).to_owned()).collect(),
            test_imports: BTreeSet::new(),
            is_program: false,
            roots: Vec::new(),
        };
        Workspace { root: PathBuf::from("/nowhere"), crates: crates.iter().map(of).collect() }
    }
}
