//! What `lamina vm` is asked for, as a machine.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use disk_image::DiskFormat;
use installation::own_part;
use profiles::Digest;
use vm::kvm::{self, Verdict};
use vm::machine::{Firmware, Machine};
use vm::tpm::TpmDaemon;

use super::VmCommand;
use crate::command::context::Context;
use crate::command::{at_most_one, kernel_named, profile_named};
use crate::digest::digest_file;
use crate::disk::contents;
use crate::disk::contents::DiskGeneration;
use crate::disk::kernel::{BootFiles, InitramfsSource, boot_files, kernel_of};
use crate::disk::made_files::MadeFiles;
use crate::disk::pinned_kernel::PinnedKernels;
use crate::error::{Error, Result};
use crate::scratch::temporary::TemporaryFolder;
use crate::vm::guest::{DirectBoot, Hardware, Screen, takes_a_state, takes_folders};
use crate::vm::share::SharedFolder;
use crate::vm::state::{StateFile, USUAL_SIZE};
use crate::vm::{beside, foreign_disk, forward, lan, least_memory, medium};

/// Of profiles that name none, when nobody says: made for virtual machines, and small.
const KERNEL: &str = "6.1";
/// The same with drivers for all hardware, and with 9p.
const KERNEL_WITH_9P: &str = "6.1-all";

/// Of a guest that nobody sits at, in its scratch.
const INITRAMFS: &str = "initramfs";
/// QEMU's monitor, in the same place.
const MONITOR: &str = "monitor";

/// The initramfs and, behind it, the agent.
fn with_agent(initrd: &Path, scratch: &TemporaryFolder) -> Result<PathBuf> {
    let agent = own_part("guest-agent").ok_or_else(|| {
        Error::new("guest-agent", installation::NOT_FOUND)
            .remedy("`make init` builds it; without it a guest takes no --run and no --test")
    })?;
    let output = scratch.path().join(INITRAMFS);
    beside::write(initrd, &agent, &output)?;
    Ok(output)
}

/// A guest as it will be started.
pub(super) struct Planned {
    pub(super) machine: Machine,
    /// Boots at once, to see whether KVM works.
    pub(super) probe: Option<Machine>,
    /// SHA-256 of what it boots from, where no name of a file says so.
    pub(super) files: Vec<Digest>,
    /// Folders of this machine, which it should find.
    pub(super) shares: Vec<SharedFolder>,
}

impl VmCommand {
    /// `tpm`: the socket of one that is there.
    pub(super) fn hardware(
        &self,
        tpm: Option<&TpmDaemon>,
        scratch: Option<&TemporaryFolder>,
    ) -> Result<Hardware> {
        at_most_one(&[("--no-network", self.no_network), ("--forward", !self.forward.is_empty())])?;
        let memory_mib = u32::try_from(self.memory >> 20).unwrap_or(u32::MAX);
        if !(64..=1 << 20).contains(&memory_mib) {
            return Err(Error::new("--memory", format!("{memory_mib} MiB are no size for a guest"))
                .remedy("give a number from 64M to 1024G"));
        }
        if self.backing && self.usb.is_empty() && self.disk.is_none() {
            return Err(Error::new("--backing", "is for images of --disk and --usb").remedy("leave it out"));
        }
        for image in self.usb.iter().chain(&self.disk) {
            foreign_disk::can_be_one(image, self.keep, self.backing)?;
        }
        if !self.dry_run {
            forward::are_free(&self.forward)?;
        }
        Ok(Hardware {
            memory_mib,
            processors: self.processors,
            ports: (!self.no_network).then(|| self.forward.clone()),
            shares: SharedFolder::parse_all(&self.share)?,
            lan: self.network.as_deref().map(lan::card).transpose()?,
            tpm: tpm.map(|daemon| daemon.socket().to_owned()),
            sticks: self.usb.clone(),
            monitor: scratch.filter(|_| self.nobody_sits_at_it()).map(|scratch| scratch.path().join(MONITOR)),
            can_be_kept: self.snapshot,
            screen: match (&self.screenshot, scratch) {
                (Some(_), Some(scratch)) => Screen::Pictures(scratch.path().join(MONITOR)),
                _ if self.display => Screen::Window,
                _ => Screen::None,
            },
            keeps: self.keep,
        })
    }

