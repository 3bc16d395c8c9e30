//! A medium copied into the free space of a disk that holds another system. What is there stays: partitions, files of its EFI system
//! partition, what boots by itself.
//!
//! First the new file system is written to the gap, which nothing names; then the table names it; then come kernels, and last the entries:
//! whatever is interrupted, the other system boots as before.

use std::fmt;

use boot_entry::{Menu, paths};
use disk_image::addition::Addition;
use disk_image::{DiskFile, FatVolume, Identity, Partition, PartitionKind, device, ext4};

use super::contents::{self, CopiedGenerations, is_systemd_boot};
use super::other_system::{OtherSystem, refuse_own};
use super::whole::choose_default;
use crate::disk::loader::{LoaderFolders, UefiLoader};
use crate::error::{Error, Result};
use crate::report::Report;
use crate::system::installed::Installed;
use crate::system::on_disk::OpenDisk;
use crate::system::target::Target;

/// Where our systemd-boot goes on a partition where no loader shows our entries.
const OWN_LOADER: &str = "EFI/lamina/systemd-bootx64.efi";

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
        let other = OtherSystem::read(&reader, &disk.path)?;
        let mut coming = other.without_what_is_there(chosen.boot_files(target, &wanted)?)?;
        if !other.shows_entries {
            if !other.has(OWN_LOADER) {
                coming.push(DiskFile::bytes(OWN_LOADER, loader(target)?));
            }
            coming.extend(other.loader_conf(&menu));
        }
        // Last the entries, and of these last the one that is wanted most.
        for (name, entry) in menu.entries.iter().rev() {
            coming.push(DiskFile::bytes(paths::entry(&name.file_name()), entry.to_conf()));
        }
        other.refuse_without_room(&coming)?;
        let store = chosen.store(target, installed)?;
        let uuid = identity.uuid(PartitionKind::Store.name());
        let addition = Addition::find(disk.file(), uuid, ext4::room_for(&store), size)
            .map_err(|error| error.about(&name))?;
        let own_loader = (!other.shows_entries).then_some(OWN_LOADER);
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
            write_and_compare(&self.volume, file)?;
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

/// Nothing takes the place of a file of the other system, but `loader/loader.conf`, by which our own loader chooses.
fn write_and_compare(volume: &FatVolume, file: &DiskFile) -> Result<()> {
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
