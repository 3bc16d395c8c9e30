//! The kernel of a profile: found under the name that the profile gives, its modules as the bottom layer, and the indexes of all modules of
//! the stack as a small image of their own where several images have some.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::path::PathBuf;

use profiles::written::Composition;
use profiles::{Digest, Name, suggest};
use squashfs::{Image, Kind, Tree};

use crate::error::{Error, Result};
use crate::graph::package_id::TARGET;
use crate::image::format::ImageFormat;
use crate::kernel::module_tree::{
    self, MODULES, ModuleTree, ORDER, depmod_version, is_index, is_module, of_release,
};
use crate::stacking::joined::{Joined, Way};
use crate::stacking::{LayerPaths, Node};
use crate::store::{BuildRecord, INDEXES, KernelRecord, MadeImage, PROFILE_LICENSE, Store};

/// Raised when the same modules begin to give other indexes.
const FORMAT: u32 = 1;

/// The kernel that a profile names.
#[derive(Debug, Clone)]
pub struct ProfileKernel {
    /// What is pinned.
    pub record: KernelRecord,
    /// The image of its modules.
    pub modules: BuildRecord,
}

impl ProfileKernel {
    /// The kernel that the profile names, if it names one.
    ///
    /// # Errors
    /// No kernel was imported under this name; its record is damaged, or something of it is gone.
    pub fn of(composition: &Composition, store: &Store) -> Result<Option<ProfileKernel>> {
        let Some(wanted) = &composition.kernel else { return Ok(None) };
        let name = &wanted.name;
        let Some(record) = store.kernel(name)? else {
            let known = store.kernel_names()?;
            let known: Vec<&str> = known.iter().map(Name::as_str).collect();
            let bring = format!("`lamina kernel import KERNEL --name {name}` puts one into the store");
            let help = match known[..] {
                [] => bring,
                _ => format!("{}; or {bring}", suggest::remedy(name.as_str(), &known)),
            };
            return Err(Error::caused(
                "",
                wanted.span.error(format!("no kernel was imported as '{name}'"), help),
            ));
        };
        store.require_kernel(&record.pin)?;
        let modules = store.modules_of(&record)?;
        Ok(Some(ProfileKernel { record, modules }))
    }

    fn release(&self) -> &Name {
        &self.record.pin.release
    }
}

/// The layers of a stack, bottom first, and what can be added to it, with all their paths.
#[derive(Clone, Copy)]
pub struct Stack<'a> {
    /// Their records.
    pub records: &'a [&'a BuildRecord],
    /// Their images.
    pub images: &'a [&'a Image],
    /// Their paths; behind them, those of what can be added.
    pub contents: &'a [LayerPaths],
}

/// A small image above a stack, which makes its modules one set that `modprobe` finds.
#[derive(Debug)]
pub struct IndexImage {
    /// What it was made from.
    pub record: BuildRecord,
    /// The folder of the modules.
    folder: String,
    /// Whether it has indexes.
    merges: bool,
    /// The image itself, when the store has it not yet.
    made: Option<MadeImage>,
}

impl IndexImage {
    /// Makes it, where the stack needs one: several images have modules, or `lib/modules` does not lead to them.
    ///
    /// # Errors
    /// An image has modules for another kernel, or where no kernel of a profile has them; so has what can be added; depmod fails.
    pub fn make(
        composition: &Composition,
        kernel: &ProfileKernel,
        stack: Stack<'_>,
        (store, jobs): (&Store, NonZero<usize>),
    ) -> Result<Option<IndexImage>> {
        let with_modules = with_modules(composition, kernel, stack)?;
        let folder = format!("{MODULES}/{}", kernel.release());
        let link = link(stack.images, kernel.release()).map_err(Error::on(&folder))?;
        let merges = with_modules.len() > 1;
        if !merges && link.is_none() {
            return Ok(None);
        }
        let sources: Vec<usize> = if merges { with_modules } else { Vec::new() };
        let name = Name::parse(&format!("{INDEXES}{}", composition.name)).map_err(|error| {
            Error::caused(format!("profile {}", composition.name), error)
                .remedy("the image of its indexes is called module-indexes-NAME: give it a shorter name")
        })?;
        let layers: Vec<&BuildRecord> =
            sources.iter().filter_map(|it| stack.records.get(*it).copied()).collect();
        let record = build_record(name, &folder, &layers, link.as_ref())?;
        let (record, made) = match store.finished_build(&record.id)? {
            Some(record) => (record, None),
            None => {
                let images: Vec<&Image> =
                    sources.iter().filter_map(|it| stack.images.get(*it).copied()).collect();
                let made = merge(kernel.release(), &images, link, record, (store, jobs))?;
                (made.record.clone(), Some(made))
            }
        };
        Ok(Some(IndexImage { record, folder, merges, made }))
    }

    /// Whether a path that several layers have is one that this image has for all of them.
    pub fn settles(&self, path: &str) -> bool {
        let name = path.strip_prefix('/').and_then(|path| path.strip_prefix(&self.folder)?.strip_prefix('/'));
        self.merges && name.is_some_and(|name| is_index(name) || name == ORDER)
    }

    /// Where the image lies.
    pub fn path(&self, store: &Store) -> PathBuf {
        self.made.as_ref().map_or_else(|| store.image_path(&self.record.digest), MadeImage::path)
    }

    /// Puts it into the store.
    pub fn publish(&self, store: &Store) -> Result<()> {
        self.made.iter().try_for_each(|made| store.publish_made(made))
    }
}

