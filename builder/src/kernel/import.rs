//! A kernel out of its package into the store: the bootable file, and an image of all else that belongs to it.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZero;
use std::path::PathBuf;

use kernel_package::{KernelPackage, Module, relative};
use profiles::resolved::KernelPin;
use profiles::{Digest, Name};

use super::module_tree::{ModuleTree, depmod_version, is_index};
use crate::error::{Error, Result};
use crate::graph::package_id::TARGET;
use crate::image::format::ImageFormat;
use crate::scratch::Scratch;
use crate::store::{BuildRecord, KERNEL_LICENSE, KernelRecord, MadeImage, Store, modules_name};

/// Raised when the same package begins to give another image.
const FORMAT: u32 = 1;
/// What a folder of modules may have that no running system needs: links to sources, the kernel itself, which lies elsewhere, and what
/// debuggers read.
const LEFT_OUT: [&str; 4] = ["build", "source", "vmlinuz", "System.map"];

/// A kernel that was read, and is not in the store before [`Imported::publish`].
#[derive(Debug)]
pub struct Imported {
    /// What profiles mean by its name from then on.
    pub record: KernelRecord,
    /// The image of its modules and firmware.
    pub modules: BuildRecord,
    /// How many modules it has.
    pub count: usize,
    /// What is not in the image though it lies among modules or firmware, as sentences without a dot.
    pub missing: Vec<String>,
    /// The image itself, when the store has it not yet.
    made: Option<MadeImage>,
    scratch: Scratch,
}

impl Imported {
    /// Reads a kernel, and makes the image; `jobs` threads do not change its bytes.
    ///
    /// # Errors
    /// The package has no bootable file, or something that no kernel has; depmod is missing; the store cannot be written.
    pub fn read(
        package: &KernelPackage,
        name: &Name,
        store: &Store,
        jobs: NonZero<usize>,
    ) -> Result<Imported> {
        let modules_name = modules_name(name)?;
        let release = release_of(package)?;
        let scratch = store.scratch("kernel")?;
        let bytes = package.vmlinuz()?;
        let (digest, size) = (Digest::of_bytes(&bytes), bytes.len() as u64);
        if size == 0 {
            return Err(Error::new(package.path().display(), "its kernel has no bytes")
                .remedy("get the package again"));
        }
        let place = scratch.path().join("image");
        fs::write(&place, bytes).map_err(Error::on(place.display()))?;
        let mut tree = ModuleTree::new(store, &release)?;
        fill(&mut tree, package)?;
        let id = id(&modules_name, &tree)?;
        let (modules, made) = match store.finished_build(&id)? {
            Some(record) => (record, None),
            None => {
                tree.index().map_err(|error| error.about(package.path().display()))?;
                let version = release.as_str().to_owned();
                let record = BuildRecord::without_recipe(modules_name, version, id, KERNEL_LICENSE, TARGET);
                let made = store.make_image(tree.tree(|_| true)?, record, ImageFormat::PACKAGE, jobs)?;
                (made.record.clone(), Some(made))
            }
        };
        let pin = KernelPin { name: name.clone(), release, digest, size };
        let count = package.modules().len();
        let (record, missing) = (KernelRecord { pin, modules: id }, missing(package));
        Ok(Imported { record, modules, count, missing, made, scratch })
    }

    /// Puts it into the store. Gives what the name meant before.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn publish(&self, store: &Store) -> Result<Option<KernelRecord>> {
        // Nothing that has been put there goes before the record names it: `store gc` holds the store too.
        let _held = store.hold(store.root())?;
        // A damaged record is as good as none.
        let before = store.kernel(&self.record.pin.name).ok().flatten();
        match &self.made {
            Some(made) => store.publish_made(made)?,
            // It may have gone meanwhile.
            None => drop(store.modules_of(&self.record)?),
        }
        let image: PathBuf = self.scratch.path().join("image");
        store.publish_kernel(&image, &self.record)?;
        Ok(before)
    }
}

