//! The kernel that PID 1 runs on: each step of a plan as calls of the crate `stack`.
//!
//! | module | what it does |
//! |---|---|
//! | `images` | one image on its way to a layer |
//! | `mounts` | file systems, and the places where they are mounted |
//! | `at_fault` | which layer is at fault |

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use block_probe::image_kind::ImageKind;
use profiles::Verify;
use running::layer_devices::{LayerDevice, LayerDevices};
use stack::beneath::Folder;
use stack::image::OpenImage;
use stack::loop_device::LoopDevice;
use stack::mount::MountedLayer;
use stack::overlay::{Features, Overlay, UPPER, Upper, WORK};
use stack::verity::VerityDevice;

use crate::error::Failure;
use crate::memory::{Budget, LayerMemory, Part};
use crate::modules::{Modules, needs};
use crate::paths;
use crate::plan::executor::Kernel;
use crate::plan::{Above, BootStep, Image, Stage};
use crate::real_init;
use crate::real_init::read_init;
use crate::report::LayerFacts;
use crate::state;
use crate::store::Store;

mod at_fault;
mod images;
mod mounts;

pub use mounts::mount_at;

/// What carries out the steps of a boot. What one stage leaves to the next stands in maps, by the image's position in the stack.
#[derive(Debug, Default)]
pub struct RealKernel {
    /// The kernel modules of the initramfs.
    pub modules: Modules,
    /// What images are opened beneath.
    stores: Mutex<Vec<Arc<Folder>>>,
    /// Images that were checked before anything is done with one.
    checked: Mutex<BTreeMap<usize, Held>>,
    /// The layers that are mounted, with what was found of each.
    layers: Mutex<BTreeMap<usize, (LayerFacts, Option<MountedLayer>)>>,
    /// The devices of the layers, also of those that could not be mounted.
    devices: Mutex<BTreeMap<usize, LayerDevice>>,
    /// The memory that is left for layers.
    budget: Budget,
}

/// An image on its way to a layer, with the one descriptor that all of its steps use.
#[derive(Debug)]
pub struct Held {
    image: OpenImage,
    /// By the magic of the file; under dm-verity, by that of the checked blocks, which may be healed.
    kind: Option<ImageKind>,
    device: Option<LoopDevice>,
    verity: Option<VerityDevice>,
}

impl Kernel for RealKernel {
    type Lane = Option<Held>;

    fn begin(&self, stage: &Stage) {
        let steps = stage.lanes.iter().flatten();
        let images: Vec<&Arc<Image>> = steps
            .filter_map(|step| if let BootStep::MountLayer(image) = step { Some(image) } else { None })
            .collect();
        self.budget.begin(images.len(), || self.what_they_hold(&images));
    }

    fn carry_out(&self, step: &BootStep, lane: &mut Option<Held>) -> Result<(), Failure> {
        self.modules.want(|| super::needs::of_step(step));
        match step {
            BootStep::Mount(mount) => mounts::mount(mount),
            BootStep::Bind { source, target } => {
                mounts::make_folder(Path::new(target))?;
                Ok(stack::mount::bind(source, Path::new(target))?)
            }
            BootStep::OpenImage(image) => {
                *lane = Some(self.open(image)?);
                Ok(())
            }
            BootStep::CheckImage(image) => {
                self.held(image, lane)?.check(image)?;
                lock(&self.checked).extend(lane.take().map(|held| (image.position, held)));
                Ok(())
            }
            BootStep::AttachImage(image) => {
                let held = self.held(image, lane)?;
                let _promise = self.budget.promise(Part::Device)?;
                held.device = Some(self.attach(image, &held.image)?);
                Ok(())
            }
            BootStep::OpenVerity(image) => {
                let held = self.held(image, lane)?;
                let _promise = self.budget.promise(Part::Device)?;
                self.open_verity(image, held)
            }
            BootStep::MountLayer(image) => {
                let held = self.held(image, lane)?;
                let promise = self.budget.promise(Part::Mount(LayerMemory::of(&held.image, held.kind)))?;
                let (facts, mounted) = self.mount_layer(image, held)?;
                promise.mounted(image.position);
                put(&self.layers, image, (facts, Some(mounted)));
                Ok(())
            }
            BootStep::StackLayers { lower, above } => self.stack_layers(lower, *above),
            BootStep::MountPoints { writable } => mounts::mount_points(Path::new(paths::NEW_ROOT), *writable),
            BootStep::ProtectRoot => Ok(stack::mount::protect(Path::new(paths::NEW_ROOT))?),
            BootStep::ReadInit { init, layers } => read_init::read(Path::new(paths::NEW_ROOT), init)
                .map(drop)
                .map_err(|unreadable| at_fault::unreadable(&unreadable, layers)),
            BootStep::CheckInit(init) => real_init::check(Path::new(paths::NEW_ROOT), init),
        }
    }
}

