//! What is asked for, with what has to be read of the store for it.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::rc::Rc;

use boot_entry::{Choice, Parameter};
use boot_store::layout;
use disk_image::DiskFile;
use profiles::resolved::BootProfile;
use profiles::{Digest, Name};
use verified_store::LockedProfile;

use super::installed::Installed;
use super::target::Target;
use crate::disk::kernel::BootFiles;
use crate::error::{Error, Result};
use crate::medium::MediumImage;
use crate::medium::contents::InstalledGeneration;
use crate::store::{Store, generations};

/// A generation that comes onto the medium.
#[derive(Debug, Clone)]
pub struct NewGeneration {
    /// The profile.
    pub profile: Name,
    /// The number that it has on the medium.
    pub number: u64,
    /// Its file.
    pub bytes: Vec<u8>,
    /// SHA-256 of that.
    pub digest: Digest,
    /// What it says.
    pub contents: BootProfile,
    /// The text of its signature.
    pub signature: Option<Vec<u8>>,
    /// The images that it stacks or may stack, each once, with package and version.
    pub images: Vec<(MediumImage, String)>,
}

/// What is to become of a medium.
#[derive(Debug, Default)]
pub struct Request {
    /// What comes.
    pub new: Vec<NewGeneration>,
    /// What they are started with, where that is not what is there already.
    pub kernel: Option<BootFiles>,
    /// The same of those whose profile is for one kernel, by profile.
    pub own: BTreeMap<Name, Rc<BootFiles>>,
    /// Further parameters of their entries.
    pub parameters: Vec<Parameter>,
    /// What boots by itself from then on; `None`: what does now.
    pub default: Option<(Name, u64)>,
    /// How loaders find that; `None`: as they do now.
    pub choice: Option<Choice>,
    /// The profile that comes up when nothing else does; `None`: which it is now.
    pub rescue: Option<Name>,
    /// Of which profiles older generations go, and how many stay; `None`: nothing goes.
    pub keep: Option<(Vec<Name>, NonZero<usize>)>,
}

impl Request {
    /// The generations that come.
    pub(super) fn coming(&self) -> Vec<(Name, u64)> {
        self.new.iter().map(|it| (it.profile.clone(), it.number)).collect()
    }

    /// What a new generation of a profile is started with, where that is not what is there already.
    pub fn kernel_of(&self, profile: &Name) -> Option<&BootFiles> {
        self.own.get(profile).map(Rc::as_ref).or(self.kernel.as_ref())
    }

    /// All kernels and initramfs files that it brings, each once.
    pub fn boot_files(&self) -> BTreeMap<&str, &DiskFile> {
        let all = self.kernel.iter().chain(self.own.values().map(Rc::as_ref));
        all.flat_map(|it| [&it.linux, &it.initrd]).map(|file| (file.path.as_str(), file)).collect()
    }
}

impl NewGeneration {
    /// The newest generation of a profile in the store, with a number of the medium.
    ///
    /// # Errors
    /// It was never locked, or cannot be read; its signature is for something else, or for a number that the medium has no place for.
    pub fn newest(
        store: &Store,
        target: &Target,
        installed: &Installed,
        profile: &Name,
    ) -> Result<NewGeneration> {
        let locked = generations::newest_locked(store, profile)?;
        let mut images = BTreeMap::new();
        for image in locked.profile.all_images() {
            let on_medium = target.store.join(layout::image(&image.digest));
            let files = (store.require_image(profile, image)?, on_medium);
            let what = format!("{} {}", image.name, image.version);
            images.insert(image.digest, (MediumImage { files, wanted: image.clone() }, what));
        }
        locked.own_signature()?;
        let LockedProfile { stored, profile: contents, signature } = locked;
        let signature = signature.map(String::into_bytes);
        let (bytes, digest) = (stored.bytes, stored.digest);
        let number = number_on(installed, profile, &digest, stored.generation, signature.is_some())?;
        let (profile, images) = (profile.clone(), images.into_values().collect());
        Ok(NewGeneration { profile, number, bytes, digest, contents, signature, images })
    }
}

/// The number that a generation of the store has on a medium: that of the newest there, where it has the same bytes; else its own, where that
/// is the highest there; else the next one. A signature holds for one number alone.
fn number_on(
    installed: &Installed,
    profile: &Name,
    digest: &Digest,
    number: u64,
    signed: bool,
) -> Result<u64> {
    let is_it = |it: &&InstalledGeneration| it.digest == Some(*digest) && (!signed || it.number == number);
    if let Some(newest) = installed.medium.of(profile).next().filter(is_it) {
        return Ok(newest.number);
    }
    let others = installed.medium.of(profile).filter(|it| it.number != number || !installed.is_left_over(it));
    let others = others.map(|it| it.number).chain(installed.medium.numbers_in_the_way(profile));
    let highest = others.max().unwrap_or(0);
    if number > highest {
        return Ok(number);
    }
    let cause = match highest.checked_add(1) {
        Some(next) if !signed => return Ok(next),
        Some(_) => format!(
            "generation {number} is signed, and the medium has generation {highest} already: init boots the highest number, and a signature \
             holds for one number"
        ),
        None => format!("the medium has generation {highest} already, and no number is higher"),
    };
    Err(Error::new(format!("profile {profile}"), cause).remedy(format!(
        "use the store that the medium was made from, or remove profiles/{profile}/{highest}.kdl from the medium"
    )))
}
