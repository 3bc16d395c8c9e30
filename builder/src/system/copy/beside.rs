//! A medium copied into the free space of a disk that holds another system. What is there stays: partitions, files of its EFI system
//! partition, what boots by itself.
//!
//! First the new file system is written to the gap, which nothing names; then the table names it; then come kernels, and last the entries:
//! whatever is interrupted, the other system boots as before.

use std::fmt;
use std::path::Path;

use boot_entry::{EntryFileName, Menu, paths};
use disk_image::addition::Addition;
use disk_image::read::{DiskReader, EspReader};
use disk_image::{DiskFile, FatVolume, Identity, Partition, PartitionKind, device, ext4};

use super::contents::{self, CopiedGenerations, MOST_OF_LOADER, is_systemd_boot};
use super::whole::choose_default;
use crate::disk::loader::{LoaderFolders, UefiLoader};
use crate::error::{Error, Result};
use crate::report::Report;
use crate::system::esp::Esp;
use crate::system::installed::Installed;
use crate::system::on_disk::{DiskCopies, OpenDisk};
use crate::system::room::Room;
use crate::system::target::Target;

/// Where another system's systemd-boot is (bootctl(1)).
const THEIRS: &str = "EFI/systemd/systemd-bootx64.efi";
/// Where ours goes on a partition without one.
const OURS: &str = "EFI/lamina/systemd-bootx64.efi";
/// UKIs, which systemd-boot lists too (Boot Loader Specification, type 2).
const UKIS: &str = "EFI/Linux";
/// Clusters for folders that are made or grow.
const FOLDERS: u64 = 8;

/// What will come.
#[derive(Debug)]
pub struct BesidePlan {
    addition: Addition,
    identity: Identity,
    store: Vec<DiskFile>,
    volume: FatVolume,
    /// In the order in which they come.
    esp: Vec<DiskFile>,
    /// What comes into the menu.
    pub menu: Menu,
    /// The path of the loader that comes, where none there shows the menu.
    pub own_loader: Option<&'static str>,
    /// The number of the EFI system partition.
    pub esp_number: u32,
}

impl BesidePlan {
    /// Decides; `size` is the length of the new partition, which has the largest gap otherwise.
    ///
    /// # Errors
    /// There is no EFI system partition, or no room on it or beside it; Lamina is on the disk already; what boots by itself there would become
    /// another entry.
    pub fn make(
        (target, installed): (&Target, &Installed),
        chosen: &CopiedGenerations<'_>,
        disk: &OpenDisk,
        size: Option<u64>,
    ) -> Result<BesidePlan> {
        let reader = disk.reader()?;
        let name = disk.path.display();
        refuse_own(&reader, &disk.path)?;
        let esp = reader.partition(PartitionKind::EfiSystem).map_err(|error| {
            Error::new(&name, format!("{}; there is nothing to be put beside", error.cause()))
                .remedy("leave out `--beside`: the disk is erased then")
        })?;
        let esp_number = esp.number;
        let file = disk.file().try_clone().map_err(Error::on(&name))?;
        let volume = FatVolume::open(file, esp.start, esp.length).map_err(|error| {
            Error::new(&name, format!("its EFI system partition cannot be written: {}", error.cause()))
                .remedy("copy to a disk of its own, without `--beside`; or make that partition a FAT32 anew, with its files")
        })?;
        let identity = contents::new_identity()?;
        let wanted = chosen.menu(installed, &identity, false)?;
        let mut menu = Menu::make(&wanted).map_err(Error::on(""))?;
        choose_default(&mut menu, chosen);
        let copies = DiskCopies::of_esp(&reader)?;
        let there = Esp::read(&copies.esp())?;
        refuse_entries(&there, &disk.path)?;
        let files = reader.esp()?;
        let shows = shows_entries(&files).map_err(|error| error.about(&name))?;
        if shows {
            refuse_another_default(&there, &files, &reader)?;
        }
        let mut coming = leave_what_is_there(chosen.boot_files(target, &wanted)?, &files)?;
        if !shows {
            if !files.has(OURS) {
                coming.push(DiskFile::bytes(OURS, loader(target)?));
            }
            coming.extend(loader_conf(&menu, &there, &files));
        }
        // Last the entries, and of these last the one that is wanted most.
        for (name, entry) in menu.entries.iter().rev() {
            coming.push(DiskFile::bytes(paths::entry(&name.file_name()), entry.to_conf()));
        }
        refuse_without_room(&files, &coming)?;
        let store = chosen.store(target, installed)?;
        let uuid = identity.uuid(PartitionKind::Store.name());
        let addition = Addition::find(disk.file(), uuid, ext4::room_for(&store), size)
            .map_err(|error| error.about(&name))?;
        let own_loader = (!shows).then_some(OURS);
        Ok(BesidePlan { addition, identity, store, volume, esp: coming, menu, own_loader, esp_number })
    }

