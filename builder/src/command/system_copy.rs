//! `lamina system copy`: a medium onto another disk.

use std::fs::File;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use cli::numbers::human_size;
use disk_image::Identity;
use running::medium::Access;
use serde_json::json;

use super::disk::create::bytes;
use super::disk::destination::{Destination, Writing};
use super::disk::told::{entries_json, partition_json, say_titles};
use super::on_medium::{OpenTarget, Where, target};
use super::{at_most_one, print, print_json};
use crate::command::context::Context;
use crate::disk::device::{observe, shown_by_loop};
use crate::error::{Error, Result};
use crate::system::copy::beside::{self, BesidePlan};
use crate::system::copy::contents::{self, CopiedGenerations};
use crate::system::copy::whole::{self, WholeCopy, WholeRequest};
use crate::system::installed::Installed;
use crate::system::on_disk::OpenDisk;

/// Copy a medium to another disk: from the stick that a machine was booted from to its internal disk. The copy has partitions and UUIDs of
/// its own, and both can be plugged in together.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "copy",
    example = "lamina system copy --device /dev/sdX\nlamina system copy --device /dev/sdX --state 4G --erase sdX\n\
lamina system copy --device /dev/nvme0n1 --beside --dry-run\nlamina system copy stick.img --disk other.img --all",
    note = "What is copied: the generation that runs (elsewhere: that boots by itself), which boots by itself on the copy; the last good one of its profile; \
the rescue; their kernels, entries and loaders. --all copies every generation that is whole.",
    note = "--device shows what lies on the disk, and asks for its name before anything is lost. It refuses one that is in use. What was \
written is read back and compared.",
    note = "--beside leaves all partitions of the disk, the files on its EFI system partition and what boots by itself there as they are: \
the store comes into free space, and entries onto that partition. Where no loader there shows them, systemd-boot comes into a folder of its own."
)]
pub(super) struct Copy {
    /// the image to write; with --beside one that is there
    #[argh(positional)]
    out: Option<PathBuf>,
    /// write to this disk in place of an image; without --beside all that is on it is lost
    #[argh(option, arg_name = "disk")]
    device: Option<PathBuf>,
    /// the kernel's name of that disk, as sdX: nobody is asked
    #[argh(option, arg_name = "name")]
    erase: Option<String>,
    /// into free space of the disk, beside the system that is there
    #[argh(switch)]
    beside: bool,
    /// copy all generations that are whole
    #[argh(switch)]
    all: bool,
    /// the length of the image, or with --beside of the new partition, as 8G (default: what is needed; a device or a gap is filled)
    #[argh(option, arg_name = "size", from_str_fn(bytes))]
    size: Option<u64>,
    /// add a partition of this length, on which changes last, as 2G; it is empty
    #[argh(option, arg_name = "size", from_str_fn(bytes))]
    state: Option<u64>,
    /// the medium to copy: where the partition of its store is mounted (default: that of the running system)
    #[argh(option, arg_name = "dir")]
    medium: Option<PathBuf>,
    /// where its EFI system partition is mounted
    #[argh(option, arg_name = "dir")]
    esp: Option<PathBuf>,
    /// the image or the device of its disk, in place of both
    #[argh(option, arg_name = "file")]
    disk: Option<PathBuf>,
    /// print what would be written, and write nothing
    #[argh(switch, short = 'n')]
    dry_run: bool,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

impl Copy {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        at_most_one(&[("--beside", self.beside), ("--erase", self.erase.is_some())])?;
        at_most_one(&[("--beside", self.beside), ("--state", self.state.is_some())])?;
        // Before what takes long: a device that is in use, or nothing that is named.
        let destination = match self.beside {
            true => None,
            false => {
                at_most_one(&[("--size", self.size.is_some()), ("--device", self.device.is_some())])?;
                Some(Destination::of(self.out.as_ref(), None, self.device.as_ref())?)
            }
        };
        let to =
            destination.as_ref().map(Destination::path).or(self.device.as_deref()).or(self.out.as_deref());
        if let (Some(from), Some(to)) = (&self.disk, to) {
            refuse_itself(from, to)?;
        }
        let mut source =
            target(Where::of(&self.medium, &self.esp, &self.disk), Access::Read, &context.report)?;
        let installed = Installed::read(&source)?;
        installed.warnings().iter().for_each(|it| context.report.line(format_args!("warning: {it}")));
        let chosen = contents::choose(&installed, self.all)?;
        self.bring(&mut source, &installed, &chosen)?;
        if self.state.is_none() && chosen.has_state(&installed) {
            context.report.line(format_args!(
                "warning: the state of this medium is not copied: on the copy changes are lost, or begin anew with `--state SIZE`"
            ));
        }
        match destination {
            Some(destination) => self.to_whole_disk(context, &source, &installed, &chosen, &destination),
            None => self.to_free_space(context, &source, &installed, &chosen),
        }
    }

