//! `lamina disk`: images of disks that boot.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use atomic_file::{Form, Output};
use boot_entry::Parameter;
use cli::numbers::human_size;
use profiles::{Name, TmpfsSize};
use serde_json::{Value, json};

use super::{at_most_one, kernel, print, print_json};
use crate::command::context::Context;
use crate::disk::assembly::{DiskRequest, PlannedDisk};
use crate::disk::contents;
use crate::disk::inspection::{self, Inspection, candidates};
use crate::disk::kernel::{InitramfsSource, beside, boot_files};
use crate::disk::loader::{Firmware, LoaderFolders, UefiLoader};
use crate::error::{Error, Result};
use crate::fetch::{Console, Fetcher};
use crate::kernels;

/// Make images of disks that boot into a menu of profiles, and look at them.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "disk",
    example = "lamina disk create stick.img --profile console --profile web\nlamina disk inspect stick.img"
)]
pub struct DiskCommand {
    #[argh(subcommand)]
    action: Action,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum Action {
    Create(Create),
    Inspect(Inspect),
}

/// Write the image of a disk that shows a menu of profiles on a PC, with UEFI and with a BIOS. It takes no root, no mount and no
/// loop device, and the same store and options give the same bytes.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "create",
    example = "lamina disk create stick.img --profile console --profile web --profile rescue",
    example = "lamina disk create vm.img --profile web --kernel 6.12 --state 2G --option console=ttyS0 --timeout 1",
    note = "The first profile boots by itself. Every entry binds its profile by digest, and with it what may take its place: an older \
generation that is on the disk, and the rescue.",
    note = "The loader of UEFI is systemd-boot (Debian's systemd-boot-efi), or GRUB with --loader grub (grub-efi-amd64-bin); that of a \
BIOS is GRUB (grub-pc-bin). Secure Boot has to be off.",
    note = "The initramfs is made by mkinitramfs from --init, or given with --initramfs. Put the image onto a stick with \
`dd if=stick.img of=/dev/sdX bs=4M conv=fsync`."
)]
struct Create {
    /// the image to write
    #[argh(positional)]
    out: PathBuf,
    /// a profile that was locked, in the order of the menu; may be given several times
    #[argh(option, arg_name = "name")]
    profile: Vec<String>,
    /// the profile that comes up when nothing else does, last in the menu (default: rescue, where --profile names it)
    #[argh(option, arg_name = "name")]
    rescue: Option<String>,
    /// how many generations of each profile go onto the disk, the newest ones (default: 1)
    #[argh(option, arg_name = "n")]
    generations: Option<NonZero<usize>>,
    /// a name of `lamina kernel list`, a kernel package, or the folder of an unpacked one (default: 6.1-all)
    #[argh(option, arg_name = "name-or-file", default = "String::from(\"6.1-all\")")]
    kernel: String,
    /// the static program that starts in the initramfs (default: init, beside this program)
    #[argh(option, arg_name = "file")]
    init: Option<PathBuf>,
    /// an initramfs for this kernel, in place of one that is made
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
    /// the length of the disk, as 8G (default: what is needed)
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

/// List partitions, entries, kernels, generations and images of a disk, and say what is damaged; exit status 1 when something is.
/// Every image is read and hashed.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "inspect",
    example = "lamina disk inspect stick.img --json\nlamina disk inspect /dev/sdX"
)]
struct Inspect {
    /// an image, or a disk that may be read
    #[argh(positional)]
    image: PathBuf,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

fn firmware(text: &str) -> Result<Firmware, String> {
    Firmware::parse(text)
}

fn uefi_loader(text: &str) -> Result<UefiLoader, String> {
    UefiLoader::parse(text)
}

fn bytes(text: &str) -> Result<u64, String> {
    match TmpfsSize::parse(text) {
        Some(TmpfsSize::Bytes(bytes)) => Ok(bytes),
        _ => Err(format!(
            "'{}' is no size: write a number of bytes, or one with K, M or G",
            text.escape_debug()
        )),
    }
}

impl DiskCommand {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        match self.action {
            Action::Create(create) => create.run(context),
            Action::Inspect(inspect) => inspect.run(),
        }
    }
}

