//! A medium as a disk of its own, with the loaders that it has.

use boot_entry::{EntryFileName, Menu};
use disk_image::FatBy;

use super::boot_code::{self, OfBios};
use super::contents::{self, CopiedGenerations};
use crate::disk::planned::{DiskParts, Loaders, PlannedDisk};
use crate::error::{Error, Result};
use crate::system::esp::Grub;
use crate::system::installed::Installed;
use crate::system::target::Target;

/// What is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct WholeRequest {
    /// The length of the disk.
    pub size: Option<u64>,
    /// The length of the state's partition.
    pub state: Option<u64>,
}

/// A disk as it will be.
#[derive(Debug)]
pub struct WholeCopy {
    /// All of it.
    pub disk: PlannedDisk,
    /// What the medium seems to start by, and the copy will not.
    pub left_out: Option<Error>,
}

/// Plans the disk; reads loaders, and writes nothing.
///
/// # Errors
/// A file of the medium is missing; the disk is too small; nothing would start it; what starts the medium may not be looked at.
pub fn plan(
    target: &Target,
    installed: &Installed,
    chosen: &CopiedGenerations<'_>,
    request: WholeRequest,
) -> Result<WholeCopy> {
    let identity = contents::new_identity()?;
    let wanted = chosen.menu(installed, &identity, request.state.is_some())?;
    let mut menu = Menu::make(&wanted).map_err(Error::on(""))?;
    choose_default(&mut menu, chosen);
    let uefi = contents::uefi_program(target)?;
    let OfBios { code: boot_code, left_out } = boot_code::of(target, &installed.esp.grub)?;
    if uefi.is_none() && boot_code.is_none() {
        return Err(left_out.unwrap_or_else(|| {
            Error::new(&target.name, "has no loader that could be copied").remedy(
                "`lamina disk inspect` says what is damaged; `lamina disk create` makes a disk with one",
            )
        }));
    }
    let loaders = Loaders {
        has_systemd_boot: uefi.as_deref().is_some_and(contents::is_systemd_boot),
        has_grub: matches!(installed.esp.grub, Grub::Shows(_) | Grub::Nothing),
        uefi,
        boot_code,
    };
    let boot_files = chosen.boot_files(target, &wanted)?;
    let store = chosen.store(target, installed)?;
    let WholeRequest { size, state } = request;
    // A system that copies itself may have neither dosfstools nor mtools.
    let parts = DiskParts { identity, loaders, menu, boot_files, store, size, state, fat: FatBy::Itself };
    Ok(WholeCopy { disk: parts.plan()?, left_out })
}

/// The first of the generations boots by itself.
pub(super) fn choose_default(menu: &mut Menu, chosen: &CopiedGenerations<'_>) {
    let first = chosen.generations.first().map(|it| EntryFileName::of(&it.profile, it.number).id);
    let is_there = |id: &String| menu.entries.iter().any(|it| it.0.id == *id);
    menu.default = first.filter(is_there).unwrap_or_else(|| menu.default.clone());
}