/// The release of a kernel, as profiles and depmod take it: this wants two numbers at its beginning (`is_version_number` of kmod's `depmod.c`).
fn release_of(package: &KernelPackage) -> Result<Name> {
    let release = package.release();
    let refused = |why: String| {
        let cause = format!("its release '{}': {why}", release.escape_debug());
        Error::new(package.path().display(), cause).remedy(
            "a kernel for profiles has a release of letters, digits and + - . _ that begins with two numbers, as 6.12",
        )
    };
    let name = Name::parse(release).map_err(|error| refused(error.to_string()))?;
    let is_number = |word: Option<&str>| word.is_some_and(|it| it.starts_with(|c: char| c.is_ascii_digit()));
    let mut words = release.splitn(2, '.');
    let major = words.next().filter(|it| it.bytes().all(|byte| byte.is_ascii_digit()));
    match is_number(major) && is_number(words.next()) {
        true => Ok(name),
        false => Err(refused("it begins with no two numbers".to_owned())),
    }
}

/// Names the package, and its file as it is called there, in place of the path that the file was to get.
fn of_file(package: &KernelPackage, path: &str) -> impl FnOnce(Error) -> Error {
    let object = format!("{}: {}", package.path().display(), path.escape_debug());
    move |error| match error.known_remedy().filter(|_| error.system_said().is_none()) {
        Some(remedy) => Error::new(object, error.cause().to_owned()).remedy(remedy),
        // What the store has no room for is no fault of a file.
        None => error,
    }
}

/// Modules without their compressors, what lies beside them, the configuration, and firmware. Indexes are made anew.
fn fill(tree: &mut ModuleTree, package: &KernelPackage) -> Result<()> {
    let folder = tree.folder();
    let modules: BTreeMap<&str, &Module> =
        package.modules().iter().map(|it| (it.file.as_str(), it)).collect();
    let in_modules = format!("lib/modules/{}/", package.release());
    let in_boot = format!("boot/config-{}", package.release());
    let is_index_there = |rest: &str| !rest.contains('/') && is_index(rest);
    let mut config = None;
    for path in package.paths() {
        if let Some(module) = modules.get(path) {
            let bytes = package.module_bytes(module)?;
            tree.add(&format!("{folder}/{}", module.path), &bytes).map_err(of_file(package, path))?;
            continue;
        }
        let inside = below_usr(path);
        if inside == in_boot {
            config = Some(path);
        } else if is_wanted(inside, &in_modules)
            && !inside.strip_prefix(&in_modules).is_some_and(is_index_there)
        {
            tree.add(&format!("usr/{inside}"), &package.read(path)?).map_err(of_file(package, path))?;
        }
    }
    let own = format!("{folder}/config");
    if let Some(path) = config.filter(|_| !tree.has(&own)) {
        tree.add(&own, &package.read(path)?).map_err(of_file(package, path))?;
    }
    package.links().try_for_each(|(path, to)| {
        let (inside, to) = (below_usr(path), below_usr(to));
        tree.add_link(&format!("usr/{inside}"), relative(inside, to)).map_err(of_file(package, path))
    })
}

/// A path of `lib`, in a system with one `/usr` and in one without.
fn below_usr(path: &str) -> &str {
    path.strip_prefix("usr/").unwrap_or(path)
}

/// Whether an image of modules has what lies there, of the folder of modules and of firmware; `inside` is a path [`below_usr`].
fn is_wanted(inside: &str, in_modules: &str) -> bool {
    let is_left_out = |rest: &str| LEFT_OUT.contains(&rest.split('/').next().unwrap_or_default());
    match inside.strip_prefix(in_modules) {
        Some(rest) => !is_left_out(rest),
        None => inside.starts_with("lib/firmware/"),
    }
}

/// What of its modules and firmware an image of the package does not have, with why: links that lead nowhere, and what is no file.
fn missing(package: &KernelPackage) -> Vec<String> {
    let in_modules = format!("lib/modules/{}/", package.release());
    let found = package.left_out().filter(|(path, _)| is_wanted(below_usr(path), &in_modules));
    found.map(|(path, why)| format!("{} {}", path.escape_debug(), why.escape_debug())).collect()
}

/// The SHA-256 of a text with a line for each thing that decides about the image.
fn id(name: &Name, tree: &ModuleTree) -> Result<Digest> {
    let text = format!(
        "lamina kernel modules {FORMAT}\nname {name}\nfolder {}\nimage {}\nindexes {}\n{}",
        tree.folder(),
        ImageFormat::PACKAGE,
        depmod_version()?,
        tree.lines()
    );
    Ok(Digest::of_bytes(text))
}
