//! The executor's hands: each step of a plan as calls of the crate `stack`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use block_probe::image_kind::ImageKind;
use profiles::{Digest, Verify};
use running::layer_devices::{LayerDevice, LayerDevices};
use stack::beneath::Directory;
use stack::image::OpenImage;
use stack::loop_device::{LoopDevice, attach};
use stack::mount::{Attributes, Backing, Filesystem, MountedLayer};
use stack::overlay::{Features, Overlay, UPPER, Upper, WORK};
use stack::verity::{self, Protection, VerityDevice};

use crate::error::Failure;
use crate::memory::{Budget, Layer, Part};
use crate::modules::{Modules, needs};
use crate::paths;
use crate::plan::executor::{Kernel, processors};
use crate::plan::{Above, Image, Mount, Stage, Step};
use crate::real_init;
use crate::real_init::read_init;
use crate::report::LayerFacts;
use crate::state;
use crate::store::Store;

mod layers;

/// The machine that PID 1 runs on. Between the steps of an image it holds, by the image's name, the one descriptor that
/// all of them use.
#[derive(Debug, Default)]
pub struct Machine {
    /// The kernel modules of the initramfs.
    pub modules: Modules,
    /// What images are opened beneath.
    stores: Mutex<Vec<Arc<Directory>>>,
    held: Mutex<BTreeMap<String, Held>>,
    /// The layers that are mounted, with what was found of each.
    layers: Mutex<BTreeMap<String, (LayerFacts, Option<MountedLayer>)>>,
    /// The devices of the layers, also of those that could not be mounted.
    devices: Mutex<BTreeMap<String, LayerDevice>>,
    /// The memory that is left for layers.
    budget: Budget,
}

/// An image on its way to a layer.
#[derive(Debug)]
struct Held {
    image: OpenImage,
    /// By the magic of the file; under dm-verity, by that of the checked blocks, which may be healed.
    kind: Option<ImageKind>,
    device: Option<LoopDevice>,
    verity: Option<VerityDevice>,
}

impl Kernel for Machine {
    fn begin(&self, stage: &Stage) {
        let steps = stage.lanes.iter().flatten();
        let images: Vec<&Arc<Image>> = steps
            .filter_map(|step| if let Step::MountLayer(image) = step { Some(image) } else { None })
            .collect();
        self.budget.begin(images.len(), || self.what_they_hold(&images));
    }

    fn carry_out(&self, step: &Step) -> Result<(), Failure> {
        self.modules.want(|| super::needs::of_step(step));
        match step {
            Step::Mount(mount) => self::mount(mount),
            Step::Bind { source, target } => {
                make_folder(Path::new(target))?;
                Ok(stack::mount::bind(source, Path::new(target))?)
            }
            Step::OpenImage(image) => {
                put(&self.held, image, self.open(image)?);
                Ok(())
            }
            Step::CheckImage(image) => self.with(image, |held| check(image, &held.image)),
            Step::AttachImage(image) => self.with(image, |held| {
                let _promise = self.budget.promise(Part::Device)?;
                held.device = Some(self.attach(image, &held.image)?);
                Ok(())
            }),
            Step::OpenVerity(image) => self.with(image, |held| {
                let _promise = self.budget.promise(Part::Device)?;
                self.open_verity(image, held)
            }),
            Step::MountLayer(image) => {
                let held = take(&self.held, image)?;
                let promise = self.budget.promise(Part::Mount(Layer::of(&held.image, held.kind)))?;
                let (facts, mounted) = self.mount_layer(image, held)?;
                promise.mounted(image.wanted.name.as_str());
                put(&self.layers, image, (facts, Some(mounted)));
                Ok(())
            }
            Step::StackLayers { lower, above } => self.stack_layers(lower, *above),
            Step::MountPoints { writable } => mount_points(Path::new(paths::NEW_ROOT), *writable),
            Step::ProtectRoot => Ok(stack::mount::protect(Path::new(paths::NEW_ROOT))?),
            Step::ReadInit { init, layers } => read_init::read(Path::new(paths::NEW_ROOT), init)
                .map(drop)
                .map_err(|unreadable| layers::unreadable(&unreadable, layers)),
            Step::CheckInit(init) => real_init::check(Path::new(paths::NEW_ROOT), init),
        }
    }
}

