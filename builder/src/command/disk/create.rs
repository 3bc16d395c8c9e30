//! `lamina disk create`.

use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use boot_entry::{Choice, Parameter};
use disk_image::DiskFormat;
use profiles::{Name, TmpfsSize};

use super::destination::{Destination, Writing};
use crate::command::context::Context;
use crate::command::{at_most_one, kernel_named, profile_named};
use crate::disk::assembly::DiskRequest;
use crate::disk::contents::{self, DiskGeneration};
use crate::disk::kernel::{InitramfsSource, boot_files, kernel_of};
use crate::disk::loader::{Firmware, LoaderFolders, UefiLoader};
use crate::disk::made_files::MadeFiles;
use crate::disk::pinned_kernel::{DiskKernels, PinnedKernels};
use crate::error::{Error, Result};
use crate::store::Store;

/// Make a disk that shows a menu of profiles on a PC, with UEFI and with a BIOS, as an image or on a device. An image takes no root, no
/// mount and no loop device, and the same store and options give the same bytes.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "create",
    example = "lamina disk create stick.img --profile console --profile web --profile rescue",
    example = "lamina disk create vm.img --profile web --kernel 6.12 --state 2G --option console=ttyS0 --timeout 1",
    example = "lamina disk create stick.img --profile console --profile rescue --generations 2 --tries 3",
    example = "lamina disk create vm.qcow2 --profile web --format qcow2",
    example = "lamina disk create --device /dev/sdX --profile console --profile rescue",
    note = "The first profile boots by itself. Every entry binds its profile by digest, and with it what may take its place: an older \
generation that is on the disk, and the rescue.",
    note = "The loader of UEFI is systemd-boot (Debian's systemd-boot-efi), or GRUB with --loader grub (grub-efi-amd64-bin); that of a \
BIOS is GRUB (grub-pc-bin). Secure Boot has to be off.",
    note = "A profile that names a kernel starts with that, and with an initramfs that is made for it: profiles with the same kernel share both. \
--kernel is for all others.",
    note = "The initramfs is made by mkinitramfs from --init, or given with --initramfs. What was made once stays in the cache.",
    note = "With --tries, `lamina bless` in the system that came up ends the counting of its entry.",
    note = "--device shows what lies on the device, and asks for its name before anything is lost. It refuses one that is in use. What was \
written is read back and compared; holes of the image are left out."
)]
pub(super) struct Create {
    /// the image to write
    #[argh(positional)]
    out: Option<PathBuf>,
    /// write to this disk in place of an image; all that is on it is lost
    #[argh(option, arg_name = "disk")]
    device: Option<PathBuf>,
    /// the kernel's name of that disk, as sdX: nobody is asked
    #[argh(option, arg_name = "name")]
    erase: Option<String>,
    /// raw, qcow2, vmdk or vhdx, the last three by qemu-img (default: raw)
    #[argh(option, arg_name = "kind", from_str_fn(disk_format))]
    format: Option<DiskFormat>,
    /// a profile that was locked, in the order of the menu; may be given several times
    #[argh(option, arg_name = "name")]
    profile: Vec<String>,
    /// the profile that comes up when nothing else does, last in the menu (default: rescue, where --profile names it)
    #[argh(option, arg_name = "name")]
    rescue: Option<String>,
    /// how many generations of each profile go onto the disk, the newest ones (default: 1)
    #[argh(option, arg_name = "n")]
    generations: Option<NonZero<usize>>,
    /// for profiles that name no kernel: a name of `lamina kernel list`, a kernel package, or the folder of an unpacked one (default: 6.1-all)
    #[argh(option, arg_name = "name-or-file")]
    kernel: Option<String>,
    /// the static program that starts in the initramfs (default: that of this installation, ../lib/lamina/init, or init beside this program)
    #[argh(option, arg_name = "file")]
    init: Option<PathBuf>,
    /// an initramfs for the kernel, in place of those that are made
    #[argh(option, arg_name = "file")]
    initramfs: Option<PathBuf>,
    /// uefi, bios or both (default: both)
    #[argh(
        option,
        arg_name = "kind",
        from_str_fn(firmware),
        default = "Firmware { uefi: true, bios: true }"
    )]
    firmware: Firmware,
    /// the loader that UEFI starts: systemd-boot or grub (default: systemd-boot)
    #[argh(option, arg_name = "name", from_str_fn(uefi_loader), default = "UefiLoader::SystemdBoot")]
    loader: UefiLoader,
    /// a kernel parameter for every entry, without quotes; may be given several times
    #[argh(option, arg_name = "parameter")]
    option: Vec<String>,
    /// seconds until the first entry boots (default: 5)
    #[argh(option, arg_name = "seconds", default = "5")]
    timeout: u32,
    /// how often a loader tries the newest generation of a profile before it takes another entry; GRUB counts what boots by itself, up to 9 (default: none is counted)
    #[argh(option, arg_name = "n")]
    tries: Option<NonZero<u32>>,
    /// let what was started last boot by itself, whatever became of it; the first entry before anything was
    #[argh(switch)]
    last: bool,
    /// the length of the image, as 8G (default: what is needed; a device is filled)
    #[argh(option, arg_name = "size", from_str_fn(bytes))]
    size: Option<u64>,
    /// add a partition of this length, on which changes last, as 2G
    #[argh(option, arg_name = "size", from_str_fn(bytes))]
    state: Option<u64>,
    /// print what would be written, and write nothing
    #[argh(switch, short = 'n')]
    dry_run: bool,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

