//! The loaders, found on this machine. They come from Debian's packages, and one that is missing is named with its package.

use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use disk_image::bios::BootCode;
use disk_image::programs::find_program;

use crate::error::{Error, Result};
use crate::regular_file;

/// What starts the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Firmware {
    /// UEFI.
    pub uefi: bool,
    /// The BIOS of a PC.
    pub bios: bool,
}

impl Firmware {
    /// Reads `uefi`, `bios` or `both`.
    pub fn parse(text: &str) -> Result<Firmware, String> {
        match text {
            "uefi" => Ok(Firmware { uefi: true, bios: false }),
            "bios" => Ok(Firmware { uefi: false, bios: true }),
            "both" => Ok(Firmware { uefi: true, bios: true }),
            _ => Err(format!("'{}' is none of uefi, bios, both", text.escape_debug())),
        }
    }

    /// As [`Firmware::parse`] reads it.
    pub fn as_str(self) -> &'static str {
        match (self.uefi, self.bios) {
            (true, true) => "both",
            (true, false) => "uefi",
            (false, true) => "bios",
            (false, false) => "none",
        }
    }
}

/// Which loader UEFI starts; a BIOS always starts GRUB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UefiLoader {
    /// Reads `loader/entries/` by itself, and counts tries.
    SystemdBoot,
    /// Reads `grub/grub.cfg`, as it does on a BIOS.
    Grub,
}

impl UefiLoader {
    /// Reads `systemd-boot` or `grub`.
    pub fn parse(text: &str) -> Result<UefiLoader, String> {
        match text {
            "systemd-boot" => Ok(UefiLoader::SystemdBoot),
            "grub" => Ok(UefiLoader::Grub),
            _ => Err(format!("'{}' is none of systemd-boot, grub", text.escape_debug())),
        }
    }

    /// As [`UefiLoader::parse`] reads it.
    pub fn as_str(self) -> &'static str {
        match self {
            UefiLoader::SystemdBoot => "systemd-boot",
            UefiLoader::Grub => "grub",
        }
    }
}

/// Where Debian puts loaders.
#[derive(Debug, Clone)]
pub struct LoaderFolders {
    systemd_boot: PathBuf,
    grub: PathBuf,
}

impl Default for LoaderFolders {
    fn default() -> Self {
        LoaderFolders::below(Path::new("/usr/lib"))
    }
}

/// More of a loader is not read, in bytes: the largest is GRUB with its modules, of some MiB.
const MOST: u64 = 64 << 20;

/// Modules of GRUB for every firmware: its menu, FAT on a GPT, and Linux.
const MODULES: &[&str] =
    &["part_gpt", "fat", "normal", "configfile", "linux", "test", "loadenv", "echo", "reboot", "halt"];
/// Disks by the BIOS, and a serial line.
const BIOS_MODULES: &[&str] = &["biosdisk", "serial", "terminal", "terminfo"];
/// A screen that Linux can go on with.
const UEFI_MODULES: &[&str] = &["efi_gop", "all_video"];

impl LoaderFolders {
    /// In a root that has `lib` (of `/usr/lib`) there.
    pub fn below(lib: &Path) -> LoaderFolders {
        LoaderFolders { systemd_boot: lib.join("systemd/boot/efi"), grub: lib.join("grub") }
    }

    /// The program that UEFI starts.
    ///
    /// # Errors
    /// A package is missing.
    pub fn for_uefi(&self, loader: UefiLoader) -> Result<Vec<u8>> {
        match loader {
            UefiLoader::SystemdBoot => {
                let path = self.systemd_boot.join("systemd-bootx64.efi");
                regular_file::read(&path, MOST).map_err(|error| {
                    Error::new(path.display(), format!("the loader systemd-boot: {}", error.cause()))
                        .remedy("install the Debian package systemd-boot-efi, or give `--loader grub`")
                })
            }
            // Without a device before it, the prefix is on the one that GRUB was started from.
            UefiLoader::Grub => {
                let modules = [MODULES, UEFI_MODULES].concat();
                self.grub("x86_64-efi", "/grub", &modules, "grub-efi-amd64-bin")
            }
        }
    }

    /// What a BIOS starts. `esp` is the number of the partition with `grub/grub.cfg`.
    ///
    /// # Errors
    /// A package is missing.
    pub fn for_bios(&self, esp: usize) -> Result<BootCode> {
        let modules = [MODULES, BIOS_MODULES].concat();
        // A prefix that begins with a comma is on the disk that GRUB was started from.
        let core = self.grub("i386-pc", &format!("(,gpt{esp})/grub"), &modules, "grub-pc-bin")?;
        let path = self.grub.join("i386-pc/boot.img");
        let boot = regular_file::read(&path, MOST)?;
        BootCode::new(boot, core)
    }

    fn grub(&self, format: &str, prefix: &str, modules: &[&str], package: &str) -> Result<Vec<u8>> {
        let folder = self.grub.join(format);
        if !folder.join("normal.mod").is_file() {
            let why = format!("the loader GRUB for {format} is missing");
            return Err(Error::new(folder.display(), why)
                .remedy(format!("install the Debian package {package}, or leave it out by `--firmware`")));
        }
        let mkimage = find_program("grub-mkimage", "grub-common")?;
        let mut command = Command::new(&mkimage);
        // The image goes to standard output, which grub-mkimage syncs: a pipe will not do, and a file without a name is left by nobody.
        let mut image = tempfile::tempfile().map_err(Error::on("a temporary file"))?;
        let standard_output = image.try_clone().map_err(Error::on("a temporary file"))?;
        command.arg("--directory").arg(&folder).args(["--format", format, "--prefix", prefix]);
        let output = command
            .args(modules)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(standard_output)
            .stderr(Stdio::piped())
            .output()
            .map_err(Error::on(mkimage.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Error::new(
                mkimage.display(),
                format!("ended with {}: {}", output.status, said.trim()),
            ));
        }
        let mut bytes = Vec::new();
        let read = image.rewind().and_then(|()| image.read_to_end(&mut bytes));
        read.map(|_| bytes).map_err(Error::on("a temporary file"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loader_that_is_missing_is_named_with_its_package() {
        let empty = tempfile::tempdir().unwrap();
        let folders = LoaderFolders::below(empty.path());
        let told = |error: Error| error.to_string();
        assert!(
            told(folders.for_uefi(UefiLoader::SystemdBoot).unwrap_err()).contains("package systemd-boot-efi")
        );
        assert!(told(folders.for_uefi(UefiLoader::Grub).unwrap_err()).contains("package grub-efi-amd64-bin"));
        assert!(told(folders.for_bios(2).unwrap_err()).contains("package grub-pc-bin"));
    }
}