    /// The partition that comes.
    pub fn partition(&self) -> &Partition {
        &self.addition.partition
    }

    /// Carries it out; `before` is asked before each step, and stops it by an error.
    ///
    /// # Errors
    /// A step failed, or was stopped.
    pub fn carry_out(
        &self,
        disk: &OpenDisk,
        report: &Report,
        before: &mut dyn FnMut(&str) -> Result<()>,
    ) -> Result<()> {
        before("file system")?;
        self.write_store(disk, report)?;
        self.addition
            .write(disk.file(), |step| before(step))
            .map_err(|error| error.about(disk.path.display()))?;
        for file in &self.esp {
            before(&file.path)?;
            report.detail(format_args!("writing {} to the EFI system partition", file.path));
            bring(&self.volume, file)?;
        }
        before("end")
    }

    /// The file system is made in a file first, as `lamina disk create` makes disks for devices, and compared with what arrived.
    fn write_store(&self, disk: &OpenDisk, report: &Report) -> Result<()> {
        let place = std::env::temp_dir();
        let temporary = || Error::on(place.display());
        let image = tempfile::tempfile().map_err(temporary())?;
        let partition = self.partition();
        image.set_len(partition.length).map_err(temporary())?;
        {
            let _meter = report.progress().work("making the file system of the store");
            let placed = Partition { start: 0, ..partition.clone() };
            ext4::write(&image, &placed, &self.identity, &self.store)?;
        }
        let what = format!("writing and comparing {}", disk.path.display());
        let meter = report.progress().meter(what, device::work_of(&image)?);
        let name = &disk.path;
        device::write_part_and_compare(&image, disk.file(), partition.start, name, |bytes| {
            meter.advance(bytes)
        })
    }
}

impl fmt::Display for BesidePlan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Addition { number, partition, .. } = &self.addition;
        let (start, length) = (partition.start, partition.length);
        writeln!(out, "make ext4 {} at {start}, {length} bytes", partition.kind.label())?;
        for file in &self.store {
            writeln!(out, "  write {}, {} bytes", file.path, file.content.length())?;
        }
        writeln!(out, "partition {number} {}, {}", partition.kind.name(), partition.uuid)?;
        for file in &self.esp {
            let length = file.content.length();
            writeln!(
                out,
                "write {} to the EFI system partition {}, {length} bytes",
                file.path, self.esp_number
            )?;
        }
        Ok(())
    }
}

/// For a loader of our own: the file that is there stays, unless a copy that was broken off, or is gone, has left it.
fn loader_conf(menu: &Menu, there: &Esp, files: &EspReader) -> Option<DiskFile> {
    let left = there.loader_conf.as_ref().filter(|conf| {
        let ours = |id: &String| EntryFileName { id: id.clone(), tries: None }.is_ours();
        conf.default.as_ref().is_some_and(ours) && !menu.entries.iter().any(|(name, _)| conf.means(name))
    });
    let text = match left {
        Some(left) => menu.loader_conf().with_settings_of(left, true).to_text(),
        None if files.has(paths::LOADER_CONF) => return None,
        None => menu.to_loader_conf(),
    };
    Some(DiskFile::bytes(paths::LOADER_CONF, text))
}

fn bring(volume: &FatVolume, file: &DiskFile) -> Result<()> {
    let on = || Error::on(format!("{} on the EFI system partition", file.path));
    let mut source = file.content.open().map_err(Error::on(&file.path))?;
    let written = match file.path == paths::LOADER_CONF {
        true => volume.replace(&file.path, &mut source, file.content.length()),
        false => volume.write_new(&file.path, &mut source, file.content.length()),
    };
    written.map_err(on())?;
    let found = volume.open_file(&file.path).and_then(profiles::Digest::of).map_err(on())?;
    let meant = match file.digest {
        Some(digest) => digest,
        None => file.content.open().and_then(profiles::Digest::of).map_err(Error::on(&file.path))?.0,
    };
    match found.0 == meant {
        true => Ok(()),
        false => {
            let _ = volume.remove(&file.path);
            Err(Error::new(&file.path, "is not what was written, or was damaged on the medium").remedy(
                "`lamina disk inspect` says what is damaged; when it is not the medium, the disk is failing",
            ))
        }
    }
}