fn firmware(text: &str) -> Result<Firmware, String> {
    Firmware::parse(text)
}

fn disk_format(text: &str) -> Result<DiskFormat, String> {
    DiskFormat::parse(text)
}

fn uefi_loader(text: &str) -> Result<UefiLoader, String> {
    UefiLoader::parse(text)
}

pub(in crate::command) fn bytes(text: &str) -> Result<u64, String> {
    match TmpfsSize::parse(text) {
        Some(TmpfsSize::Bytes(bytes)) => Ok(bytes),
        _ => Err(format!(
            "'{}' is no size: write a number of bytes, or one with K, M or G",
            text.escape_debug()
        )),
    }
}

/// The kernel of profiles that name none, when nobody says.
const KERNEL: &str = "6.1-all";

/// A rescue that is for one kernel takes the place of nothing that starts with another.
fn rescue_warnings(chosen: &[Vec<DiskGeneration>], rescue: Option<&Name>, boot: &DiskKernels) -> Vec<String> {
    let of_rescue =
        |profile: &&Vec<DiskGeneration>| profile.first().is_some_and(|it| Some(&it.profile) == rescue);
    let pin = chosen.iter().find(of_rescue).and_then(|it| it.first()?.contents.kernel.as_ref());
    let Some((pin, rescue)) = pin.zip(rescue) else { return Vec::new() };
    let newest = chosen.iter().filter_map(|it| it.first());
    let others = newest.filter(|it| boot.of(it).is_ok_and(|files| files.release != pin.release.as_str()));
    let sentence = |it: &DiskGeneration| {
        format!(
            "{rescue} is for kernel {}, and {} starts with another: it does not take its place",
            pin.release, it.profile
        )
    };
    others.map(sentence).collect()
}

/// Where the kernel speaks when nobody says: on the first serial line too, and at the screen, where the shell is.
const CONSOLES: [&str; 2] = ["console=ttyS0,115200", "console=tty0"];