/// Where the kernel speaks when nobody says: on the first serial line too, and at the screen, where the shell is.
const CONSOLES: [&str; 2] = ["console=ttyS0,115200", "console=tty0"];

impl Create {
    fn run(self, context: &Context) -> Result<ExitCode> {
        at_most_one(&[("--init", self.init.is_some()), ("--initramfs", self.initramfs.is_some())])?;
        let (names, rescue) = self.names()?;
        let parameters = self.parameters()?;
        let store = context.store()?;
        let most = self.generations.unwrap_or(NonZero::<usize>::MIN);
        let chosen = contents::choose(&store, &names, most, &context.report)?;
        if self.state.is_some() {
            for kept in chosen.iter().flatten().filter(|it| !it.takes_a_state) {
                let (name, number) = (&kept.generation.profile, kept.generation.number);
                context.report.detail(format_args!(
                    "{name}, generation {number}: does not use --state: it is sealed, or says itself what becomes of changes"
                ));
            }
        }
        let package = self.kernel_package(context)?;
        let scratch = tempfile::tempfile().map_err(Error::on("a temporary file"))?;
        let boot = {
            let _meter = context.report.progress().work("reading the kernel and its initramfs");
            boot_files(&package, &self.initramfs_source()?, &scratch)?
        };
        let request = DiskRequest {
            chosen: &chosen,
            store: contents::files(&store, &chosen)?,
            boot,
            firmware: self.firmware,
            loader: self.loader,
            folders: LoaderFolders::default(),
            rescue,
            parameters,
            timeout: self.timeout,
            size: self.size,
            state: self.state,
        };
        let planned = request.plan()?;
        if !self.dry_run {
            self.write(context, &planned)?;
        }
        self.tell(context, &planned)
    }

    /// The file has no name until it is complete: a killed process leaves none.
    fn write(&self, context: &Context, planned: &PlannedDisk) -> Result<()> {
        let output = Output::create(&self.out, Form::Seeking)?;
        let file = output.handle()?;
        let meter = context.report.progress().work(format!("writing {}", self.out.display()));
        disk_image::write(&planned.plan, &file, |step| {
            context.report.detail(format_args!("writing {step}"))
        })?;
        drop(meter);
        output.publish()
    }