fn refuse_own(reader: &DiskReader, path: &Path) -> Result<()> {
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

fn refuse_entries(there: &Esp, path: &Path) -> Result<()> {
    let Some(own) = there.entries.iter().find(|it| it.name.is_ours()) else { return Ok(()) };
    let cause = format!("its EFI system partition has an entry of Lamina already: {}", own.file);
    Err(Error::new(path.display(), cause)
        .remedy("remove the entries `lamina-…` of `loader/entries` there, where nothing needs them any more"))
}

/// Whether a loader there shows entries of the Boot Loader Specification.
///
/// # Errors
/// What UEFI starts there cannot be read: nobody knows what it shows, and what boots by itself.
fn shows_entries(esp: &EspReader) -> Result<bool> {
    if esp.has(THEIRS) {
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

/// Kernels are named by what is in them: the same ones need not come again.
fn leave_what_is_there(coming: Vec<DiskFile>, esp: &EspReader) -> Result<Vec<DiskFile>> {
    let (there, new): (Vec<_>, Vec<_>) = coming.into_iter().partition(|it| esp.has(&it.path));
    for file in there {
        let found = esp.digest(&file.path)?.0;
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

/// systemd-boot boots the first entry where the default is none of them, and entries with a sort key stand before those without. It lists those
/// of an extended boot partition too (Boot Loader Specification, XBOOTLDR), which nobody reads here.
fn refuse_another_default(there: &Esp, files: &EspReader, disk: &DiskReader) -> Result<()> {
    let mut ukis = files.names(UKIS)?;
    ukis.retain(|it| it.to_ascii_lowercase().ends_with(".efi"));
    let is_chosen = there.loader_conf.as_ref().is_some_and(|conf| {
        let default = conf.default.as_deref().unwrap_or_default();
        there.entries.iter().any(|it| conf.means(&it.name))
            || ukis.iter().any(|it| it.eq_ignore_ascii_case(default))
    });
    let has_more = disk.table.partitions.iter().any(|it| it.is_extended_boot);
    if is_chosen || (there.entries.is_empty() && ukis.is_empty() && !has_more) {
        return Ok(());
    }
    Err(Error::new(paths::LOADER_CONF, "on the EFI system partition names no default that is there: the first entry boots, and might be one of ours then")
        .remedy("let it say `default NAME`, with the name of the entry's file that boots by itself today; then do this again"))
}

fn refuse_without_room(esp: &EspReader, coming: &[DiskFile]) -> Result<()> {
    let (free, cluster) = esp.room()?;
    let room = Room { free, cluster };
    let files: u64 = coming.iter().map(|it| room.taken_by(it.content.length())).sum();
    let needed = files + FOLDERS * cluster;
    if needed <= free {
        return Ok(());
    }
    let cause = format!("has {free} bytes free, and {needed} are needed");
    Err(Error::new("the EFI system partition", cause)
        .remedy("remove what is not needed there, such as old kernels; or take a disk of its own"))
}

/// systemd-boot: that of the medium, or that of this machine.
fn loader(target: &Target) -> Result<Vec<u8>> {
    if let Some(program) = contents::uefi_program(target)?.filter(|program| is_systemd_boot(program)) {
        return Ok(program);
    }
    LoaderFolders::default().for_uefi(UefiLoader::SystemdBoot).map_err(|_| {
        Error::new("the loader", "no loader of that disk shows this menu, and the medium has no systemd-boot to copy")
            .remedy("install the Debian package systemd-boot-efi, or copy from a medium that was made with systemd-boot")
    })
}

/// Lets the kernel read a table again; why it has not.
pub fn reread(disk: OpenDisk) -> Option<Error> {
    let path = disk.path.clone();
    drop(disk);
    let output = std::process::Command::new("blockdev").arg("--rereadpt").arg(&path).output();
    let why = match output {
        Ok(output) if output.status.success() => return None,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => format!("blockdev: {error}"),
    };
    let cause = format!("the kernel has not read its partition table again: {why}");
    Some(
        Error::new(path.display(), cause)
            .remedy("it does when the disk is plugged in again, and at the next boot"),
    )
}
