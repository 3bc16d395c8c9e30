//! What starts a machine: a kernel that QEMU was handed, or a firmware that looks at the disks.

use std::path::Path;

use fault::Error;

use super::Machine;
use super::option::{text, words};

/// What finds the loader on a disk of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS, which QEMU brings along.
    Bios,
    /// OVMF, of Debian's package `ovmf`.
    Uefi,
}

/// OVMF: its code, and its variables as they are on a new machine.
const OVMF: [&str; 2] = ["/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"];

impl Firmware {
    /// Sees that it is on this machine.
    ///
    /// # Errors
    /// OVMF is not, with the package that has it.
    pub fn require(self) -> Result<(), Error> {
        let files: &[&str] = if self == Self::Uefi { &OVMF } else { &[] };
        match files.iter().find(|file| !Path::new(file).is_file()) {
            None => Ok(()),
            Some(missing) => {
                Err(Error::new(missing, "is not there").remedy("install OVMF (Debian's package ovmf)"))
            }
        }
    }
}

impl Machine {
    /// As [`Machine::new`], but what is started is what the firmware finds on the first disk: no kernel is handed to QEMU.
    pub fn from_firmware(name: &str, firmware: Firmware) -> Self {
        let machine = Self::new(name, Path::new(""), Path::new(""));
        Self { firmware: Some(firmware), from_disk: true, ..machine }
    }

    /// Has this firmware start the kernel that was handed to QEMU, in place of SeaBIOS: UEFI leaves it a framebuffer.
    #[must_use]
    pub fn firmware(mut self, firmware: Firmware) -> Self {
        self.firmware = Some(firmware);
        self
    }

    /// The firmware, and the kernel that was handed over, whichever of the two there is.
    pub(super) fn start_arguments(&self) -> Vec<String> {
        let mut arguments = match self.firmware {
            None | Some(Firmware::Bios) => Vec::new(),
            Some(Firmware::Uefi) => {
                let [code, variables] = OVMF;
                let flash = "if=pflash,format=raw";
                words(&format!(
                    "-drive {flash},readonly=on,file={code} -drive {flash},snapshot=on,file={variables}"
                ))
            }
        };
        if !self.from_disk {
            let handed = [
                ("-kernel", text(&self.kernel)),
                ("-initrd", text(&self.initramfs)),
                ("-append", self.command_line.join(" ")),
            ];
            arguments.extend(handed.into_iter().flat_map(|(option, value)| [option.to_owned(), value]));
        }
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acceleration::Acceleration;

    #[test]
    fn firmware_starts_what_is_on_the_disk_or_was_handed_over() {
        let started = |firmware| {
            let machine = Machine::from_firmware("m", firmware).disk(Path::new("/d")).parameter("never.seen");
            machine.arguments(Acceleration::Emulated).join(" ")
        };
        let (bios, uefi) = (started(Firmware::Bios), started(Firmware::Uefi));
        for started in [&bios, &uefi] {
            assert!(!["-kernel", "-initrd", "-append", "never.seen"].iter().any(|it| started.contains(it)));
            assert!(started.contains("file=/d,if=virtio"), "{started}");
        }
        let handed = Machine::new("m", Path::new("/k"), Path::new("/i")).firmware(Firmware::Uefi);
        let handed = handed.arguments(Acceleration::Emulated).join(" ");
        assert!(
            handed.contains("OVMF_CODE") && handed.contains("-kernel /k -initrd /i -append "),
            "{handed}"
        );
        assert!(uefi.contains("OVMF_CODE") && !bios.contains("OVMF"), "{uefi}");
    }
}
