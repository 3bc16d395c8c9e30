//! A medium as a disk of its own, with the loaders that it has.

use boot_entry::{EntryFileName, Menu, paths};
use disk_image::bios::BootCode;
use disk_image::layout::Room;
use disk_image::{DiskFile, DiskPlan, FatBy, Layout, ext4, fat};
use profiles::Digest;

use super::boot_code::{self, OfBios};
use super::contents::{self, CopiedGenerations};
use crate::disk::assembly::{PlannedDisk, grub_files};
use crate::disk::loader_record::{LoaderRecord, RecordedFile};
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
    let shows_by_grub = matches!(installed.esp.grub, Grub::Shows(_) | Grub::Nothing);
    let OfBios { code: boot_code, left_out } = boot_code::of(target, &installed.esp.grub)?;
    if uefi.is_none() && boot_code.is_none() {
        return Err(left_out.unwrap_or_else(|| {
            Error::new(&target.name, "has no loader that could be copied").remedy(
                "`lamina disk inspect` says what is damaged; `lamina disk create` makes a disk with one",
            )
        }));
    }
    let mut esp: Vec<DiskFile> =
        uefi.iter().map(|program| DiskFile::bytes(paths::UEFI_PROGRAM, program.clone())).collect();
    esp.extend(chosen.boot_files(target, &wanted)?);
    esp.push(DiskFile::bytes(paths::LOADER_CONF, menu.to_loader_conf()));
    for (name, entry) in &menu.entries {
        esp.push(DiskFile::bytes(paths::entry(&name.file_name()), entry.to_conf()));
    }
    esp.push(DiskFile::bytes(
        paths::LOADER_RECORD,
        record(uefi.as_deref(), boot_code.as_ref(), shows_by_grub)?,
    ));
    if shows_by_grub {
        esp.extend(grub_files(&menu)?);
    }
    let store = chosen.store(target, installed)?;
    let room = Room {
        bios: boot_code.is_some(),
        esp: fat::room_for(&esp),
        store: ext4::room_for(&store),
        state: request.state,
    };
    let layout = Layout::make(&room, request.size, &identity)?;
    let plan = DiskPlan { layout, identity, boot_code, fat: FatBy::Itself, esp, store };
    Ok(WholeCopy { disk: PlannedDisk { plan, menu }, left_out })
}

/// The first of the generations boots by itself.
pub(super) fn choose_default(menu: &mut Menu, chosen: &CopiedGenerations<'_>) {
    let first = chosen.generations.first().map(|it| EntryFileName::of(&it.profile, it.number).id);
    let is_there = |id: &String| menu.entries.iter().any(|it| it.0.id == *id);
    menu.default = first.filter(is_there).unwrap_or_else(|| menu.default.clone());
}

fn record(uefi: Option<&[u8]>, boot_code: Option<&BootCode>, shows_by_grub: bool) -> Result<String> {
    let plain = |path: &str| RecordedFile { path: path.to_owned(), contents: None };
    let program = uefi.map(Digest::of).transpose().map_err(Error::on("the loader"))?;
    let program = program.map(|it| RecordedFile { contents: Some(it), ..plain(paths::UEFI_PROGRAM) });
    let settings = uefi.is_some_and(contents::is_systemd_boot).then(|| plain(paths::LOADER_CONF));
    let menu = shows_by_grub.then(|| plain(paths::GRUB_CFG));
    let files = [program, settings, menu].into_iter().flatten().collect();
    Ok(LoaderRecord { files, boot_code: boot_code.map(BootCode::digests) }.to_kdl())
}
