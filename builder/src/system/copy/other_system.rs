//! The other system of a disk that a medium is copied to: what of it stays, and what it leaves no place for.

use std::path::Path;

use boot_entry::{EntryFileName, Menu, paths};
use disk_image::read::{DiskReader, EspReader};
use disk_image::{DiskFile, PartitionKind};

use super::contents::{MOST_OF_LOADER, is_systemd_boot};
use crate::error::{Error, Result};
use crate::system::esp::Esp;
use crate::system::on_disk::DiskCopies;
use crate::system::room::FreeRoom;

/// Where another system's systemd-boot is (bootctl(1)).
const SYSTEMD_BOOT: &str = "EFI/systemd/systemd-bootx64.efi";
/// UKIs, which systemd-boot lists too (Boot Loader Specification, type 2).
const UKIS: &str = "EFI/Linux";
/// Clusters for folders that are made or grow.
const FOLDERS: u64 = 8;

/// Its EFI system partition, as it is before the copy comes.
pub(super) struct OtherSystem {
    files: EspReader,
    menu: Esp,
    /// A loader there shows entries of the Boot Loader Specification.
    pub(super) shows_entries: bool,
}

impl OtherSystem {
    /// Looks at a disk, which is called so.
    ///
    /// # Errors
    /// Its partition has entries of Lamina, or cannot be read; what boots by itself there would become another entry.
    pub(super) fn read(disk: &DiskReader, path: &Path) -> Result<OtherSystem> {
        let copies = DiskCopies::of_esp(disk).map_err(|error| error.about(path.display()))?;
        let menu = Esp::read(&copies.esp())?;
        refuse_entries(&menu, path)?;
        let files = disk.esp()?;
        let shows_entries = shows_entries(&files).map_err(|error| error.about(path.display()))?;
        let other = OtherSystem { files, menu, shows_entries };
        if shows_entries {
            other.refuse_another_default(disk)?;
        }
        Ok(other)
    }

    /// Whether there is a file, or something else that is called so.
    pub(super) fn has(&self, path: &str) -> bool {
        self.files.has(path)
    }

    /// Of the files that come those which are not there. Kernels are named by what is in them: the same ones need not come again.
    ///
    /// # Errors
    /// One that is there is damaged, or cannot be read.
    pub(super) fn without_what_is_there(&self, coming: Vec<DiskFile>) -> Result<Vec<DiskFile>> {
        let (there, new): (Vec<_>, Vec<_>) = coming.into_iter().partition(|it| self.files.has(&it.path));
        for file in there {
            let found = self.files.digest(&file.path)?.0;
            if file.digest.is_some_and(|meant| meant != found) {
                return Err(Error::new(
                    &file.path,
                    "on the EFI system partition is not what its name says: it is damaged",
                )
                .remedy("remove it there, and do this again"));
            }
        }
        Ok(new)
    }

    /// By what a loader of our own chooses: the file that is there stays, unless a copy that was broken off, or is gone, has left it.
    pub(super) fn loader_conf(&self, menu: &Menu) -> Option<DiskFile> {
        let left = self.menu.loader_conf.as_ref().filter(|conf| {
            let is_ours = conf.default.as_deref().is_some_and(EntryFileName::is_our_id);
            is_ours && !menu.entries.iter().any(|(name, _)| conf.means(name))
        });
        let text = match left {
            Some(left) => menu.loader_conf().with_settings_of(left, true).to_text(),
            None if self.files.has(paths::LOADER_CONF) => return None,
            None => menu.to_loader_conf(),
        };
        Some(DiskFile::bytes(paths::LOADER_CONF, text))
    }

    /// Refuses what does not fit.
    ///
    /// # Errors
    /// It does not, or nobody can tell.
    pub(super) fn refuse_without_room(&self, coming: &[DiskFile]) -> Result<()> {
        let (free, cluster) = self.files.room()?;
        let room = FreeRoom { free, cluster };
        let files: u64 = coming.iter().map(|it| room.taken_by(it.content.length())).sum();
        let needed = files + FOLDERS * cluster;
        if needed <= free {
            return Ok(());
        }
        let cause = format!("has {free} bytes free, and {needed} are needed");
        Err(Error::new("the EFI system partition", cause)
            .remedy("remove what is not needed there, such as old kernels; or take a disk of its own"))
    }

    /// systemd-boot boots the first entry where the default is none of them, and entries with a sort key stand before those without. It lists those
    /// of an extended boot partition too (Boot Loader Specification, XBOOTLDR), which nobody reads here.
    fn refuse_another_default(&self, disk: &DiskReader) -> Result<()> {
        let mut ukis = self.files.names(UKIS)?;
        ukis.retain(|it| it.to_ascii_lowercase().ends_with(".efi"));
        let is_chosen = self.menu.loader_conf.as_ref().is_some_and(|conf| {
            let default = conf.default.as_deref().unwrap_or_default();
            self.menu.entries.iter().any(|it| conf.means(&it.name))
                || ukis.iter().any(|it| it.eq_ignore_ascii_case(default))
        });
        let has_more = disk.table.partitions.iter().any(|it| it.is_extended_boot);
        if is_chosen || (self.menu.entries.is_empty() && ukis.is_empty() && !has_more) {
            return Ok(());
        }
        Err(Error::new(paths::LOADER_CONF, "on the EFI system partition names no default that is there: the first entry boots, and might be one of ours then")
            .remedy("let it say `default NAME`, with the name of the entry's file that boots by itself today; then do this again"))
    }
}

/// Refuses a disk that has Lamina already.
///
/// # Errors
/// It has one of its partitions.
pub(super) fn refuse_own(reader: &DiskReader, path: &Path) -> Result<()> {
    let ours = [PartitionKind::Store, PartitionKind::State].map(PartitionKind::name);
    let Some(own) = reader.table.partitions.iter().find(|it| ours.contains(&it.name.as_str())) else {
        return Ok(());
    };
    let (path, number, name) = (path.display(), own.number, &own.name);
    Err(Error::new(&path, format!("has a partition {name} already: of Lamina, or of a copy that was broken off"))
        .remedy(format!(
            "`lamina system install NAME --disk {path}` brings generations to Lamina there; `sfdisk --delete {path} {number}` removes what a \
copy has left"
        )))
}

fn refuse_entries(menu: &Esp, path: &Path) -> Result<()> {
    let Some(own) = menu.entries.iter().find(|it| it.name.is_ours()) else { return Ok(()) };
    let cause = format!("its EFI system partition has an entry of Lamina already: {}", own.file);
    Err(Error::new(path.display(), cause)
        .remedy("remove the entries `lamina-…` of `loader/entries` there, where nothing needs them any more"))
}

/// Whether a loader there shows entries of the Boot Loader Specification.
///
/// # Errors
/// What UEFI starts there cannot be read: nobody knows what it shows, and what boots by itself.
fn shows_entries(esp: &EspReader) -> Result<bool> {
    if esp.has(SYSTEMD_BOOT) {
        return Ok(true);
    }
    if !esp.has(paths::UEFI_PROGRAM) || esp.length(paths::UEFI_PROGRAM)?.is_none_or(|it| it > MOST_OF_LOADER)
    {
        return Ok(false);
    }
    let mut program = Vec::new();
    esp.copy(paths::UEFI_PROGRAM, &mut program)?;
    Ok(is_systemd_boot(&program))
}