/// The layers of the stack that have modules, by their places; all of them for this kernel.
fn with_modules(composition: &Composition, kernel: &ProfileKernel, stack: Stack<'_>) -> Result<Vec<usize>> {
    let (pin, mut found) = (&kernel.record.pin, Vec::new());
    let refused = |layer: &LayerPaths, why: String, remedy: &str| {
        Err(Error::new(format!("profile {}", composition.name), format!("the image {} {why}", layer.name))
            .remedy(remedy))
    };
    for (place, layer) in stack.contents.iter().enumerate() {
        let files =
            layer.paths.iter().filter(|(_, node)| *node == Node::Other).map(|(path, _)| path.as_slice());
        let modules: Vec<&[u8]> = files.filter(|path| is_module(path)).collect();
        let releases: BTreeSet<&[u8]> =
            modules.iter().filter_map(|path| of_release(path)).map(|it| it.0).collect();
        let others = releases.iter().filter(|it| **it != pin.release.as_str().as_bytes());
        let others: Vec<String> = others.map(|it| it.escape_ascii().to_string()).collect();
        if !others.is_empty() {
            let why = format!(
                "has modules for {}, and its kernel {} is {}",
                others.join(", "),
                pin.name,
                pin.release
            );
            return refused(layer, why, "build it for this kernel, or name the kernel that it was built for");
        }
        if releases.is_empty() {
            continue;
        }
        if modules.iter().any(|path| path.starts_with(b"lib/")) {
            let why = "has modules in lib/modules, and those of its kernel lie in usr/lib/modules".to_owned();
            return refused(layer, why, "install them to usr/lib/modules");
        }
        if place >= stack.records.len() {
            let why = "can be added and has modules, which no index of the stack would name".to_owned();
            return refused(layer, why, "move it from `optional` to `packages`");
        }
        found.push(place);
    }
    Ok(found)
}

/// The link that lets `lib/modules/RELEASE` lead to the modules, where it does not yet, and where it points.
fn link(images: &[&Image], release: &Name) -> Result<Option<(String, String)>, squashfs::Error> {
    let wanted = format!("lib/modules/{release}");
    let Way::Missing { path, rest } = Joined::new(images).follow(wanted.as_bytes())? else { return Ok(None) };
    let Ok(path) = String::from_utf8(path) else { return Ok(None) };
    let modules = format!("{MODULES}/{release}");
    let behind: usize = rest.iter().map(|name| name.len() + 1).sum();
    let to = modules.get(..modules.len().saturating_sub(behind)).unwrap_or(MODULES);
    Ok(Some((path.clone(), format!("{}{to}", "../".repeat(path.matches('/').count())))))
}

fn build_record(
    name: Name,
    folder: &str,
    layers: &[&BuildRecord],
    link: Option<&(String, String)>,
) -> Result<BuildRecord> {
    let mut text = format!(
        "lamina module indexes {FORMAT}\nname {name}\nfolder {folder}\nimage {}\n",
        ImageFormat::PACKAGE
    );
    if !layers.is_empty() {
        text += &format!("indexes {}\n", depmod_version()?);
    }
    for layer in layers {
        text += &format!("layer {} {} {}\n", layer.name, layer.id.hex(), layer.digest);
    }
    if let Some((path, to)) = link {
        text += &format!("link {path} {to}\n");
    }
    let id = Digest::of_bytes(text);
    Ok(BuildRecord {
        build_root: layers.iter().map(|it| it.as_dependency()).collect(),
        ..BuildRecord::without_recipe(name, FORMAT.to_string(), id, PROFILE_LICENSE, TARGET)
    })
}

/// Joins the modules of `images`, bottom first, and makes an image of their indexes.
fn merge(
    release: &Name,
    images: &[&Image],
    link: Option<(String, String)>,
    record: BuildRecord,
    (store, jobs): (&Store, NonZero<usize>),
) -> Result<MadeImage> {
    // The modules are read out of it while the image is written.
    let joined = (!images.is_empty()).then(|| join(release, images, store)).transpose()?;
    let mut tree = match &joined {
        Some(joined) => {
            let folder = format!("{}/", joined.folder());
            joined
                .tree(|path| path.strip_prefix(&folder).is_some_and(|name| is_index(name) || name == ORDER))?
        }
        None => Tree::new(),
    };
    if let Some((path, to)) = link {
        module_tree::insert_folders(&mut tree, &path)?;
        module_tree::insert(&mut tree, &path, Kind::Symlink(to.into_bytes()))?;
    }
    store.make_image(tree, record, ImageFormat::PACKAGE, jobs)
}

fn join(release: &Name, images: &[&Image], store: &Store) -> Result<ModuleTree> {
    let mut tree = ModuleTree::new(store, release)?;
    let folder = format!("{}/", tree.folder());
    let on = |path: &str| Error::on(path.to_owned());
    let (mut seen, mut order) = (BTreeMap::new(), Vec::new());
    for image in images {
        for item in image.walk() {
            let item = item.map_err(Error::on(&folder))?;
            let Ok(path) = String::from_utf8(item.path) else { continue };
            let Some(below) = path.strip_prefix(&folder) else { continue };
            match item.kind {
                Kind::File(_) if below == ORDER => {
                    order.extend(image.read(path.as_bytes()).map_err(on(&path))?)
                }
                // The upper one is seen, where the profile allows that.
                Kind::File(_) if !is_index(below) => _ = seen.insert(path, *image),
                _ => {}
            }
        }
    }
    tree.add(&format!("{folder}{ORDER}"), &order)?;
    for (path, image) in seen {
        tree.add(&path, &image.read(path.as_bytes()).map_err(on(&path))?)?;
    }
    tree.index().map_err(|error| error.about(tree.folder()))?;
    Ok(tree)
}