    /// The firmware finds all that `of_profile` says by itself.
    pub(super) fn of_disk(&self, disk: &Path, hardware: &Hardware) -> Result<Planned> {
        let of_profiles = [
            ("--kernel", self.kernel.is_some()),
            ("--init", self.init.is_some()),
            ("--initramfs", self.initramfs.is_some()),
            ("--append", !self.append.is_empty()),
            ("--state", self.state.is_some()),
            ("--state-size", self.state_size.is_some()),
        ];
        if let Some((option, _)) = of_profiles.into_iter().find(|(_, given)| *given) {
            return Err(Error::new(option, "is for a profile: what a disk boots with stands on the disk")
                .remedy("leave it out, or give a profile in place of `--disk`"));
        }
        let firmware = self.firmware.unwrap_or(Firmware::Uefi);
        let name = disk.file_name().unwrap_or_default().to_string_lossy();
        firmware.require()?;
        let format = DiskFormat::of_name(disk);
        let machine = Machine::from_firmware(&name, firmware).restarts().disk_of(disk, format, !self.keep);
        Ok(Planned {
            machine: hardware.of(machine),
            probe: None,
            files: Vec::new(),
            shares: hardware.shares.clone(),
        })
    }

    /// `scratch`, of a guest that nobody sits at: the initramfs with its agent lies there.
    pub(super) fn of_profile(
        &self,
        context: &Context,
        profile: &str,
        hardware: &Hardware,
        scratch: Option<&TemporaryFolder>,
    ) -> Result<Planned> {
        if self.firmware.is_some() || (self.keep && self.usb.is_empty()) {
            let option = if self.firmware.is_some() { "--firmware" } else { "--keep" };
            return Err(Error::new(option, "is for a disk, and a profile is started without one")
                .remedy("make one with `lamina disk create`, and give it with `--disk`"));
        }
        let (name, store) = (profile_named::name(profile)?, context.store()?);
        let generation = contents::newest(&store, &name, &context.report)?;
        if self.state.is_some() {
            takes_a_state(&generation.contents)?;
        }
        if !hardware.shares.is_empty() {
            takes_folders(&generation.contents)?;
        }
        let boot = self.kernel_of(context, &store, &generation)?;
        let [linux, initrd] = boot.places()?;
        least_memory::suffices(hardware.memory_mib, linux, initrd)?;
        let medium = medium::of(&store, &generation, &context.report)?;
        if self.state_size.is_some() && self.state.is_none() {
            return Err(
                Error::new("--state-size", "is for a --state").remedy("add `--state FILE`, or leave it out")
            );
        }
        let size = self.state_size.unwrap_or(USUAL_SIZE);
        let state = self.state.as_ref().map(|path| StateFile::open_or_make(path, size)).transpose()?;
        let mut files: Vec<Digest> = [&boot.linux, &boot.initrd].iter().filter_map(|it| it.digest).collect();
        let own = scratch.map(|scratch| with_agent(initrd, scratch)).transpose()?;
        if let Some(own) = own.as_deref().filter(|_| self.snapshot) {
            files.push(digest_file(own)?.0);
        }
        let direct = DirectBoot {
            profile: &generation.contents,
            digest: generation.digest,
            linux,
            initrd: own.as_deref().unwrap_or(initrd),
            is_attended: own.is_some(),
            medium: &medium,
            state: state.as_ref(),
            append: &self.append,
        };
        let probe = Machine::new("kvm-probe", linux, initrd).parameter("lamina.store=initramfs");
        Ok(Planned {
            machine: direct.machine(hardware),
            probe: Some(probe),
            files,
            shares: hardware.shares.clone(),
        })
    }

    /// The kernel that the profile names, else that of `--kernel`.
    fn kernel_of(
        &self,
        context: &Context,
        store: &crate::store::Store,
        generation: &DiskGeneration,
    ) -> Result<Rc<BootFiles>> {
        let initramfs = InitramfsSource::of_options(self.init.as_ref(), self.initramfs.as_ref())?;
        let made = MadeFiles::of_this_user(&context.report);
        let _meter = context.report.progress().work("reading the kernel and its initramfs");
        let pinned = PinnedKernels::default().of(&generation.contents, store, &initramfs, &made)?;
        match (pinned, &self.kernel) {
            (Some(own), None) => Ok(own),
            (Some(own), Some(given)) => {
                let (source, _) = kernel_named::source(context, given)?;
                kernel_named::refuse_other(given, &kernel_of(&source, &made)?, [generation].into_iter())?;
                Ok(own)
            }
            (None, given) => {
                let usual = if self.share.is_empty() { KERNEL } else { KERNEL_WITH_9P };
                let (source, _) = kernel_named::source(context, given.as_deref().unwrap_or(usual))?;
                boot_files(&source, &initramfs, &made).map(Rc::new)
            }
        }
    }

    /// Whether KVM works; where no guest can be tried, what is known.
    pub(super) fn verdict(&self, context: &Context, probe: Option<&Machine>) -> Result<Verdict> {
        let kept = cache_folder::of("kvm-verdict")?;
        match probe.filter(|_| !self.dry_run) {
            None => kvm::known(&kept),
            Some(machine) => {
                let try_it = || {
                    let _meter = context.report.progress().work("trying a guest on KVM");
                    kvm::guest_boots(machine, "lamina", &cache_folder::of("vm")?.join("kvm-probe.log"))
                };
                kvm::best(&kept, try_it, |_| {})
            }
        }
    }
}