impl Machine {
    /// What was found of a layer.
    pub fn facts(&self, name: &str) -> Option<LayerFacts> {
        let mut facts = lock(&self.layers).get(name).map(|(facts, _)| *facts)?;
        if let Some(known) = lock(&self.devices).get(name) {
            (facts.device, facts.backing) = (Some(known.device), known.backing);
        }
        Some(facts)
    }

    /// The devices of all images that were attached.
    pub fn layer_devices(&self) -> LayerDevices {
        let mut devices: Vec<LayerDevice> = lock(&self.devices).values().cloned().collect();
        devices.sort_by_key(|layer| (layer.device.major, layer.device.minor));
        LayerDevices(devices)
    }

    /// Images of this store may be opened from now on.
    pub fn reads_from(&self, store: &Store) {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        stores.extend(store.directory());
    }

    /// The opened store that has the image, and the image's name in it.
    fn store_of<'a>(&self, image: &'a Image) -> io::Result<(Arc<Directory>, &'a Path)> {
        let stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        let within =
            |store: &Arc<Directory>| Some((store.clone(), image.path.strip_prefix(store.path()).ok()?));
        stores.iter().find_map(within).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn open_file(&self, image: &Image) -> stack::Result<OpenImage> {
        let (store, name) = self
            .store_of(image)
            .map_err(|error| stack::Error::new("open the image", image.path.display(), error))?;
        OpenImage::beneath(&store, name)
    }

    /// Whether images are mounted from their files: the kernel can do that with EROFS, when nothing checks it on the way. Guessed
    /// from the lowest, because stacks are seldom mixed: an image that is something else gets its device when it is mounted.
    pub fn mounts_from_files(&self, images: &[Arc<Image>]) -> bool {
        let lowest = images.first().filter(|image| image.verify != Verify::Verity);
        let kind = lowest.and_then(|image| self.open_file(image).ok()?.file_system().ok());
        kind == Some(ImageKind::Erofs)
    }

    /// Lets go of everything, so that another profile can be tried.
    pub fn forget(&self) {
        lock(&self.held).clear();
        lock(&self.layers).clear();
        lock(&self.devices).clear();
        self.budget.forget();
    }

    /// What the images hold, and whether the kernel makes one decompressor for each when it is asked to.
    fn what_they_hold(&self, images: &[&Arc<Image>]) -> (BTreeMap<String, Layer>, bool) {
        let held = lock(&self.held);
        let layer = |image: &Image| match held.get(image.wanted.name.as_str()) {
            Some(held) => Layer::of(&held.image, held.kind),
            // One that cannot be opened takes nothing: its own step says why.
            None => self.open_file(image).map_or(Layer::NOTHING, |image| Layer::of(&image, None)),
        };
        let wanted: BTreeMap<String, Layer> =
            images.iter().map(|image| (image.wanted.name.to_string(), layer(image))).collect();
        let squashfs = wanted.values().any(|layer| matches!(layer, Layer::Squashfs(_)));
        if squashfs {
            self.modules.want(|| needs::of_file_system(ImageKind::Squashfs.driver()));
        }
        (wanted, squashfs && stack::mount::squashfs_takes_threads())
    }

    fn open(&self, image: &Image) -> Result<Held, Failure> {
        let open = self.open_file(image).map_err(|error| match error.cause.kind() {
            io::ErrorKind::NotFound => {
                Failure::new(format!("{}.sqfs is not in the store", image.wanted.digest.hex()))
                    .having_seen(self.images_beside(image))
                    .try_this(layers::how_to_have(image))
                    .try_this("or boot a profile that does not need it")
            }
            _ => error.into(),
        })?;
        let (expected, found) = (image.wanted.size, open.size());
        if found != expected {
            let how = if found < expected { "truncated" } else { "too long" };
            return Err(Failure::new(format!(
                "the image is {how}: expected {expected} bytes, found {found}"
            ))
            .try_this("copy the image to the medium again, and unmount the medium before you unplug it"));
        }
        let kind = match image.verify {
            Verify::Verity => open.file_system().ok(),
            Verify::Digest | Verify::None => Some(open.file_system()?),
        };
        // EROFS has its tables in front, where its magic was just read.
        if kind != Some(ImageKind::Erofs) || image.verify == Verify::Verity {
            open.read_ahead(image.wanted.verity.map_or(found, |verity| verity.length()));
        }
        Ok(Held { image: open, kind, device: None, verity: None })
    }

    fn images_beside(&self, image: &Image) -> Vec<String> {
        match self.store_of(image) {
            Ok((store, name)) => layers::images_beside(&store, name),
            Err(error) => vec![format!("{}: {error}", image.path.display())],
        }
    }

    /// Takes the image out, so that several are worked on at the same time, and puts it back for the next step.
    fn with(
        &self,
        image: &Image,
        action: impl FnOnce(&mut Held) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut held = take(&self.held, image)?;
        action(&mut held)?;
        put(&self.held, image, held);
        Ok(())
    }

    /// The mount of a layer, which stays at its place.
    fn let_go(&self, image: &Image) -> Option<MountedLayer> {
        lock(&self.layers).get_mut(image.wanted.name.as_str())?.1.take()
    }

    fn stack_layers(&self, lower: &[Arc<Image>], above: Above) -> Result<(), Failure> {
        let new_root = Path::new(paths::NEW_ROOT);
        make_folder(new_root)?;
        let upper = (above != Above::Nothing).then(|| {
            let top = Path::new(paths::TOP);
            Upper { upper: top.join(UPPER), work: top.join(WORK) }
        });
        if let Some(Upper { upper, work }) = &upper {
            make_folder(upper)?;
            make_folder(work)?;
            if let Some(highest) = lower.last() {
                let is_tmpfs = above == Above::FreshTop;
                state::fresh::give_attributes(&highest.layer(), Path::new(paths::TOP), is_tmpfs)?;
            }
        }
        let features = if above == Above::KeptTop { Features::AllOff } else { Features::KernelDefault };
        let overlay = Overlay {
            lower: lower.iter().map(|image| image.layer()).collect(),
            upper,
            userxattr: false,
            features,
        };
        let mounted: Vec<MountedLayer> = lower.iter().map_while(|image| self.let_go(image)).collect();
        let mounts: Vec<BorrowedFd<'_>> = mounted.iter().map(AsFd::as_fd).collect();
        Ok(overlay.mount_open(&mounts, new_root)?)
    }

    fn attach(&self, image: &Image, open: &OpenImage) -> Result<LoopDevice, Failure> {
        self.modules.want(needs::of_loop_devices);
        let device = attach(open)?;
        self.note_device(image, device.number().ok(), None);
        Ok(device)
    }

    /// Notes which device the kernel means when it speaks of this image.
    fn note_device(&self, image: &Image, number: Option<u64>, backing: Option<u64>) {
        if let Some(number) = number {
            let layer = LayerDevice {
                layer: image.to_string(),
                device: layers::device(number),
                backing: backing.map(layers::device),
            };
            put(&self.devices, image, layer);
        }
    }

    fn open_verity(&self, image: &Image, held: &mut Held) -> Result<(), Failure> {
        let Some(wanted) = &image.wanted.verity else {
            return Err(
                Failure::new("the profile has no root hash for it").try_this("lock the profile again")
            );
        };
        let device = held.device.as_ref().ok_or_else(|| Failure::new("it has no loop device"))?;
        let protection = Protection {
            root_hash: *wanted.root_hash.bytes(),
            salt: *wanted.salt.bytes(),
            data_blocks: wanted.data_blocks,
            fec_roots: wanted.fec_roots,
        };
        // By the layer's name, which is in the stack once: two layers may have the same bytes.
        let name = format!("lamina-{}", image.wanted.name);
        let verity = verity::open(device, &name, &protection)?;
        self.note_device(image, verity.number().ok(), Some(verity.backing()));
        held.kind = verity.file_system()?.or(held.kind);
        held.verity = Some(verity);
        // dm-verity holds it open from here on.
        held.device = None;
        Ok(())
    }

    /// The devices are let go at the end: the mount keeps them, and frees them when it ends.
    fn mount_layer(&self, image: &Image, mut held: Held) -> Result<(LayerFacts, MountedLayer), Failure> {
        let path = held.image.path().to_owned();
        let kind = match held.kind {
            Some(kind) => kind,
            None => held.image.file_system().map_err(|error| layers::refused_by_verity(error.into()))?,
        };
        self.modules.want(|| needs::of_file_system(kind.driver()));
        let mount = |backing: &Backing| {
            let decompressors =
                (kind == ImageKind::Squashfs).then(|| self.budget.decompressors(processors()));
            stack::mount::layer_with(kind, backing, &path, decompressors)
        };
        let mounted = match (&held.verity, &held.device) {
            (Some(verity), _) => {
                mount(&Backing::Verity(verity)).map_err(|error| layers::refused_by_verity(error.into()))?
            }
            (None, Some(device)) => mount(&Backing::Loop(device))?,
            (None, None) => match mount(&Backing::File(&held.image)) {
                Err(error) if error.is_unsupported() => {
                    let device = held.device.insert(self.attach(image, &held.image)?);
                    mount(&Backing::Loop(device))?
                }
                other => other?,
            },
        };
        let target = image.layer();
        make_folder(&target)?;
        mounted.show_at(&target)?;
        let facts = LayerFacts {
            file_system: kind.driver(),
            corrects_errors: held.verity.as_ref().is_some_and(VerityDevice::corrects_errors),
            device: None,
            backing: None,
        };
        Ok((facts, mounted))
    }
}

