//! What of a medium is copied, as files.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use boot_entry::{MenuRequest, names, paths};
use boot_ledger::{Generation, Ledger};
use boot_store::{BootStore, layout};
use disk_image::{Content, DiskFile, Identity, PartitionKind};
use profiles::Name;
use profiles::resolved::ImageRef;
use stack::beneath::Folder;

use crate::disk::contents::slots;
use crate::disk::planned::names_partition;
use crate::error::{Error, Result, beneath};
use crate::medium::contents::InstalledGeneration;
use crate::system::installed::Installed;
use crate::system::menu::{self, Shown};
use crate::system::request::Request;
use crate::system::target::Target;

/// What belongs to the medium, and is another one on the copy.
const OF_THE_MEDIUM: [&str; 3] = [names::STORE, names::STATE, names::DIR];
/// More of a loader is not read, in bytes.
pub(super) const MOST_OF_LOADER: u64 = 64 << 20;

/// The generations of a medium that are copied.
#[derive(Debug, Clone)]
pub struct CopiedGenerations<'a> {
    /// The first one boots by itself.
    pub generations: Vec<&'a InstalledGeneration>,
    rescue: Option<Name>,
}

/// Chooses generations: the one that runs, or else the one that boots by itself, the last good one of its profile, and the rescue; or all.
///
/// # Errors
/// Nobody knows which; one of them cannot boot.
pub fn choose(installed: &Installed, all: bool) -> Result<CopiedGenerations<'_>> {
    let running = installed.medium.generations.iter().find(|it| installed.medium.is_running(it));
    let first = running.or_else(|| installed.default_generation()).ok_or_else(|| {
        Error::new(
            "system",
            "no generation of this medium runs or boots by itself: nobody knows which is meant",
        )
        .remedy("`lamina system default NAME` lets one boot by itself")
    })?;
    let whole: Vec<&InstalledGeneration> =
        installed.medium.generations.iter().filter(|it| installed.is_whole(it)).collect();
    let is = |it: &InstalledGeneration, other: &InstalledGeneration| {
        it.profile == other.profile && it.number == other.number
    };
    if !whole.iter().any(|it| is(it, first)) {
        return Err(Error::new(
            first.label(),
            "cannot be copied: it cannot be read, or an image or the kernel of it is missing",
        )
        .remedy("`lamina system install` brings it again; `lamina system default` chooses another one"));
    }
    let shown: Vec<Shown<'_>> = whole.iter().filter_map(|it| shown(it)).collect();
    let rescue = menu::rescue_of(installed, &shown);
    let newest_rescue = whole.iter().find(|it| Some(&it.profile) == rescue.as_ref());
    let is_chosen = |it: &InstalledGeneration| {
        all || (it.profile == first.profile && installed.medium.is_last_good(it))
            || newest_rescue.is_some_and(|rescue| is(it, rescue))
    };
    let others = whole.iter().copied().filter(|it| !is(it, first) && is_chosen(it));
    Ok(CopiedGenerations { generations: std::iter::once(first).chain(others).collect(), rescue })
}

fn shown(generation: &InstalledGeneration) -> Option<Shown<'_>> {
    let contents = generation.contents.as_ref().ok()?;
    let digest = generation.digest?;
    Some(Shown { profile: &generation.profile, number: generation.number, digest, contents, new: false })
}

