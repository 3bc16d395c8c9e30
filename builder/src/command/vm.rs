//! `lamina vm`.

use std::io::{IsTerminal, stdin};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use argh::{ArgsInfo, FromArgs};
use profiles::Name;
use serde_json::json;
use vm::acceleration::Acceleration;
use vm::kvm::{self, Verdict};
use vm::machine::{DiskFormat, Firmware, ForwardedPort, Machine};
use vm::qemu;

use super::disk::create::bytes;
use super::{at_most_one, kernel_named, print, print_json};
use crate::cache_folder;
use crate::command::context::Context;
use crate::disk::contents;
use crate::disk::contents::DiskGeneration;
use crate::disk::kernel::{BootFiles, InitramfsSource, boot_files};
use crate::disk::made_files::MadeFiles;
use crate::disk::pinned_kernel::PinnedKernels;
use crate::error::{Error, Result};
use crate::shell_word;
use crate::vm::guest::{DirectBoot, Hardware, takes_a_state};
use crate::vm::share::SharedFolder;
use crate::vm::state::{StateFile, USUAL_SIZE};
use crate::vm::{forward, medium};

/// Boot a profile in QEMU, straight from the store, or a disk as its firmware does. This terminal is the guest's serial console.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "vm",
    example = "lamina vm console",
    example = "lamina vm web --forward 8080:80 --memory 1G --state web.state",
    example = "lamina vm console --kernel 6.12 --append 'lamina.debug' --dry-run",
    example = "lamina vm --disk stick.img --firmware bios --display",
    note = "Ctrl-A X ends the guest, and so does `poweroff` in it. Ctrl-A H lists the other keys.",
    note = "What the guest writes is forgotten, but for --state, for folders of --share, and with --keep also for --disk and --usb.",
    note = "KVM is used when a guest has booted on it since this machine was started, which is tried once; else the processor is emulated. \
A line says which.",
    note = "Needs QEMU (Debian's qemu-system-x86), for --firmware uefi also OVMF (ovmf)."
)]
pub struct VmCommand {
    /// a profile that was locked
    #[argh(positional)]
    profile: Option<String>,
    /// boot this disk in place of a profile: raw, or what its ending says (qcow2, vmdk, vhdx)
    #[argh(option, arg_name = "image")]
    disk: Option<PathBuf>,
    /// what starts --disk: uefi or bios (default: uefi)
    #[argh(option, arg_name = "kind", from_str_fn(firmware))]
    firmware: Option<Firmware>,
    /// keep what the guest writes to --disk and --usb
    #[argh(switch)]
    keep: bool,
    /// for a profile that names no kernel: a name of `lamina kernel list`, a kernel package, or the folder of an unpacked one (default: 6.1, with --share 6.1-all, which has 9p)
    #[argh(option, arg_name = "name-or-file")]
    kernel: Option<String>,
    /// the static program that starts in the initramfs (default: that of this installation, ../lib/lamina/init, or init beside this program)
    #[argh(option, arg_name = "file")]
    init: Option<PathBuf>,
    /// an initramfs for the kernel, in place of the one that is made
    #[argh(option, arg_name = "file")]
    initramfs: Option<PathBuf>,
    /// kernel parameters behind those that the guest needs, as on a kernel command line
    #[argh(option, arg_name = "words", default = "String::new()")]
    append: String,
    /// the guest's memory, as 1G (default: 512M)
    #[argh(option, arg_name = "size", from_str_fn(bytes), default = "512 << 20")]
    memory: u64,
    /// how many processors the guest has (default: 2)
    #[argh(option, arg_name = "n", from_str_fn(processors), default = "2")]
    processors: u32,
    /// HOST:GUEST: this port of 127.0.0.1 leads to that TCP port of the guest; may be given several times
    #[argh(option, arg_name = "ports", from_str_fn(forward::parse))]
    forward: Vec<ForwardedPort>,
    /// give the guest no network
    #[argh(switch)]
    no_network: bool,
    /// DIR, or DIR:ro: a folder for the guest, below /run/host there; may be given several times
    #[argh(option, arg_name = "dir")]
    share: Vec<String>,
    /// a file that keeps what the guest changes; made when it is not there
    #[argh(option, arg_name = "file")]
    state: Option<PathBuf>,
    /// how large a new --state is; it takes room only as it fills (default: 4G)
    #[argh(option, arg_name = "size", from_str_fn(bytes))]
    state_size: Option<u64>,
    /// a stick on USB; may be given several times
    #[argh(option, arg_name = "image")]
    usb: Vec<PathBuf>,
    /// show the guest's screen in a window; the serial console stays here
    #[argh(switch)]
    display: bool,
    /// print QEMU's command line, and start nothing; files that it names are made
    #[argh(switch, short = 'n')]
    dry_run: bool,
    /// write JSON; with --dry-run
    #[argh(switch)]
    json: bool,
}

/// Of profiles that name none, when nobody says: made for virtual machines, and small.
const KERNEL: &str = "6.1";
/// The same with drivers for all hardware, and with 9p.
const KERNEL_WITH_9P: &str = "6.1-all";

fn firmware(text: &str) -> Result<Firmware, String> {
    match text {
        "uefi" => Ok(Firmware::Uefi),
        "bios" => Ok(Firmware::Bios),
        _ => Err(format!("'{}' is none of uefi, bios", text.escape_debug())),
    }
}