impl Create {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        at_most_one(&[("--init", self.init.is_some()), ("--initramfs", self.initramfs.is_some())])?;
        at_most_one(&[("--size", self.size.is_some()), ("--device", self.device.is_some())])?;
        let target = Destination::of(self.out.as_ref(), self.format, self.device.as_ref())?;
        let (names, rescue) = self.names()?;
        let parameters = self.parameters()?;
        let store = context.store()?;
        let most = self.generations.unwrap_or(NonZero::<usize>::MIN);
        let chosen = contents::choose(&store, &names, most, &context.report)?;
        if self.state.is_some() {
            for kept in chosen.iter().flatten().filter(|it| !it.takes_a_state) {
                let (name, number) = (&kept.profile, kept.number);
                context.report.detail(format_args!(
                    "{name}, generation {number}: does not use --state: it is sealed, or says itself what becomes of changes"
                ));
            }
        }
        let boot = self.kernels(context, &store, &chosen)?;
        rescue_warnings(&chosen, rescue.as_ref(), &boot)
            .iter()
            .for_each(|warning| context.report.line(format_args!("warning: {warning}")));
        let request = DiskRequest {
            chosen: &chosen,
            store: contents::files(&store, &chosen)?,
            boot: &boot,
            firmware: self.firmware,
            loader: self.loader,
            folders: LoaderFolders::default(),
            rescue,
            parameters,
            timeout: self.timeout,
            choice: self.choice()?,
            size: target.size().or(self.size),
            state: self.state,
        };
        let planned = request.plan()?;
        let writing = Writing {
            dry_run: self.dry_run,
            json: self.json,
            erase: self.erase.as_deref(),
            of_device: "it can be unplugged",
        };
        target.finish(context, &planned, &writing)?;
        Ok(ExitCode::SUCCESS)
    }

    /// The profiles in the order of the menu, each once, and which of them is the rescue.
    fn names(&self) -> Result<(Vec<Name>, Option<Name>)> {
        let mut names: Vec<Name> = Vec::new();
        for text in self.profile.iter().chain(&self.rescue) {
            let name = profile_named::name(text)?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.is_empty() {
            return Err(Error::new("disk", "no profile is named").remedy("give `--profile NAME`"));
        }
        let rescue = self.rescue.as_deref().map(profile_named::name).transpose()?;
        let usual = names.iter().find(|name| name.as_str() == "rescue").cloned();
        Ok((names, rescue.or(usual)))
    }

    /// What boots by itself.
    fn choice(&self) -> Result<Choice> {
        match (self.tries, self.last) {
            (None, false) => Ok(Choice::Default),
            (Some(tries), false) => Ok(Choice::Counted(tries)),
            (None, true) => Ok(Choice::Last),
            (Some(_), true) => Err(Error::new(
                "--last",
                "is no choice beside --tries: it has a loader start an entry however often that failed",
            )
            .remedy("give one of the two")),
        }
    }

    fn parameters(&self) -> Result<Vec<Parameter>> {
        let given = self.option.iter().map(String::as_str);
        // Of several consoles the last one is that of the shell.
        let all = CONSOLES.into_iter().chain(given);
        all.map(|text| Parameter::for_all_entries(text).map_err(Error::on(format!("--option '{text}'"))))
            .collect()
    }

    /// What each generation starts with: the kernel that its profile names, else that of `--kernel`.
    fn kernels(
        &self,
        context: &Context,
        store: &Store,
        chosen: &[Vec<DiskGeneration>],
    ) -> Result<DiskKernels> {
        let (mut kernels, mut pinned) = (DiskKernels::default(), PinnedKernels::default());
        let is_for_any = |it: &DiskGeneration| it.contents.kernel.is_none();
        let named = self.kernel.as_deref().unwrap_or(KERNEL);
        let any = chosen.iter().flatten().any(is_for_any);
        // A listed one is fetched, with progress of its own.
        let source =
            (any || self.kernel.is_some()).then(|| kernel_named::source(context, named)).transpose()?;
        let initramfs = InitramfsSource::of_options(self.init.as_ref(), self.initramfs.as_ref())?;
        let made = MadeFiles::of_this_user(&context.report);
        let _meter = context.report.progress().work("reading kernels and making initramfs files");
        for it in chosen.iter().flatten() {
            let own = pinned.of(&it.contents, store, &initramfs, &made)?;
            kernels.own.extend(own.map(|own| (it.digest, own)));
        }
        match source {
            Some((source, _)) if any => kernels.all = Some(boot_files(&source, &initramfs, &made)?),
            Some((source, _)) => {
                kernel_named::refuse_other(named, &kernel_of(&source, &made)?, chosen.iter().flatten())?
            }
            None => {}
        }
        Ok(kernels)
    }
}
