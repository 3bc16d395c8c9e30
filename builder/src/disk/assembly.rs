//! All that was chosen of a store for a new disk, as a plan.

use boot_entry::{Choice, Menu, MenuRequest, Parameter, names};
use disk_image::{Content, DiskFile, FatBy, Identity, PartitionKind};
use profiles::{Digest, Name};

use super::contents::DiskGeneration;
use super::loader::{Firmware, LoaderFolders, UefiLoader};
use super::pinned_kernel::DiskKernels;
use super::planned::{DiskParts, Loaders, PlannedDisk, names_partition};
use crate::error::{Error, Result};

/// Everything that decides about a disk.
#[derive(Debug)]
pub struct DiskRequest<'a> {
    /// Of each profile its generations.
    pub chosen: &'a [Vec<DiskGeneration>],
    /// The files of the store's partition.
    pub store: Vec<DiskFile>,
    /// Kernels and initramfs files; they stay open until the disk is written.
    pub boot: &'a DiskKernels,
    /// What starts it.
    pub firmware: Firmware,
    /// By which loader UEFI does.
    pub loader: UefiLoader,
    /// Where loaders are.
    pub folders: LoaderFolders,
    /// The profile that comes up when nothing else does.
    pub rescue: Option<Name>,
    /// Parameters of the kernel, for every entry.
    pub parameters: Vec<Parameter>,
    /// Seconds until the first entry boots.
    pub timeout: u32,
    /// What boots by itself.
    pub choice: Choice,
    /// The length of the disk.
    pub size: Option<u64>,
    /// The length of the state's partition.
    pub state: Option<u64>,
}

