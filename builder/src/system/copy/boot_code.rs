//! What a BIOS starts on the disk of a medium, for a copy that a BIOS starts too.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use boot_entry::paths;
use disk_image::PartitionKind;
use disk_image::bios::BootCode;
use disk_image::read::DiskReader;
use nix::sys::stat::{major, minor};

use crate::error::{Error, Result};
use crate::system::esp::Grub;
use crate::system::target::Target;

/// The number of the EFI system partition in the name by which GRUB's core finds its menu, on a disk that a BIOS starts.
const ESP_NUMBER: u32 = 2;
const DAMAGED: &str = "`lamina disk inspect` says what is damaged; `lamina disk create` makes a disk that a BIOS starts; nothing is to be done \
where UEFI starts the copy";

/// What there is, or why a copy goes without what there seems to be.
#[derive(Debug, Default)]
pub(super) struct OfBios {
    pub(super) code: Option<BootCode>,
    pub(super) left_out: Option<Error>,
}

impl OfBios {
    fn left_out(object: impl std::fmt::Display, why: &str, remedy: &str) -> OfBios {
        let cause = format!("{why}: what a BIOS starts is not copied, and no BIOS starts the copy");
        OfBios { code: None, left_out: Some(Error::new(object, cause).remedy(remedy)) }
    }
}

/// Looks at the disk of a medium, whose GRUB shows this; nothing of a disk for UEFI alone.
///
/// # Errors
/// The disk may not be looked at, or cannot be read.
pub(super) fn of(target: &Target, grub: &Grub) -> Result<OfBios> {
    let disk = target.disk.clone().or_else(|| disk_of(&target.store));
    match grub {
        Grub::Shows(_) | Grub::Nothing => {}
        Grub::Absent => return Ok(without_menu(disk, "is missing")),
        Grub::Other(_) => {
            return Ok(without_menu(disk, "was written by somebody else and says nothing of the copy"));
        }
    }
    let Some(path) = disk else {
        let why = "is a folder of no disk that is known";
        let remedy = "give the image or the device of its disk with `--disk FILE`; nothing is to be done where UEFI starts the copy";
        return Ok(OfBios::left_out(&target.name, why, remedy));
    };
    let file = File::open(&path).map_err(|error| {
        Error::new(path.display(), format!("what a BIOS starts cannot be read: {error}")).because_of(error)
    })?;
    let reader = match DiskReader::new(file) {
        Ok(reader) => reader,
        Err(error) => return Ok(OfBios::left_out(path.display(), error.cause(), DAMAGED)),
    };
    let Ok(bios) = reader.partition(PartitionKind::BiosBoot).map(|it| it.number) else {
        return Ok(OfBios::default());
    };
    let esp = reader.partition(PartitionKind::EfiSystem)?.number;
    if (bios, esp) != (ESP_NUMBER - 1, ESP_NUMBER) {
        let why = format!("GRUB finds its menu on partition {esp}, and on a copy that is {ESP_NUMBER}");
        return Ok(OfBios::left_out(path.display(), &why, DAMAGED));
    }
    let Some(found) = reader.boot_code().map_err(|error| error.about(path.display()))? else {
        return Ok(OfBios::default());
    };
    if let Some(fault) = found.fault() {
        let why = format!("{} {}", fault.object(), fault.cause());
        return Ok(OfBios::left_out(path.display(), &why, DAMAGED));
    }
    match found.boot_code() {
        Some(code) => Ok(OfBios { code: Some(code), left_out: None }),
        None => Ok(OfBios::left_out(path.display(), "its boot code is not GRUB's", DAMAGED)),
    }
}

/// A disk that has a place for it, and no menu that it could show; or of which nobody can tell.
fn without_menu(disk: Option<PathBuf>, why: &str) -> OfBios {
    let Some(path) = disk else { return OfBios::default() };
    let reader = File::open(&path).map_err(Error::on("")).and_then(DiskReader::new);
    match reader.map(|reader| reader.partition(PartitionKind::BiosBoot).is_ok()) {
        Ok(true) => OfBios::left_out(
            format!("{} on the EFI system partition", paths::GRUB_CFG),
            why,
            "let it be an empty file, and `lamina system install` writes it anew; nothing is to be done where UEFI starts the copy",
        ),
        Err(error) if error.system_said().is_some() => OfBios::left_out(
            path.display(),
            &format!("nobody knows whether a BIOS starts it: {}", error.cause()),
            "do it as root; nothing is to be done where UEFI starts the copy",
        ),
        _ => OfBios::default(),
    }
}

/// The node of the whole disk that a folder lies on a partition of.
fn disk_of(folder: &Path) -> Option<PathBuf> {
    let device = std::fs::metadata(folder).ok()?.dev();
    let partition =
        std::fs::canonicalize(format!("/sys/dev/block/{}:{}", major(device), minor(device))).ok()?;
    let disk = partition.join("partition").exists().then(|| partition.parent()).flatten()?;
    Some(Path::new("/dev").join(disk.file_name()?.to_str()?.replace('!', "/")))
}
