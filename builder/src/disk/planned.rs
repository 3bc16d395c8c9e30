//! A disk of its own as a plan, whoever chose what goes onto it: a new one out of a store ([`assembly`](super::assembly)), or the copy of a medium
//! ([`whole`](crate::system::copy::whole)).

use boot_entry::{Choice, GrubTries, Menu, Parameter, grub_last, paths};
use disk_image::bios::BootCode;
use disk_image::layout::Room;
use disk_image::{DiskFile, DiskPlan, FatBy, Identity, Layout, PartitionKind, ext4, fat};
use profiles::Digest;

use super::loader_record::{LoaderRecord, RecordedFile};
use crate::error::{Error, Result};

/// What starts a disk.
#[derive(Debug, Clone, Default)]
pub struct Loaders {
    /// The program that UEFI starts.
    pub uefi: Option<Vec<u8>>,
    /// What a BIOS starts.
    pub boot_code: Option<BootCode>,
    /// That program is systemd-boot, which reads `loader/loader.conf`.
    pub has_systemd_boot: bool,
    /// UEFI or a BIOS starts GRUB, which has a menu of its own.
    pub has_grub: bool,
}

/// All that lies on a disk.
#[derive(Debug)]
pub struct DiskParts {
    /// Out of which its UUIDs are; the menu names partitions by them.
    pub identity: Identity,
    /// What starts it.
    pub loaders: Loaders,
    /// What its loaders show.
    pub menu: Menu,
    /// The kernels and initramfs files that the menu names.
    pub boot_files: Vec<DiskFile>,
    /// The files of the store's partition.
    pub store: Vec<DiskFile>,
    /// The length of the disk; `None`: what is needed.
    pub size: Option<u64>,
    /// The length of the state's partition, where there is one.
    pub state: Option<u64>,
    /// Who makes the EFI system partition.
    pub fat: FatBy,
}

/// What becomes of a request.
#[derive(Debug)]
pub struct PlannedDisk {
    /// The disk.
    pub plan: DiskPlan,
    /// What its menu shows.
    pub menu: Menu,
}

/// A parameter of the kernel that names a partition of the disk with this identity.
///
/// # Errors
/// `parameter` cannot be the name of one.
pub fn names_partition(parameter: &str, kind: PartitionKind, identity: &Identity) -> Result<Parameter> {
    let text = format!("{parameter}=PARTUUID={}", identity.uuid(kind.name()));
    Parameter::new(text).map_err(Error::on("entry"))
}

impl Loaders {
    /// The text of their record on the disk.
    pub fn record(&self) -> String {
        let contents = self.uefi.as_ref().map(|it| (Digest::of_bytes(it), it.len() as u64));
        let program =
            contents.map(|it| RecordedFile { path: paths::UEFI_PROGRAM.to_owned(), contents: Some(it) });
        let read = |path: &str| RecordedFile { path: path.to_owned(), contents: None };
        let settings = self.has_systemd_boot.then(|| read(paths::LOADER_CONF));
        let menu = self.has_grub.then(|| read(paths::GRUB_CFG));
        let record = LoaderRecord {
            files: [program, settings, menu].into_iter().flatten().collect(),
            boot_code: self.boot_code.as_ref().map(BootCode::digests),
        };
        record.to_kdl()
    }
}

impl DiskParts {
    /// Places all of it; writes nothing.
    ///
    /// # Errors
    /// The disk is too small; GRUB cannot have the menu.
    pub fn plan(self) -> Result<PlannedDisk> {
        let record = self.loaders.record();
        let DiskParts { identity, loaders, menu, boot_files, store, size, state, fat } = self;
        let mut esp = Vec::new();
        esp.extend(loaders.uefi.map(|program| DiskFile::bytes(paths::UEFI_PROGRAM, program)));
        esp.extend(boot_files);
        esp.push(DiskFile::bytes(paths::LOADER_CONF, menu.to_loader_conf()));
        for (name, entry) in &menu.entries {
            esp.push(DiskFile::bytes(paths::entry(&name.file_name()), entry.to_conf()));
        }
        esp.push(DiskFile::bytes(paths::LOADER_RECORD, record));
        if loaders.has_grub {
            esp.extend(grub_files(&menu)?);
        }
        let boot_code = loaders.boot_code;
        let room = Room {
            bios: boot_code.is_some(),
            esp: fat::room_for(&esp),
            store: ext4::room_for(&store),
            state,
        };
        let layout = Layout::make(&room, size, &identity)?;
        Ok(PlannedDisk { plan: DiskPlan { layout, identity, boot_code, fat, esp, store }, menu })
    }
}

/// What GRUB reads of a new disk: its menu, what shows that, and the block by which it counts tries or knows what it has started last.
fn grub_files(menu: &Menu) -> Result<Vec<DiskFile>> {
    let shown = menu.to_grub_menu().map_err(Error::on(""))?;
    let block = match menu.choice {
        Choice::Default => None,
        Choice::Counted(_) => Some((paths::GRUB_TRIES, GrubTries::block(menu.grub_tries().as_ref()))),
        Choice::Last => Some((paths::GRUB_LAST, grub_last::nothing())),
    };
    let mut files = vec![
        DiskFile::bytes(paths::GRUB_CFG, shown.to_grub_cfg()),
        DiskFile::bytes(format!("{}/{}", paths::GRUB, shown.file_name), shown.script),
    ];
    files.extend(block.map(|(path, block)| DiskFile::bytes(path, block)));
    Ok(files)
}
