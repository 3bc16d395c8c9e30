//! What a new generation starts with whose profile is for one kernel: that kernel, and an initramfs whose init can read the profile. Where the
//! partition has both, they stay; where its initramfs is of no use to the profile, the installation is refused unless a new one may be made.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use boot_entry::paths;
use disk_image::{Content, DiskFile};
use installation::own_init;
use profiles::resolved::{BootProfile, KernelPin};
use profiles::{Digest, Name};

use super::installed::Installed;
use super::request::NewGeneration;
use super::target::Target;
use crate::disk::kernel::{BootFiles, InitramfsSource};
use crate::disk::made_files::{MadeFile, MadeFiles};
use crate::disk::pinned_kernel::{PinnedKernels, check};
use crate::error::{Error, Result};
use crate::store::Store;

const NEW_ONE: &str =
    "give the init of this version with `--init FILE`: a new initramfs takes its place for this generation";

/// What was asked for, and where things are.
#[derive(Debug)]
pub struct KernelChoice<'a> {
    /// The medium.
    pub target: &'a Target,
    /// What is on it.
    pub installed: &'a Installed,
    /// Where kernels are.
    pub store: &'a Store,
    /// Where initramfs files are that were made before.
    pub made: &'a MadeFiles,
    /// A kernel with its initramfs that was given.
    pub given: Option<&'a BootFiles>,
    /// The program that becomes /init of a new initramfs, in the place of what is there.
    pub init: Option<PathBuf>,
}

impl KernelChoice<'_> {
    /// The kernels of those new generations whose profile names one and which do not start with the given one.
    ///
    /// # Errors
    /// The given kernel is another one; no initramfs that is there, or given, boots the profile; a new one cannot be made.
    pub fn of_new(&self, new: &[NewGeneration]) -> Result<BTreeMap<Name, Rc<BootFiles>>> {
        let (mut own, mut pinned) = (BTreeMap::new(), PinnedKernels::default());
        for it in new {
            let Some(pin) = &it.contents.kernel else { continue };
            if let Some(given) = self.given {
                check_given(&it.contents, pin, given)?;
                continue;
            }
            let there = if self.init.is_some() { None } else { self.there(&it.contents, pin)? };
            let files = match there {
                Some(files) => Some(Rc::new(files)),
                None => pinned.of(&it.contents, self.store, &self.initramfs()?, self.made)?,
            };
            own.extend(files.map(|files| (it.profile.clone(), files)));
        }
        Ok(own)
    }

    /// The initramfs files of the partition that [`KernelChoice::of_new`] looks into: paths, each once. Of a disk that nobody mounted they have to
    /// be brought first, where they are copies without bytes until then.
    pub fn looked_into(installed: &Installed, new: &[NewGeneration]) -> BTreeSet<String> {
        let pinned = new.iter().filter_map(|it| it.contents.kernel.as_ref());
        let paths = pinned.flat_map(|pin| initrds_with(installed, pin)).map(|it| it.trim_start_matches('/'));
        paths.filter(|path| installed.esp.has_boot_file(path)).map(str::to_owned).collect()
    }

    fn initramfs(&self) -> Result<InitramfsSource> {
        let init = self.init.clone().or_else(own_init).ok_or_else(|| {
            Error::new("init", format!("{}, and an initramfs has to be made", installation::NOT_FOUND))
                .remedy("`make init` builds it; give it with `--init FILE`")
        })?;
        Ok(InitramfsSource::Made { init })
    }

    /// The kernel as the partition has it, with the initramfs of an entry that starts it; `None` where no entry does.
    fn there(&self, profile: &BootProfile, pin: &KernelPin) -> Result<Option<BootFiles>> {
        let mut refused = None;
        for initrd in initrds_with(self.installed, pin) {
            let place = self.target.esp.join(initrd.trim_start_matches('/'));
            let meant = paths::digest_of_boot_file(initrd);
            let Some(there) = whole(&place, meant)? else { continue };
            let name = format!("{initrd} on the ESP");
            match check(profile, &open(&there.on_disk(initrd.to_owned()))?, name, NEW_ONE) {
                Ok(()) => {
                    let path = self.store.require_kernel(pin)?;
                    let kernel = MadeFile::given(&path)?;
                    return Ok(Some(BootFiles::of(pin.release.as_str().to_owned(), kernel, there)));
                }
                Err(why) => refused = Some(why),
            }
        }
        refused.map_or(Ok(None), Err)
    }
}

/// The initramfs of each entry of the medium that starts this kernel. Further ones, as microcode, are somebody's own doing, and made for
/// that entry.
fn initrds_with<'a>(installed: &'a Installed, pin: &KernelPin) -> impl Iterator<Item = &'a str> + use<'a> {
    let linux = paths::linux(&pin.digest);
    installed.own_entries().filter_map(move |(_, entry)| match &entry.initrd[..] {
        [initrd] if entry.linux.trim_start_matches('/') == linux => Some(initrd.as_str()),
        _ => None,
    })
}

/// An initramfs of the partition. One that is gone or damaged is as good as none; of one that cannot be read nobody knows.
fn whole(place: &Path, meant: Option<Digest>) -> Result<Option<MadeFile>> {
    match MadeFile::given(place) {
        Ok(there) => Ok(Some(there).filter(|it| meant == Some(it.digest))),
        Err(error) => match error.system_said().map(|said| said.kind()) {
            None | Some(ErrorKind::NotFound) => Ok(None),
            Some(_) if error.known_remedy().is_some() => Err(error),
            Some(_) => Err(error.remedy(NEW_ONE)),
        },
    }
}

fn open(file: &DiskFile) -> Result<File> {
    match &file.content {
        Content::File(path, _) => File::open(path).map_err(Error::on(&file.path)),
        Content::Bytes(_) => Err(Error::new(&file.path, "is no file")),
    }
}

/// Refuses a given kernel that is not the one of the profile, and an initramfs that does not boot it.
fn check_given(profile: &BootProfile, pin: &KernelPin, given: &BootFiles) -> Result<()> {
    if given.linux.digest != Some(pin.digest) {
        let cause = format!(
            "is {}, and the profile {} is for {} ({})",
            given.release, profile.name, pin.release, pin.name
        );
        return Err(Error::new("--kernel", cause)
            .remedy("leave --kernel and --initramfs out: the profile brings its kernel; or take `kernel` out of the profile"));
    }
    let remedy =
        "make it with the `mkinitramfs` and the init of this version, or leave --kernel and --initramfs out";
    check(profile, &open(&given.initrd)?, "--initramfs", remedy)
}
