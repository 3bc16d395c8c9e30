//! Where a disk goes: a file in some format, or a device.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use atomic_file::{Form, Output};
use cli::numbers::human_size;
use disk_image::{DiskFormat, DiskPlan, device, format};
use serde_json::json;

use super::told::{entries_json, partition_json, say_titles};
use crate::command::context::Context;
use crate::command::{at_most_one, print, print_json};
use crate::disk::device::{DeviceFacts, observe, open_exclusively};
use crate::disk::planned::PlannedDisk;
use crate::error::{Error, Result};

/// Where a disk goes.
#[derive(Debug)]
pub(in crate::command) enum Destination {
    /// A file that appears when it is complete.
    File(PathBuf, DiskFormat),
    /// A device that holds nothing that anybody uses.
    Device(Box<DeviceFacts>),
}

/// How a disk is written, as the command line says.
pub(in crate::command) struct Writing<'a> {
    /// Nothing is written, and the plan is printed.
    pub(in crate::command) dry_run: bool,
    /// It is told as JSON.
    pub(in crate::command) json: bool,
    /// Of a device: its name, which confirms that what is on it may be lost.
    pub(in crate::command) erase: Option<&'a str>,
    /// What can be done now with a device.
    pub(in crate::command) of_device: &'static str,
}

impl Destination {
    /// What the command line names; a device is looked at and judged, and nothing is written.
    pub(in crate::command) fn of(
        out: Option<&PathBuf>,
        format: Option<DiskFormat>,
        device: Option<&PathBuf>,
    ) -> Result<Destination> {
        at_most_one(&[("--device", device.is_some()), ("--format", format.is_some())])?;
        match (out, device) {
            (Some(_), Some(_)) => Err(Error::new("--device", "and the name of an image exclude each other")
                .remedy("give one of them")),
            (None, None) => Err(Error::new("disk", "nothing says where it goes")
                .remedy("name the image to write, or give `--device /dev/sdX`")),
            (Some(path), None) => {
                let format = format.unwrap_or(DiskFormat::Raw);
                format::check_program(format)?;
                Ok(Destination::File(path.clone(), format))
            }
            (None, Some(path)) => {
                let facts = observe(path)?;
                facts.judge()?;
                Ok(Destination::Device(Box::new(facts)))
            }
        }
    }

    /// What is written to, as it was named.
    pub(in crate::command) fn path(&self) -> &Path {
        match self {
            Destination::File(path, _) => path,
            Destination::Device(facts) => &facts.path,
        }
    }

    /// Bytes, where they are given: of a device, whose partition table must end where it ends.
    pub(in crate::command) fn size(&self) -> Option<u64> {
        match self {
            Destination::File(..) => None,
            Destination::Device(facts) => Some(facts.size),
        }
    }

    /// Says what a device holds.
    fn describe(&self, context: &Context) {
        if let Destination::Device(facts) = self {
            context.report.line(format_args!("{facts}"));
        }
    }

    /// Whoever loses what is on a device must name it: `erase`, or typed.
    fn confirm(&self, erase: Option<&str>) -> Result<()> {
        let Destination::Device(facts) = self else {
            return match erase {
                Some(_) => {
                    Err(Error::new("--erase", "is for a device").remedy("leave it out, or give `--device`"))
                }
                None => Ok(()),
            };
        };
        if let Some(name) = erase {
            return facts.confirm(name);
        }
        if !io::stdin().is_terminal() {
            return Err(Error::new(
                facts.path.display(),
                "nobody is at a terminal who could confirm that it is erased",
            )
            .remedy(format!("give `--erase {}`", facts.name)));
        }
        cli::progress::line(format_args!("All of it will be lost. Type {} to write to it:", facts.name));
        let mut typed = String::new();
        io::stdin().read_line(&mut typed).map_err(Error::on("standard input"))?;
        facts.confirm(&typed)
    }

    /// Puts the disk there once whoever loses something by that has confirmed it, and says what it is; of a dry run only says it.
    pub(in crate::command) fn finish(
        &self,
        context: &Context,
        planned: &PlannedDisk,
        writing: &Writing<'_>,
    ) -> Result<()> {
        self.describe(context);
        if !writing.dry_run {
            self.confirm(writing.erase)?;
            self.write(context, &planned.plan)?;
        }
        let PlannedDisk { plan, menu } = planned;
        let layout = &plan.layout;
        if writing.json {
            return print_json(&json!({
                "disk": self.path(), "written": !writing.dry_run, "size": layout.length, "uuid": layout.uuid.to_string(),
                "partitions": layout.partitions.iter().map(partition_json).collect::<Vec<_>>(),
                "entries": entries_json(menu), "default": menu.default,
            }));
        }
        if writing.dry_run {
            return print(plan.to_string().trim_end());
        }
        say_titles(context, menu);
        let (path, size) = (self.path().display(), human_size(layout.length));
        context.report.line(format_args!("{path}: {size}, GPT {}", layout.uuid));
        if let Destination::Device(facts) = self {
            context.report.line(format_args!("{}: written and compared; {}", facts.name, writing.of_device));
        }
        Ok(())
    }

    fn write(&self, context: &Context, plan: &DiskPlan) -> Result<()> {
        match self {
            Destination::File(path, format) => to_file(context, plan, path, *format),
            Destination::Device(facts) => to_device(context, plan, facts),
        }
    }
}

/// The file has no name until it is complete: a killed process leaves none.
fn to_file(context: &Context, plan: &DiskPlan, path: &Path, format: DiskFormat) -> Result<()> {
    let output = Output::create(path, Form::Seeking)?;
    if format == DiskFormat::Raw {
        make(context, plan, path, &output.handle()?)?;
    } else {
        // Beside the result, where there must be room.
        let folder = output.folder().unwrap_or_else(std::env::temp_dir);
        let raw = tempfile::tempfile_in(&folder).map_err(Error::on(folder.display()))?;
        make(context, plan, path, &raw)?;
        let _meter = context.report.progress().work(format!("converting {}", path.display()));
        format::convert(&raw, format, &output.handle()?)?;
    }
    output.publish()
}

fn to_device(context: &Context, plan: &DiskPlan, facts: &DeviceFacts) -> Result<()> {
    let image = tempfile::tempfile().map_err(Error::on(std::env::temp_dir().display()))?;
    make(context, plan, &facts.path, &image)?;
    let device = open_exclusively(facts)?;
    let what = format!("writing and comparing {}", facts.path.display());
    let meter = context.report.progress().meter(what, device::work_of(&image)?);
    device::write_and_compare(&image, &device, &facts.path, |bytes| meter.advance(bytes))
}

fn make(context: &Context, plan: &DiskPlan, path: &Path, file: &File) -> Result<()> {
    let _meter = context.report.progress().work(format!("making {}", path.display()));
    disk_image::write(plan, file, |step| context.report.detail(format_args!("writing {step}")))
}