impl CopiedGenerations<'_> {
    /// The images that they need, each once.
    pub fn images(&self) -> Vec<&ImageRef> {
        let mut seen = BTreeSet::new();
        self.generations.iter().flat_map(|it| it.images()).filter(|it| seen.insert(it.digest)).collect()
    }

    /// Their menu on a disk with this identity. With a state, what may lose its changes keeps them there.
    ///
    /// # Errors
    /// No entry says how they are booted.
    pub fn menu(&self, installed: &Installed, identity: &Identity, state: bool) -> Result<MenuRequest> {
        let store = names_partition(names::STORE, PartitionKind::Store, identity)?;
        let kept = names_partition(names::STATE, PartitionKind::State, identity)?;
        let mut all: Vec<Shown<'_>> = self.generations.iter().filter_map(|it| shown(it)).collect();
        all.sort_by(|a, b| (a.profile.as_str(), b.number).cmp(&(b.profile.as_str(), a.number)));
        let mut wanted = menu::wanted(installed, &Request::default(), &all)?;
        wanted.rescue = self.rescue.clone();
        for generation in wanted.profiles.iter_mut().flatten() {
            let is_it = |it: &&Shown<'_>| *it.profile == generation.profile && it.number == generation.number;
            let takes = all.iter().find(is_it).is_some_and(|it| it.contents.takes_a_state());
            let has_state = state && takes && Some(&generation.profile) != self.rescue.as_ref();
            generation.parameters.retain(|it| !OF_THE_MEDIUM.contains(&it.name()));
            generation.parameters.insert(0, store.clone());
            generation.parameters.extend(has_state.then(|| kept.clone()));
        }
        Ok(wanted)
    }

    /// Whether an entry of the medium keeps changes on it.
    pub fn has_state(&self, installed: &Installed) -> bool {
        let entries = self.generations.iter().filter_map(|it| installed.entry_of(it)?.entry.as_ref().ok());
        entries.flat_map(|it| &it.options).any(|it| it.name() == names::STATE)
    }

    /// The files of the store's partition: images, then profiles with their signatures, and slots that know what was good.
    ///
    /// # Errors
    /// The store cannot be read; there is no room for temporary files.
    pub fn store(&self, target: &Target, installed: &Installed) -> Result<Vec<DiskFile>> {
        let at = |inside: PathBuf| Path::new(layout::DEFAULT_FOLDER).join(inside).display().to_string();
        let mut files = Vec::new();
        for image in self.images() {
            let inside = layout::image(&image.digest);
            let content = Content::File(target.store.join(&inside), image.size);
            files.push(DiskFile { path: at(inside), content, digest: Some(image.digest) });
        }
        let store = BootStore::open(&target.store, Path::new("")).map_err(Error::on(&target.name))?;
        let mut ledger = Ledger::default();
        for generation in &self.generations {
            let path = layout::profile(&generation.profile, generation.number);
            let stored = store.profile(&generation.profile, generation.number);
            let stored = stored.map_err(beneath(path.display()))?;
            if let Some(signature) = &generation.signature {
                let path = layout::signature_of(&path);
                let text = signature.clone().map_err(|why| {
                    Error::new(path.display(), format!("{why}: the copy would not be signed"))
                        .remedy("look at the kernel's log for errors of the medium; do it as root")
                })?;
                files.push(DiskFile::bytes(at(path), text));
            }
            if generation.kept {
                files.push(DiskFile::bytes(at(layout::kept_mark_of(&path)), ""));
            }
            let digest = Some(stored.digest);
            files.push(DiskFile { digest, ..DiskFile::bytes(at(path), stored.bytes) });
            if installed.medium.is_last_good(generation) {
                let good = Generation { number: generation.number, digest: stored.digest };
                ledger.bless(&generation.profile, &good);
            }
        }
        files.extend(slots(Some(&ledger))?);
        Ok(files)
    }

    /// The kernels and initramfs files that a menu names.
    ///
    /// # Errors
    /// One is missing.
    pub fn boot_files(&self, target: &Target, menu: &MenuRequest) -> Result<Vec<DiskFile>> {
        let esp = Folder::open(&target.esp, Path::new("")).map_err(Error::on(target.esp.display()))?;
        let file = |path: String| {
            let found = esp.file(Path::new(&path)).and_then(|file| file.metadata());
            let length = found.map_err(beneath(format!("{path} on the EFI system partition")))?.len();
            let digest = paths::digest_of_boot_file(&path);
            Ok(DiskFile { content: Content::File(target.esp.join(&path), length), path, digest })
        };
        boot_paths(menu).into_iter().map(file).collect()
    }
}

/// The paths of the kernels and initramfs files that a menu names, each once, without a `/` in front.
pub fn boot_paths(menu: &MenuRequest) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let started = menu.profiles.iter().flatten().map(|it| &it.started_with);
    let paths = started.flat_map(|it| std::iter::once(&it.linux).chain(&it.initrd));
    let plain = paths.map(|path| path.trim_start_matches('/').to_owned());
    plain.filter(|path| seen.insert(path.clone())).collect()
}

/// What UEFI starts on the medium; `None` where it has no such program.
///
/// # Errors
/// It cannot be read, or is too large.
pub fn uefi_program(target: &Target) -> Result<Option<Vec<u8>>> {
    let esp = Folder::open(&target.esp, Path::new("")).map_err(Error::on(target.esp.display()))?;
    let path = paths::UEFI_PROGRAM;
    let file = match esp.file(Path::new(path)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(beneath(path))?,
    };
    let mut bytes = Vec::new();
    file.take(MOST_OF_LOADER + 1).read_to_end(&mut bytes).map_err(Error::on(path))?;
    match bytes.len() as u64 > MOST_OF_LOADER {
        true => {
            Err(Error::new(path, "is too large for a loader").remedy("`lamina disk inspect` looks at it"))
        }
        false => Ok(Some(bytes)),
    }
}

/// Whether a program of UEFI is systemd-boot, which reads entries of the Boot Loader Specification: it says so for bootctl(1).
pub fn is_systemd_boot(program: &[u8]) -> bool {
    const MARK: &[u8] = b"#### LoaderInfo: systemd-boot ";
    program.windows(MARK.len()).any(|bytes| bytes == MARK)
}

/// An identity that no other disk has: a copy of a copy has another one too.
///
/// # Errors
/// The kernel gives no random number.
pub fn new_identity() -> Result<Identity> {
    let path = "/proc/sys/kernel/random/uuid";
    let random = fs::read_to_string(path).map_err(Error::on(path))?;
    Ok(Identity::of(["lamina copy 1", random.trim()]))
}