/// A poisoned lock means that another thread panicked, and the panic hook shows that; the map itself is whole.
fn lock<T>(map: &Mutex<BTreeMap<String, T>>) -> MutexGuard<'_, BTreeMap<String, T>> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an earlier stage has left for this image.
fn take<T>(map: &Mutex<BTreeMap<String, T>>, image: &Image) -> Result<T, Failure> {
    lock(map)
        .remove(image.wanted.name.as_str())
        .ok_or_else(|| Failure::new("the stage before did not open or attach it"))
}

fn put<T>(map: &Mutex<BTreeMap<String, T>>, image: &Image, value: T) {
    lock(map).insert(image.wanted.name.to_string(), value);
}

fn make_folder(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(|error| Failure::new(format!("cannot make {}: {error}", path.display())))
}

fn mount(mount: &Mount) -> Result<(), Failure> {
    let target = Path::new(mount.target);
    make_folder(target)?;
    if paths::MOVED.contains(&mount.target) && is_mount_point(target) {
        return Ok(());
    }
    let mut attributes = Attributes::empty();
    let (mut options, mut flags) = (Vec::new(), Vec::new());
    for option in &mount.options {
        match (option.as_str(), option.split_once('=')) {
            (_, Some(pair)) => options.push(pair),
            ("nosuid", _) => attributes |= Attributes::MOUNT_ATTR_NOSUID,
            ("nodev", _) => attributes |= Attributes::MOUNT_ATTR_NODEV,
            ("noexec", _) => attributes |= Attributes::MOUNT_ATTR_NOEXEC,
            ("strictatime", _) => attributes |= Attributes::MOUNT_ATTR_STRICTATIME,
            // Of the file system and of the mount, so that neither writes.
            ("ro", _) => {
                attributes |= Attributes::MOUNT_ATTR_RDONLY;
                flags.push("ro");
            }
            (flag, _) => flags.push(flag),
        }
    }
    let (kind, source) = (mount.kind, mount.source.as_str());
    Ok(Filesystem { kind, source, options: &options, flags: &flags, attributes }.mount(target)?)
}