    /// What is read of a disk that nobody mounted.
    fn bring(
        &self,
        source: &mut OpenTarget,
        installed: &Installed,
        chosen: &CopiedGenerations<'_>,
    ) -> Result<()> {
        let menu = chosen.menu(installed, &Identity::of([]), false)?;
        source.bring_boot_files(contents::boot_paths(&menu))?;
        source.bring_loader()?;
        match self.dry_run {
            true => Ok(()),
            false => source.bring_images(chosen.images().into_iter()),
        }
    }

    fn to_whole_disk(
        &self,
        context: &Context,
        source: &OpenTarget,
        installed: &Installed,
        chosen: &CopiedGenerations<'_>,
        destination: &Destination,
    ) -> Result<ExitCode> {
        let request = WholeRequest { size: destination.size().or(self.size), state: self.state };
        let WholeCopy { disk: planned, left_out } = whole::plan(source, installed, chosen, request)?;
        left_out.iter().for_each(|it| context.report.line(format_args!("warning: {it}")));
        let writing = Writing {
            dry_run: self.dry_run,
            json: self.json,
            erase: self.erase.as_deref(),
            of_device: "the machine starts from it once the stick is taken away",
        };
        destination.finish(context, &planned, &writing)?;
        Ok(ExitCode::SUCCESS)
    }

    fn to_free_space(
        &self,
        context: &Context,
        source: &OpenTarget,
        installed: &Installed,
        chosen: &CopiedGenerations<'_>,
    ) -> Result<ExitCode> {
        let path = self.beside_path()?;
        if self.device.is_some() {
            context.report.line(format_args!("{}", observe(path)?));
        }
        let disk = OpenDisk::open(path, &context.report)?;
        let plan = BesidePlan::make((source, installed), chosen, &disk, self.size)?;
        if !self.dry_run {
            plan.carry_out(&disk, &context.report, &mut |_| Ok(()))?;
        }
        let partition = plan.partition();
        if self.json {
            print_json(&json!({
                "disk": path, "written": !self.dry_run, "partitions": [partition_json(partition)],
                "entries": entries_json(&plan.menu),
                "loader": plan.own_loader,
            }))?;
        } else if self.dry_run {
            print(plan.to_string().trim_end())?;
        } else {
            say_titles(context, &plan.menu);
            let size = human_size(partition.length);
            context.report.line(format_args!("{}: {size} beside what was there", path.display()));
            context.report.line(format_args!("{}", how_to_start(&plan, path)));
        }
        if self.device.is_some() && !self.dry_run {
            // The plan has the device open too, which keeps the kernel from that.
            drop(plan);
            let why = beside::reread(disk);
            why.iter().for_each(|it| context.report.line(format_args!("warning: {it}")));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn beside_path(&self) -> Result<&Path> {
        at_most_one(&[("--device", self.device.is_some()), ("the name of an image", self.out.is_some())])?;
        let path = self.device.as_deref().or(self.out.as_deref());
        path.ok_or_else(|| {
            Error::new("--beside", "says of no disk")
                .remedy("give `--device /dev/sdX`, or the name of an image that is there")
        })
    }
}

/// A copy begins by erasing what it is written to.
fn refuse_itself(from: &Path, to: &Path) -> Result<()> {
    let is_disk = |found: &std::fs::Metadata| found.is_file() || found.file_type().is_block_device();
    if !std::fs::metadata(to).is_ok_and(|found| is_disk(&found)) {
        return Ok(());
    }
    let to_file = File::open(to).map_err(Error::on(to.display()))?;
    let from_file = File::open(from).map_err(Error::on(from.display()))?;
    let facts = |file: &File, path: &Path| file.metadata().map_err(Error::on(path.display()));
    let (one, other) = (facts(&from_file, from)?, facts(&to_file, to)?);
    let devices = one.file_type().is_block_device() && other.file_type().is_block_device();
    let same =
        (one.dev(), one.ino()) == (other.dev(), other.ino()) || (devices && one.rdev() == other.rdev());
    let is_node = |name: Option<String>, path: &Path| {
        name.is_some_and(|name| path.file_name().is_some_and(|it| it.to_string_lossy() == name))
    };
    if same || is_node(shown_by_loop(&from_file), to) || is_node(shown_by_loop(&to_file), from) {
        return Err(Error::new(to.display(), "is the disk that is copied")
            .remedy("name another disk or another file"));
    }
    Ok(())
}

fn how_to_start(plan: &BesidePlan, path: &Path) -> String {
    let Some(loader) = plan.own_loader else {
        return "the menu of the loader there shows it, and what boots by itself is as before".to_owned();
    };
    let loader = loader.replace('/', "\\");
    format!(
        "what boots by itself is as before, and no loader there shows this menu: choose \\{loader} in the menu of the firmware (\"boot from \
         file\"), or let `efibootmgr --create-only --disk {} --part {} --label Lamina --loader '\\{loader}'` add it there",
        path.display(),
        plan.esp_number
    )
}
