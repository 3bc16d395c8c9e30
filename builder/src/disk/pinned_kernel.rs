//! The kernels that profiles are for: each out of the store, with an initramfs that is made of the modules of the same profile.

use std::collections::BTreeMap;
use std::fs::File;
use std::rc::Rc;

use disk_image::DiskFile;
use profiles::Digest;
use profiles::resolved::{BootProfile, KernelPin};
use squashfs::UnpackOptions;

use super::contents::DiskGeneration;
use super::initramfs_facts::{describe, why_not};
use super::kernel::{BootFiles, InitramfsSource, mkinitramfs_from};
use super::made_files::{MadeFile, MadeFiles};
use crate::error::{Error, Result};
use crate::scratch::temporary::TemporaryFolder;
use crate::store::{Store, modules_name};

/// Kernels with their initramfs files, each made once, however many profiles share it.
#[derive(Debug, Default)]
pub struct PinnedKernels {
    /// By kernel and image of modules: one command takes all initramfs files from one source.
    made: BTreeMap<(Digest, Digest), Rc<BootFiles>>,
}

impl PinnedKernels {
    /// The kernel of a profile; `None` where it is for any.
    ///
    /// # Errors
    /// The kernel or its modules are not in the store, or damaged; the initramfs cannot be made, or a given one does not boot this profile.
    pub fn of(
        &mut self,
        profile: &BootProfile,
        store: &Store,
        initramfs: &InitramfsSource,
        made: &MadeFiles,
    ) -> Result<Option<Rc<BootFiles>>> {
        let Some(pin) = &profile.kernel else { return Ok(None) };
        let modules = modules_of(profile, pin)?;
        let files = match self.made.get(&(pin.digest, modules)) {
            Some(files) => files.clone(),
            None => {
                let files = Rc::new(boot_files(profile, (pin, modules), store, initramfs, made)?);
                self.made.insert((pin.digest, modules), files.clone());
                files
            }
        };
        if let InitramfsSource::File(path) = initramfs {
            let remedy = "leave --initramfs out, and one is made for the kernel of each profile";
            let file = File::open(path).map_err(Error::on(path.display()))?;
            check(profile, &file, path.display(), remedy)?;
        }
        Ok(Some(files))
    }
}

/// The kernels of a disk.
#[derive(Debug, Default)]
pub struct DiskKernels {
    /// What generations start with that are for any kernel.
    pub all: Option<BootFiles>,
    /// What others start with, by the digest of their profile.
    pub own: BTreeMap<Digest, Rc<BootFiles>>,
}

impl DiskKernels {
    /// What a generation starts with.
    ///
    /// # Errors
    /// It has none.
    pub fn of(&self, generation: &DiskGeneration) -> Result<&BootFiles> {
        let own = self.own.get(&generation.digest).map(Rc::as_ref);
        own.or(self.all.as_ref()).ok_or_else(|| {
            Error::new(format!("profile {}", generation.profile), "has no kernel")
                .remedy("give one with `--kernel`")
        })
    }

    /// Kernels and initramfs files, each once.
    pub fn files(&self) -> Vec<&DiskFile> {
        let mut files: Vec<&DiskFile> = Vec::new();
        for file in
            self.all.iter().chain(self.own.values().map(Rc::as_ref)).flat_map(|it| [&it.linux, &it.initrd])
        {
            if files.iter().all(|it| it.path != file.path) {
                files.push(file);
            }
        }
        files
    }
}

/// Refuses an initramfs, which is called so, whose init does not boot a profile.
///
/// # Errors
/// It would refuse the profile, with this remedy; or it cannot be read.
pub fn check(
    profile: &BootProfile,
    initramfs: &File,
    name: impl std::fmt::Display,
    remedy: &str,
) -> Result<()> {
    if profile.format() == 1 {
        // Every init boots it.
        return Ok(());
    }
    let description = describe(initramfs).map_err(Error::on(&name))?;
    match why_not(description.as_ref(), profile) {
        None => Ok(()),
        Some(why) => {
            let cause = format!("does not boot the profile {}: {why}", profile.name);
            Err(Error::new(name, cause).remedy(remedy))
        }
    }
}

/// The image of the profile that has the modules of its kernel: it is called after the kernel.
fn modules_of(profile: &BootProfile, pin: &KernelPin) -> Result<Digest> {
    let name = modules_name(&pin.name)?;
    let image = profile.images.iter().find(|it| it.name == name && it.version == pin.release.as_str());
    image.map(|image| image.digest).ok_or_else(|| {
        let cause = format!("has no image {name} {}, which the modules of its kernel are", pin.release);
        Error::new(format!("profile {}", profile.name), cause).remedy("run `lamina profile lock` again")
    })
}

fn boot_files(
    profile: &BootProfile,
    (pin, modules): (&KernelPin, Digest),
    store: &Store,
    initramfs: &InitramfsSource,
    made: &MadeFiles,
) -> Result<BootFiles> {
    let path = store.require_kernel(pin)?;
    let linux = MadeFile::new(stack::beneath::regular_file(&path).map_err(Error::on(path.display()))?)
        .map_err(Error::on(path.display()))?
        .kept(&path);
    if linux.digest != pin.digest {
        let cause = format!("its SHA-256 is {}: the file was changed or damaged", linux.digest.hex());
        return Err(Error::new(path.display(), cause)
            .remedy(format!("remove it, and `lamina kernel import` the package of {} again", pin.name)));
    }
    let initrd = match initramfs {
        InitramfsSource::File(path) => MadeFile::given(path)?,
        InitramfsSource::Made { init } => {
            let sources = ["lamina initramfs of modules 1".to_owned(), modules.to_string()];
            mkinitramfs_from(init, &sources, made, |run| {
                let verity = profile.images.iter().find(|it| it.digest == modules).and_then(|it| it.verity);
                let image = store.open_image(&modules, verity.as_ref())?;
                let folder = TemporaryFolder::make("modules")?;
                let root = folder.path().join("root");
                image.image().unpack(&root, &UnpackOptions::user()).map_err(Error::on(root.display()))?;
                run(&root)
            })?
        }
    };
    Ok(BootFiles::of(pin.release.as_str().to_owned(), linux, initrd))
}