impl DiskRequest<'_> {
    /// Decides everything; reads loaders, and writes nothing.
    ///
    /// # Errors
    /// A loader is missing; the disk is too small; an entry cannot be written for a loader.
    pub fn plan(self) -> Result<PlannedDisk> {
        let loaders = self.loaders()?;
        let identity = self.identity(&loaders.record())?;
        let menu = self.menu(&identity)?;
        let boot_files = self.boot.files().into_iter().cloned().collect();
        let DiskRequest { store, size, state, .. } = self;
        DiskParts { identity, loaders, menu, boot_files, store, size, state, fat: FatBy::Programs }.plan()
    }

    fn loaders(&self) -> Result<Loaders> {
        let Firmware { uefi, bios } = self.firmware;
        let esp_number = if bios { 2 } else { 1 };
        let boot_code = bios.then(|| self.folders.for_bios(esp_number)).transpose()?;
        let program = uefi.then(|| self.folders.for_uefi(self.loader)).transpose()?;
        let has_systemd_boot = uefi && self.loader == UefiLoader::SystemdBoot;
        let has_grub = bios || self.loader == UefiLoader::Grub;
        Ok(Loaders { uefi: program, boot_code, has_systemd_boot, has_grub })
    }

    /// From all that lies on the disk, without the entries: they name partitions by it. `loaders` is the text of their record.
    fn identity(&self, loaders: &str) -> Result<Identity> {
        let mut lines = vec!["lamina disk 3".to_owned(), self.choices()];
        lines.extend(self.parameters.iter().map(|parameter| parameter.as_str().to_owned()));
        lines.push(loaders.to_owned());
        for file in self.boot.files().into_iter().chain(&self.store) {
            let digest = match (&file.digest, &file.content) {
                (Some(digest), _) => *digest,
                (None, Content::Bytes(bytes)) => Digest::of_bytes(bytes),
                (None, Content::File(path, _)) => crate::digest::digest_file(path)?.0,
            };
            lines.push(format!("{digest} {}", file.path));
        }
        Ok(Identity::of(lines.iter().map(String::as_str)))
    }

    /// What was asked for, beside files and parameters. The disk's UUIDs are hashes of this text: whoever changes it, changes every disk.
    fn choices(&self) -> String {
        let bytes = |length: Option<u64>| length.map_or("-".to_owned(), |bytes| bytes.to_string());
        let choice = match self.choice {
            Choice::Default => String::new(),
            Choice::Counted(tries) => format!(" tries={tries}"),
            Choice::Last => " start=last".to_owned(),
        };
        format!(
            "firmware={} loader={} size={} state={} rescue={} timeout={}{choice}",
            self.firmware.as_str(),
            self.loader.as_str(),
            bytes(self.size),
            bytes(self.state),
            self.rescue.as_ref().map_or("-", Name::as_str),
            self.timeout
        )
    }

    fn menu(&self, identity: &Identity) -> Result<Menu> {
        let mut parameters = vec![names_partition(names::STORE, PartitionKind::Store, identity)?];
        parameters.extend(self.parameters.iter().cloned());
        let state = match self.state {
            Some(_) => Some(names_partition(names::STATE, PartitionKind::State, identity)?),
            None => None,
        };
        let generation = |chosen: &DiskGeneration| {
            let kept = chosen.takes_a_state && Some(&chosen.profile) != self.rescue.as_ref();
            let parameters = state.clone().filter(|_| kept).into_iter().collect();
            Ok(chosen.generation(parameters, self.boot.of(chosen)?.started_with()))
        };
        let of_profile =
            |profile: &Vec<DiskGeneration>| profile.iter().map(generation).collect::<Result<Vec<_>>>();
        let request = MenuRequest {
            profiles: self.chosen.iter().map(of_profile).collect::<Result<_>>()?,
            rescue: self.rescue.clone(),
            parameters,
            timeout: self.timeout,
            choice: self.choice,
        };
        Menu::make(&request).map_err(Error::on(""))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use super::*;
    use crate::disk::kernel::BootFiles;

    fn file(path: &str) -> DiskFile {
        DiskFile::bytes(path, path.as_bytes().to_vec())
    }

    fn boot() -> DiskKernels {
        let all = BootFiles {
            linux: file("lamina/linux"),
            initrd: file("lamina/initramfs"),
            release: "6.1.0".to_owned(),
            open: Vec::new(),
        };
        DiskKernels { all: Some(all), ..DiskKernels::default() }
    }

    fn request(boot: &DiskKernels) -> DiskRequest<'_> {
        DiskRequest {
            chosen: &[],
            store: vec![file("lamina/profiles/desktop/1.kdl")],
            boot,
            firmware: Firmware::parse("both").unwrap(),
            loader: UefiLoader::Grub,
            folders: LoaderFolders::default(),
            rescue: Some(Name::parse("rescue").unwrap()),
            parameters: vec![Parameter::new("quiet").unwrap()],
            timeout: 5,
            choice: Choice::Default,
            size: Some(3 << 30),
            state: None,
        }
    }

    /// Disks that were made before must come out the same: these texts change only together with the number after `lamina disk`.
    #[test]
    fn the_same_request_keeps_its_uuids_in_every_version() {
        let boot = boot();
        let request = || request(&boot);
        let written = "firmware=both loader=grub size=3221225472 state=- rescue=rescue timeout=5";
        assert_eq!(request().choices(), written);
        let uuid = request().identity("grub").unwrap().uuid("disk").to_string();
        assert_eq!(uuid, "6682142a-a5e0-86ea-aae9-bfd36caebe5e");
        let plain = DiskRequest {
            firmware: Firmware::parse("uefi").unwrap(),
            loader: UefiLoader::SystemdBoot,
            rescue: None,
            size: None,
            state: Some(1 << 20),
            ..request()
        };
        let written = "firmware=uefi loader=systemd-boot size=- state=1048576 rescue=- timeout=5";
        assert_eq!(plain.choices(), written);
        let counted = DiskRequest { choice: Choice::Counted(NonZero::new(3).unwrap()), ..request() };
        assert!(counted.choices().ends_with(" timeout=5 tries=3"));
        let last = DiskRequest { choice: Choice::Last, ..request() };
        assert!(last.choices().ends_with(" timeout=5 start=last"));
        assert_ne!(plain.identity("grub").unwrap().uuid("disk").to_string(), uuid);
    }

    #[test]
    fn words_of_firmware_and_loader_are_those_that_are_read() {
        for word in ["uefi", "bios", "both"] {
            assert_eq!(Firmware::parse(word).unwrap().as_str(), word);
        }
        for word in ["systemd-boot", "grub"] {
            assert_eq!(UefiLoader::parse(word).unwrap().as_str(), word);
        }
    }
}
