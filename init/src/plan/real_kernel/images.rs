//! One image on its way to a layer: opened, checked, attached, mounted.

use std::io;

use block_probe::image_kind::ImageKind;
use profiles::{Digest, Verify};
use running::layer_devices::LayerDevice;
use stack::image::OpenImage;
use stack::loop_device::{LoopDevice, attach};
use stack::mount::{Backing, MountedLayer};
use stack::verity::{self, Protection, VerityDevice};

use super::at_fault;
use super::mounts::make_folder;
use super::{Held, RealKernel, put};
use crate::error::Failure;
use crate::modules::needs;
use crate::paths;
use crate::plan::Image;
use crate::plan::executor::processors;
use crate::priority;
use crate::report::LayerFacts;

impl Held {
    /// Compares its SHA-256.
    pub(super) fn check(&self, image: &Image) -> Result<(), Failure> {
        let found = Digest::from_bytes(self.image.digest(|_| ())?);
        let expected = image.wanted().digest;
        if found == expected {
            return Ok(());
        }
        Err(Failure::new(format!("the digest does not match: expected {expected}, found {found}"))
            .try_this("the image was damaged or changed: copy it to the medium again")
            .try_this("if that does not help, the medium itself may be failing"))
    }
}

impl RealKernel {
    pub(super) fn open(&self, image: &Image) -> Result<Held, Failure> {
        let open = self.open_file(image).map_err(|error| match error.cause.kind() {
            io::ErrorKind::NotFound => {
                Failure::new(format!("{}.sqfs is not in the store", image.wanted().digest.hex()))
                    .having_seen(self.images_beside(image))
                    .try_this(at_fault::how_to_have(image))
                    .try_this("or boot a profile that does not need it")
            }
            _ => error.into(),
        })?;
        let (expected, found) = (image.wanted().size, open.size());
        if found != expected {
            let how = if found < expected { "truncated" } else { "too long" };
            return Err(Failure::new(format!(
                "the image is {how}: expected {expected} bytes, found {found}"
            ))
            .try_this("copy the image to the medium again, and unmount the medium before you unplug it"));
        }
        let kind = match image.profile.verify {
            Verify::Verity => open.file_system().ok(),
            Verify::Digest | Verify::None => Some(open.file_system()?),
        };
        // EROFS has its tables in front, where its magic was just read.
        if kind != Some(ImageKind::Erofs) || image.profile.verify == Verify::Verity {
            open.read_ahead(image.wanted().verity.map_or(found, |verity| verity.length()));
        }
        Ok(Held { image: open, kind, device: None, verity: None })
    }

    fn images_beside(&self, image: &Image) -> Vec<String> {
        match self.store_of(image) {
            Ok(store) => at_fault::images_beside(&store, image.file()),
            Err(error) => vec![format!("{}: {error}", image.path().display())],
        }
    }

    pub(super) fn attach(&self, image: &Image, open: &OpenImage) -> Result<LoopDevice, Failure> {
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
                device: at_fault::device(number),
                backing: backing.map(at_fault::device),
            };
            put(&self.devices, image, layer);
        }
    }

    pub(super) fn open_verity(&self, image: &Image, held: &mut Held) -> Result<(), Failure> {
        let Some(wanted) = &image.wanted().verity else {
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
        let name = format!("lamina-{}", image.wanted().name);
        let verity = verity::open(device, &name, &protection)?;
        self.note_device(image, verity.number().ok(), Some(verity.backing()));
        held.kind = verity.file_system()?.or(held.kind);
        held.verity = Some(verity);
        // dm-verity holds it open from here on.
        held.device = None;
        Ok(())
    }

    /// The devices are let go at the end of the lane: the mount keeps them, and frees them when it ends.
    pub(super) fn mount_layer(
        &self,
        image: &Image,
        held: &mut Held,
    ) -> Result<(LayerFacts, MountedLayer), Failure> {
        let kind = match held.kind {
            Some(kind) => kind,
            None => held.image.file_system().map_err(|error| at_fault::refused_by_verity(error.into()))?,
        };
        self.modules.want(|| needs::of_file_system(kind.driver()));
        let mount = |backing: &Backing| {
            let decompressors =
                (kind == ImageKind::Squashfs).then(|| self.budget.decompressors(processors()));
            stack::mount::layer_with(kind, backing, held.image.path(), decompressors)
        };
        let mounted = match (&held.verity, &held.device) {
            (Some(verity), _) => {
                mount(&Backing::Verity(verity)).map_err(|error| at_fault::refused_by_verity(error.into()))?
            }
            (None, Some(device)) => mount(&Backing::Loop(device))?,
            (None, None) => match mount(&Backing::File(&held.image)) {
                Err(error) if error.is_unsupported() => {
                    // From here on this thread waits for a worker of the kernel.
                    priority::as_others();
                    let device = held.device.insert(self.attach(image, &held.image)?);
                    mount(&Backing::Loop(device))?
                }
                other => other?,
            },
        };
        let target = image.layer();
        make_folder(&target)?;
        mounted.show_at(&target)?;
        // What `mounts::mount_points` asks for first, in all layers.
        mounted.look_up(paths::MOVED[0].trim_start_matches('/'));
        let facts = LayerFacts {
            file_system: kind.driver(),
            corrects_errors: held.verity.as_ref().is_some_and(VerityDevice::corrects_errors),
            device: None,
            backing: None,
        };
        Ok((facts, mounted))
    }
}