/// q35 has places for 255.
fn processors(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(count @ 1..=255) => Ok(count),
        _ => Err(format!("'{}' is no number from 1 to 255", text.escape_debug())),
    }
}

/// A guest as it will be started.
struct Planned {
    machine: Machine,
    /// Boots at once, to see whether KVM works.
    probe: Option<Machine>,
}

impl VmCommand {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let hardware = self.hardware()?;
        let planned = match (&self.profile, &self.disk) {
            (Some(profile), None) => self.of_profile(context, profile, &hardware)?,
            (None, Some(disk)) => self.of_disk(disk, &hardware)?,
            _ => {
                return Err(Error::new("vm", "boots one thing: a profile or a disk")
                    .remedy("give the name of a profile (`lamina profile list`), or `--disk IMAGE`"));
            }
        };
        let verdict = self.verdict(context, planned.probe.as_ref())?;
        if self.dry_run {
            return self.tell(&planned.machine, verdict);
        }
        context.report.line(format_args!("the guest is {verdict}; Ctrl-A X ends it"));
        for share in &hardware.shares {
            let there = match self.disk {
                None => format!("/run/host/{} in the guest", share.tag),
                Some(_) => format!("in the guest: {}", share.how_to_mount()),
            };
            context.report.line(format_args!("{}: {there}", share.folder.display()));
        }
        Err(qemu::hand_over(&planned.machine, verdict.acceleration()))
    }

    fn hardware(&self) -> Result<Hardware> {
        at_most_one(&[("--no-network", self.no_network), ("--forward", !self.forward.is_empty())])?;
        let memory_mib = u32::try_from(self.memory >> 20).unwrap_or(u32::MAX);
        if !(64..=1 << 20).contains(&memory_mib) {
            return Err(Error::new("--memory", format!("{memory_mib} MiB are no size for a guest"))
                .remedy("give a number from 64M to 1024G"));
        }
        for image in self.usb.iter().chain(&self.disk) {
            stack::beneath::regular_file(image).map_err(Error::on(image.display()))?;
        }
        Ok(Hardware {
            memory_mib,
            processors: self.processors,
            ports: (!self.no_network).then(|| self.forward.clone()),
            shares: SharedFolder::parse_all(&self.share)?,
            sticks: self.usb.clone(),
            window: self.display,
            keeps: self.keep,
        })
    }

    /// The firmware finds all that `of_profile` says by itself.
    fn of_disk(&self, disk: &Path, hardware: &Hardware) -> Result<Planned> {
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
        Ok(Planned { machine: hardware.of(machine), probe: None })
    }

    fn of_profile(&self, context: &Context, profile: &str, hardware: &Hardware) -> Result<Planned> {
        if self.firmware.is_some() || (self.keep && self.usb.is_empty()) {
            let option = if self.firmware.is_some() { "--firmware" } else { "--keep" };
            return Err(Error::new(option, "is for a disk, and a profile is started without one")
                .remedy("make one with `lamina disk create`, and give it with `--disk`"));
        }
        let remedy = "`lamina profile list` says which there are";
        let name = Name::parse(profile)
            .map_err(|error| Error::caused(format!("'{profile}'"), error).remedy(remedy))?;
        let store = context.store()?;
        let generation = contents::newest(&store, &name, &context.report)?;
        if self.state.is_some() {
            takes_a_state(&generation.contents)?;
        }
        let boot = self.kernel_of(context, &store, &generation)?;
        let [linux, initrd] = boot.places()?;
        let medium = medium::of(&store, &generation, &context.report)?;
        let size = self.state_size.unwrap_or(USUAL_SIZE);
        let state = self.state.as_ref().map(|path| StateFile::open_or_make(path, size)).transpose()?;
        let direct = DirectBoot {
            profile: &generation.contents,
            digest: generation.digest,
            linux,
            initrd,
            medium: &medium,
            state: state.as_ref(),
            append: &self.append,
        };
        let probe = Machine::new("kvm-probe", linux, initrd).parameter("lamina.store=initramfs");
        Ok(Planned { machine: direct.machine(hardware), probe: Some(probe) })
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
        match (pinned, &self.kernel, &generation.contents.kernel) {
            (Some(_), Some(given), Some(pin)) if pin.name.as_str() != given => {
                let cause =
                    format!("the profile {} is for {} ({})", generation.profile, pin.release, pin.name);
                Err(Error::new(format!("--kernel {given}"), cause)
                    .remedy("leave --kernel out; or take `kernel` out of the profile, and lock it again"))
            }
            (Some(own), ..) => Ok(own),
            (None, given, _) => {
                let usual = if self.share.is_empty() { KERNEL } else { KERNEL_WITH_9P };
                let (source, _) = kernel_named::source(context, given.as_deref().unwrap_or(usual))?;
                boot_files(&source, &initramfs, &made).map(Rc::new)
            }
        }
    }

    /// Whether KVM works; where no guest can be tried, what is known.
    fn verdict(&self, context: &Context, probe: Option<&Machine>) -> Result<Verdict> {
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

    fn tell(&self, machine: &Machine, verdict: Verdict) -> Result<ExitCode> {
        let words = qemu::command_line(machine, verdict.acceleration(), stdin().is_terminal())?;
        if self.json {
            let kvm = verdict.acceleration() == Acceleration::Kvm;
            print_json(&json!({ "command": words, "kvm": kvm, "why": verdict.to_string() }))?;
        } else {
            print(words.iter().map(|it| shell_word::plain(it)).collect::<Vec<_>>().join(" "))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