/// The kernel or a container may have mounted it before us.
fn is_mount_point(path: &Path) -> bool {
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    device(path) != device(Path::new("/"))
}

fn check(image: &Image, open: &OpenImage) -> Result<(), Failure> {
    let found = Digest::from_bytes(open.digest(|_| ())?);
    let expected = image.wanted.digest;
    if found == expected {
        return Ok(());
    }
    Err(Failure::new(format!("the digest does not match: expected {expected}, found {found}"))
        .try_this("the image was damaged or changed: copy it to the medium again")
        .try_this("if that does not help, the medium itself may be failing"))
}

fn mount_points(root: &Path, writable: bool) -> Result<(), Failure> {
    let mut missing = Vec::new();
    for name in paths::MOVED {
        let path = root.join(name.trim_start_matches('/'));
        // Not followed: a link would lead into the initramfs, and the mount with it.
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => {
                return Err(Failure::new(format!("{name} of the stack is not a folder"))
                    .try_this(format!("make {name} an empty folder in the image that has it")));
            }
            Err(_) if writable => make_folder(&path)?,
            Err(_) => missing.push(name),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("the stack has no folder {}, and it is read-only", missing.join(", ")))
        .try_this("add an image that has it, such as base-files, or give the root a writable top"))
}

#[cfg(test)]
mod tests;