impl RealKernel {
    /// What was found of the layer at this position.
    pub fn facts(&self, position: usize) -> Option<LayerFacts> {
        let mut facts = lock(&self.layers).get(&position).map(|(facts, _)| *facts)?;
        if let Some(known) = lock(&self.devices).get(&position) {
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
        stores.extend(store.folder());
    }

    /// The opened store that has the image.
    fn store_of(&self, image: &Image) -> io::Result<Arc<Folder>> {
        let stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        let found = stores.iter().find(|store| store.path() == &*image.store);
        found.cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn open_file(&self, image: &Image) -> stack::Result<OpenImage> {
        let store = self
            .store_of(image)
            .map_err(|error| stack::Error::new("open the image", image.path().display(), error))?;
        OpenImage::beneath(&store, image.file())
    }

    /// Whether images are mounted from their files: the kernel can do that with EROFS, when nothing checks it on the way. Guessed
    /// from the lowest, because stacks are seldom mixed: an image that is something else gets its device when it is mounted.
    pub fn mounts_from_files(&self, images: &[Arc<Image>]) -> bool {
        let lowest = images.first().filter(|image| image.profile.verify != Verify::Verity);
        let kind = lowest.and_then(|image| self.open_file(image).ok()?.file_system().ok());
        kind == Some(ImageKind::Erofs)
    }

    /// Lets go of everything, so that another profile can be tried.
    pub fn forget(&self) {
        lock(&self.checked).clear();
        lock(&self.layers).clear();
        lock(&self.devices).clear();
        self.budget.forget();
    }

    /// What the images hold, and whether the kernel makes one decompressor for each when it is asked to.
    fn what_they_hold(&self, images: &[&Arc<Image>]) -> (BTreeMap<usize, LayerMemory>, bool) {
        let checked = lock(&self.checked);
        let layer = |image: &Image| match checked.get(&image.position) {
            Some(held) => LayerMemory::of(&held.image, held.kind),
            // One that cannot be opened takes nothing: its own step says why.
            None => self.open_file(image).map_or(LayerMemory::NOTHING, |image| LayerMemory::of(&image, None)),
        };
        let wanted: BTreeMap<usize, LayerMemory> =
            images.iter().map(|image| (image.position, layer(image))).collect();
        let squashfs = wanted.values().any(|layer| matches!(layer, LayerMemory::Squashfs(_)));
        if squashfs {
            self.modules.want(|| needs::of_file_system(ImageKind::Squashfs.driver()));
        }
        (wanted, squashfs && stack::mount::squashfs_takes_threads())
    }

    /// What the step before, or the stage before, has left for this image.
    fn held<'a>(&self, image: &Image, lane: &'a mut Option<Held>) -> Result<&'a mut Held, Failure> {
        if lane.is_none() {
            *lane = lock(&self.checked).remove(&image.position);
        }
        lane.as_mut().ok_or_else(|| Failure::new("the stage before did not open or attach it"))
    }

    /// The mount of a layer, which stays at its place.
    fn let_go(&self, image: &Image) -> Option<MountedLayer> {
        lock(&self.layers).get_mut(&image.position)?.1.take()
    }

    fn stack_layers(&self, lower: &[Arc<Image>], above: Above) -> Result<(), Failure> {
        let new_root = Path::new(paths::NEW_ROOT);
        mounts::make_folder(new_root)?;
        let upper = (above != Above::Nothing).then(|| {
            let top = Path::new(paths::TOP);
            Upper { upper: top.join(UPPER), work: top.join(WORK) }
        });
        if let Some(Upper { upper, work }) = &upper {
            mounts::make_folder(upper)?;
            mounts::make_folder(work)?;
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
}

/// A poisoned lock means that another thread panicked, and the panic hook shows that; the map itself is whole.
fn lock<T>(map: &Mutex<BTreeMap<usize, T>>) -> MutexGuard<'_, BTreeMap<usize, T>> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

fn put<T>(map: &Mutex<BTreeMap<usize, T>>, image: &Image, value: T) {
    lock(map).insert(image.position, value);
}
