//! `lamina vm`.

mod jobs;
mod planned;

use std::io::{IsTerminal, stdin};
use std::path::PathBuf;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use serde_json::json;
use vm::acceleration::Acceleration;
use vm::kvm::Verdict;
use vm::machine::{Firmware, ForwardedPort, Machine};
use vm::qemu;
use vm::tpm::TpmDaemon;

use super::disk::create::bytes;
use super::{print, print_json};
use crate::command::context::Context;
use crate::error::{Error, Result};
use crate::scratch::temporary::TemporaryFolder;
use crate::shell_word;
use crate::vm::forward;
use crate::vm::job::Outcome;

/// Boot a profile in QEMU, straight from the store, or a disk as its firmware does. This terminal is the guest's serial console.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "vm",
    example = "lamina vm console",
    example = "lamina vm web --forward 8080:80 --memory 1G --state web.state",
    example = "lamina vm console --kernel linux-vm",
    example = "lamina vm console --kernel 6.12 --append 'lamina.debug' --dry-run",
    example = "lamina vm --disk stick.img --firmware bios --display",
    example = "lamina vm web --run 'wget -qO- http://127.0.0.1/'",
    example = "lamina vm web --test tests/page.sh --test tests/log.sh --junit vm.xml",
    note = "Ctrl-A X ends the guest, and so does `poweroff` in it. Ctrl-A H lists the other keys.",
    note = "What the guest writes is forgotten, but for --state, for folders of --share, and with --keep also for --disk and --usb.",
    note = "KVM is used when a guest has booted on it since this machine was started, which is tried once; else the processor is emulated. \
A line says which.",
    note = "--run and --test need no network and no login: they start when the system is up (systemd says so, or a program has the console), as root, \
in /root, and the guest ends with them. What happens in it goes to --log.",
    error_code(124, "With --run: the command did not end within --timeout."),
    error_code(125, "With --run and --test: the guest did not come up, or was lost."),
    error_code(
        126,
        "With --run: the command could not be started. Else the exit status is that of the command, or 128 and the number of a signal."
    ),
    note = "Needs QEMU (Debian's qemu-system-x86), for --firmware uefi also OVMF (ovmf), for --tpm also swtpm, for --display its GTK window (qemu-system-gui)."
)]
pub struct VmCommand {
    /// a profile that was locked
    #[argh(positional)]
    profile: Option<String>,
    /// boot this disk in place of a profile: a device, or a file that is raw or what its ending says (qcow2, vmdk, vhdx)
    #[argh(option, arg_name = "image")]
    disk: Option<PathBuf>,
    /// what starts --disk: uefi or bios (default: uefi)
    #[argh(option, arg_name = "kind", from_str_fn(firmware))]
    firmware: Option<Firmware>,
    /// open the other files that images of --disk and --usb name, too: a backing file, extents; the guest can read what is in them
    #[argh(switch)]
    backing: bool,
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
    /// a network with all other guests of this user that name it; its card comes behind the first one
    #[argh(option, arg_name = "name")]
    network: Option<String>,
    /// give the guest a TPM 2.0 that knows nothing yet
    #[argh(switch)]
    tpm: bool,
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
    /// run this in the guest's shell when its system is up; its output, its errors and its exit status are those of this command
    #[argh(option, arg_name = "command")]
    run: Option<String>,
    /// run this script or static program in the guest, and say whether it ended with 0; may be given several times
    #[argh(option, arg_name = "script")]
    test: Vec<PathBuf>,
    /// do not boot, but go on from where --run or --test begin: the first call keeps the guest there, and each begins with it again
    #[argh(switch)]
    snapshot: bool,
    /// seconds until the system must be up, and that --run or a --test may take (default: 300)
    #[argh(option, arg_name = "seconds", from_str_fn(seconds))]
    timeout: Option<u32>,
    /// write what became of --test or --run, as JUnit's XML
    #[argh(option, arg_name = "file")]
    junit: Option<PathBuf>,
    /// write the boot report of the guest of --run or --test, as JSON
    #[argh(option, arg_name = "file")]
    report: Option<PathBuf>,
    /// write all that the guest of --run or --test prints on its console
    #[argh(option, arg_name = "file")]
    log: Option<PathBuf>,
    /// write what the guest's screen shows, a .png or .ppm, when its system is up and --run or --test are done
    #[argh(option, arg_name = "file")]
    screenshot: Option<PathBuf>,
    /// print QEMU's command line, and start nothing; files that it names are made
    #[argh(switch, short = 'n')]
    dry_run: bool,
    /// write JSON; with --dry-run, --run and --test
    #[argh(switch)]
    json: bool,
}

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

fn seconds(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(seconds @ 1..) => Ok(seconds),
        _ => Err(format!("'{}' is no number of seconds", text.escape_debug())),
    }
}

/// Seconds, when nobody says: an emulated guest with systemd on a busy machine takes one minute.
const TIMEOUT: u32 = 300;

impl VmCommand {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let is_attended = self.nobody_sits_at_it();
        let mut context = context.clone();
        if is_attended {
            context.report = context.report.beside_a_program();
        }
        match self.start(&context) {
            Err(error) if is_attended && jobs::nobody_reads_it(&error) => Ok(jobs::NOBODY_READS.into()),
            Err(error) if is_attended => {
                cli::progress::line(format_args!("lamina: {error}"));
                Ok(jobs::OWN_FAILURE.into())
            }
            done => done,
        }
    }

    fn start(&self, context: &Context) -> Result<ExitCode> {
        let junit = self.junit()?;
        let mut outcomes = Vec::new();
        let ended = self.start_with(context, &mut outcomes);
        let told = junit.map_or(Ok(()), |file| self.tell_junit(file, &outcomes, ended.as_ref().err()));
        // Why there is nothing to tell of is told first.
        ended.and_then(|status| told.map(|()| status))
    }

    fn start_with(&self, context: &Context, outcomes: &mut Vec<Outcome>) -> Result<ExitCode> {
        let work = self.work()?;
        let scratch = (work.is_some() || self.tpm).then(|| TemporaryFolder::make("vm")).transpose()?;
        let tpm = scratch.as_ref().filter(|_| self.tpm);
        let tpm = tpm.map(|scratch| TpmDaemon::start(scratch.path())).transpose()?;
        let hardware = self.hardware(tpm.as_ref(), scratch.as_ref())?;
        let for_agent = scratch.as_ref().filter(|_| work.is_some());
        let planned = match (&self.profile, &self.disk) {
            (Some(profile), None) => self.of_profile(context, profile, &hardware, for_agent)?,
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
        if let Some((work, scratch)) = work.zip(scratch.as_ref()) {
            context.report.detail(format_args!("the guest is {verdict}"));
            return self.attend(context, (&planned, scratch), verdict.acceleration(), work, outcomes);
        }
        context.report.line(format_args!("the guest is {verdict}; Ctrl-A X ends it"));
        for share in &planned.shares {
            let there = match self.disk {
                None => format!("/run/host/{} in the guest", share.tag),
                Some(_) => format!("in the guest: {}", share.how_to_mount()),
            };
            context.report.line(format_args!("{}: {there}", share.folder.display()));
        }
        if let Some(scratch) = scratch {
            scratch.leave_to_next_program().map_err(Error::on("the folder of the guest"))?;
        }
        Err(qemu::hand_over(&planned.machine, verdict.acceleration()))
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
