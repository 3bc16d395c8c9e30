//! All that was asked for, as a machine.

use std::path::{Path, PathBuf};

use disk_image::DiskFormat;
use profiles::resolved::BootProfile;
use profiles::{Digest, WritableTop};
use vm::machine::{ForwardedPort, Lan, Machine};

use super::medium::Medium;
use super::share::SharedFolder;
use super::state::StateFile;
use crate::error::{Error, Result};

/// What every guest has, whatever starts it.
#[derive(Debug, Clone)]
pub struct Hardware {
    /// In MiB.
    pub memory_mib: u32,
    /// How many.
    pub processors: u32,
    /// Ports of the guest on 127.0.0.1; `None`: no network at all.
    pub ports: Option<Vec<ForwardedPort>>,
    /// A card on a network of guests.
    pub lan: Option<Lan>,
    /// The socket of a TPM.
    pub tpm: Option<PathBuf>,
    /// Folders of the host.
    pub shares: Vec<SharedFolder>,
    /// Sticks on USB.
    pub sticks: Vec<PathBuf>,
    /// What shows the screen.
    pub screen: Screen,
    /// The monitor of one that nobody sits at.
    pub monitor: Option<PathBuf>,
    /// Whether it can be kept as it runs, by that monitor.
    pub can_be_kept: bool,
    /// Whether what a guest writes to disks and sticks stays.
    pub keeps: bool,
}

/// What shows a guest's screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Screen {
    /// It has none.
    None,
    /// A window.
    Window,
    /// Pictures, which are asked for at this socket.
    Pictures(PathBuf),
}

/// A profile that is started without a loader.
#[derive(Debug)]
pub struct DirectBoot<'a> {
    /// What it says.
    pub profile: &'a BootProfile,
    /// SHA-256 of its file, which the command line binds.
    pub digest: Digest,
    /// The kernel.
    pub linux: &'a Path,
    /// The initramfs.
    pub initrd: &'a Path,
    /// Nobody sits at it: where its init has a recovery screen, or its kernel panics, it ends.
    pub is_attended: bool,
    /// Where its images are.
    pub medium: &'a Medium,
    /// What keeps changes.
    pub state: Option<&'a StateFile>,
    /// Kernel parameters, as a person writes them on a kernel command line.
    pub append: &'a str,
}

impl DirectBoot<'_> {
    /// The machine.
    pub fn machine(&self, hardware: &Hardware) -> Machine {
        let name = &self.profile.name;
        let mut machine = Machine::new(name.as_str(), self.linux, self.initrd)
            .parameter(&format!("lamina.store=UUID={}", self.medium.uuid))
            .parameter(&format!("lamina.profile={name}@{}", self.digest))
            .disk(&self.medium.path);
        if let Some(state) = self.state {
            machine = machine.kept_disk(&state.path).parameter(&format!("lamina.state=UUID={}", state.uuid));
        } else if matches!(self.profile.root, WritableTop::State(_)) && self.profile.sealed.is_none() {
            // It would be waited for.
            machine = machine.parameter("lamina.state=tmpfs");
        }
        if self.is_attended {
            machine = machine.parameter("panic=-1");
        }
        for parameter in kernel_command_line::parse(self.append) {
            let value = parameter.value.map_or_else(String::new, |value| format!("={value}"));
            machine = machine.parameter(&format!("{}{value}", parameter.name));
        }
        for share in &hardware.shares {
            machine = machine.parameter(&format!("lamina.share={}", share.parameter()));
        }
        // What comes behind it is none of init's.
        let of_the_real_init = kernel_command_line::for_init(self.append);
        if !of_the_real_init.is_empty() {
            machine = machine.parameters(&format!("-- {}", of_the_real_init.join(" ")));
        }
        hardware.of(machine)
    }
}

/// Sees that a state can take the place of a profile's own top.
///
/// # Errors
/// It is sealed, or has none.
pub fn takes_a_state(profile: &BootProfile) -> Result<()> {
    let why = match (&profile.sealed, &profile.root) {
        (Some(_), _) => "is sealed",
        (None, WritableTop::None) => "has no writable top",
        (None, WritableTop::Tmpfs { .. } | WritableTop::State(_)) => return Ok(()),
    };
    let cause = format!("{why}, and so takes no state of the command line");
    Err(Error::new(format!("profile {}", profile.name), cause).remedy("leave --state out"))
}

/// Sees that folders of this machine can be given to a profile.
///
/// # Errors
/// It is sealed.
pub fn takes_folders(profile: &BootProfile) -> Result<()> {
    match &profile.sealed {
        None => Ok(()),
        Some(_) => {
            let cause = "is sealed, and so takes no folders of the command line";
            Err(Error::new(format!("profile {}", profile.name), cause).remedy("leave --share out"))
        }
    }
}

impl Hardware {
    /// The machine with all of this.
    pub fn of(&self, mut machine: Machine) -> Machine {
        machine = machine.memory_mib(self.memory_mib).processors(self.processors);
        machine = match &self.screen {
            Screen::None => machine,
            Screen::Window => machine.window(),
            Screen::Pictures(monitor) => machine.screen(monitor).speaks_on_screen(),
        };
        if let Some(ports) = &self.ports {
            machine = machine.network(ports);
        }
        if let Some(monitor) = &self.monitor {
            machine =
                if self.can_be_kept { machine.can_be_kept(monitor) } else { machine.monitored(monitor) };
        }
        if let Some(lan) = self.lan {
            machine = machine.lan(lan);
        }
        if let Some(socket) = &self.tpm {
            machine = machine.tpm(socket);
        }
        for share in &self.shares {
            machine = machine.nine_p(&share.tag, &share.folder, share.access);
        }
        for stick in &self.sticks {
            machine = machine.usb_stick_of(stick, DiskFormat::of_name(stick), !self.keeps);
        }
        machine
    }
}