    fn tell(&self, context: &Context, planned: &PlannedDisk) -> Result<ExitCode> {
        let layout = &planned.plan.layout;
        if self.json {
            let partitions = layout.partitions.iter().map(|it| {
                json!({ "name": it.kind.name(), "uuid": it.uuid.to_string(), "start": it.start, "size": it.length })
            });
            let entries = planned.menu.entries.iter().map(|(name, entry)| {
                json!({ "file": name.file_name(), "title": entry.title, "options": Parameter::line(&entry.options) })
            });
            print_json(&json!({
                "disk": self.out, "written": !self.dry_run, "size": layout.length, "uuid": layout.uuid.to_string(),
                "partitions": partitions.collect::<Vec<_>>(), "entries": entries.collect::<Vec<_>>(),
                "default": planned.menu.default,
            }))?;
        } else if self.dry_run {
            print(planned.plan.to_string().trim_end())?;
        } else {
            for (place, (_, entry)) in planned.menu.entries.iter().enumerate() {
                context.report.line(format_args!("{:>3}. {}", place + 1, entry.title));
            }
            let size = human_size(layout.length);
            context.report.line(format_args!("{}: {size}, GPT {}", self.out.display(), layout.uuid));
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The profiles in the order of the menu, each once, and which of them is the rescue.
    fn names(&self) -> Result<(Vec<Name>, Option<Name>)> {
        let parse = |name: &String| {
            let remedy = "`lamina profile list` says which there are";
            Name::parse(name).map_err(|error| Error::caused(format!("'{name}'"), error).remedy(remedy))
        };
        let mut names: Vec<Name> = Vec::new();
        for name in self.profile.iter().chain(&self.rescue).map(parse) {
            let name = name?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.is_empty() {
            return Err(Error::new("disk", "no profile is named").remedy("give `--profile NAME`"));
        }
        let rescue = self.rescue.as_ref().map(parse).transpose()?;
        let usual = names.iter().find(|name| name.as_str() == "rescue").cloned();
        Ok((names, rescue.or(usual)))
    }

    fn parameters(&self) -> Result<Vec<Parameter>> {
        let given = self.option.iter().map(String::as_str);
        // Of several consoles the last one is that of the shell.
        let all = CONSOLES.into_iter().chain(given);
        all.map(|text| Parameter::new(text).map_err(Error::on(format!("--option '{text}'")))).collect()
    }

    /// A path that is there, else a listed kernel, which is fetched when it is not in the cache.
    fn kernel_package(&self, context: &Context) -> Result<PathBuf> {
        let path = Path::new(&self.kernel);
        if path.exists() {
            return Ok(path.to_owned());
        }
        if self.kernel.contains('/') {
            let remedy =
                "give a kernel package, the folder of an unpacked one, or a name of `lamina kernel list`";
            return Err(Error::new(&self.kernel, "does not exist").remedy(remedy));
        }
        let listed = kernel::listed(context)?;
        let pinned = kernels::find(&listed, &self.kernel)?;
        Fetcher::new(Fetcher::default_cache()?).fetch(&pinned.package, Path::new("."), &Console::new())
    }

    fn initramfs_source(&self) -> Result<InitramfsSource> {
        if let Some(file) = &self.initramfs {
            return Ok(InitramfsSource::File(file.clone()));
        }
        let init = self.init.clone().or_else(|| beside("init"));
        let init =
            init.ok_or_else(|| Error::new("init", "is not known").remedy("give it with `--init FILE`"))?;
        Ok(InitramfsSource::Made { init })
    }
}

impl Inspect {
    fn run(self) -> Result<ExitCode> {
        let found = inspection::inspect(&self.image)?;
        if self.json {
            print_json(&as_json(&found))?;
        } else {
            for partition in &found.partitions {
                let (start, size) = (human_size(partition.start), human_size(partition.length));
                print(format_args!(
                    "partition {} {} at {start}, {size}, {}",
                    partition.number, partition.name, partition.uuid
                ))?;
            }
            for inspection::FoundEntry { file, entry } in &found.entries {
                print(format_args!("entry {file}: {}", cli::safe_text::clean(&entry.title)))?;
                print(format_args!("    boots {}", candidates(entry).collect::<Vec<_>>().join(", else ")))?;
            }
            for file in found.boot_files.iter().chain(&found.images) {
                print(format_args!("file {}, {}", file.path, human_size(file.size)))?;
            }
            for it in &found.generations {
                print(format_args!("profile {}, generation {}, {}", it.profile, it.number, it.digest))?;
            }
            for sentence in &found.damage {
                print(format_args!("damaged: {}", cli::safe_text::clean(sentence)))?;
            }
        }
        Ok(if found.damage.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn as_json(found: &Inspection) -> Value {
    let file = |it: &inspection::FoundFile| json!({ "path": it.path, "digest": it.digest.to_string(), "size": it.size });
    let partitions = found.partitions.iter().map(|it| {
        json!({ "number": it.number, "name": it.name, "uuid": it.uuid.to_string(), "start": it.start, "size": it.length })
    });
    let entries = found.entries.iter().map(|it| {
        json!({
            "file": it.file, "title": it.entry.title, "linux": it.entry.linux, "initrd": it.entry.initrd,
            "options": Parameter::line(&it.entry.options), "boots": candidates(&it.entry).collect::<Vec<_>>(),
        })
    });
    let generations = found.generations.iter().map(|it| {
        json!({
            "profile": it.profile, "generation": it.number, "digest": it.digest.to_string(),
            "description": it.description,
        })
    });
    json!({
        "sound": found.damage.is_empty(), "damage": found.damage,
        "partitions": partitions.collect::<Vec<_>>(), "entries": entries.collect::<Vec<_>>(),
        "boot_files": found.boot_files.iter().map(file).collect::<Vec<_>>(),
        "generations": generations.collect::<Vec<_>>(),
        "images": found.images.iter().map(file).collect::<Vec<_>>(),
    })
}
