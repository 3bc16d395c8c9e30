//! A medium and its generations, as the command line names them, and what becomes of a plan for them.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use boot_entry::Parameter;
use cli::help::Cursor;
use cli::numbers::human_size;
use profiles::Name;
use profiles::resolved::ImageRef;
use running::System;
use running::medium::{Access, OpenMedium};
use serde_json::json;

use super::disk::told::entries_json;
use super::{at_most_one, print, print_json};
use crate::command::context::Context;
use crate::disk::kernel::BootFiles;
use crate::disk::made_files::MadeFiles;
use crate::error::{Error, Result};
use crate::medium::contents::InstalledGeneration;
use crate::report::Report;
use crate::system::execution;
use crate::system::installed::Installed;
use crate::system::kernels::KernelChoice;
use crate::system::on_disk::{DiskCopies, MountedDisk, OpenDisk, refuse_without_root};
use crate::system::plan::SystemPlan;
use crate::system::request::{NewGeneration, Request};
use crate::system::step::Step;
use crate::system::target::Target;

/// How many generations of a profile stay when nobody says.
pub(super) const KEPT: NonZero<usize> = NonZero::new(3).unwrap();

/// Where a medium is, as the command line says.
#[derive(Clone, Copy)]
pub(super) struct Where<'a> {
    /// The partition of its store is mounted there.
    pub(super) medium: Option<&'a Path>,
    /// Its EFI system partition is mounted there.
    pub(super) esp: Option<&'a Path>,
    /// The image or the device of a disk, in place of both.
    pub(super) disk: Option<&'a Path>,
}

impl<'a> Where<'a> {
    pub(super) fn of(
        medium: &'a Option<PathBuf>,
        esp: &'a Option<PathBuf>,
        disk: &'a Option<PathBuf>,
    ) -> Where<'a> {
        Where { medium: medium.as_deref(), esp: esp.as_deref(), disk: disk.as_deref() }
    }

    /// Whether nothing is named.
    pub(super) fn is_own(self) -> bool {
        self.medium.is_none() && self.esp.is_none() && self.disk.is_none()
    }
}

/// A medium that is worked on: folders that somebody mounted, a disk, or the medium that the running system was booted from.
pub(super) struct OpenTarget {
    target: Target,
    source: Source,
}

/// What the folders are, for as long as they are needed.
enum Source {
    Folders,
    Running(#[expect(dead_code, reason = "it is dropped when the command ends")] OpenMedium),
    Mounted(Box<MountedDisk>),
    Copies(Box<DiskCopies>),
}

impl OpenTarget {
    /// Lets images be read: of a disk that nobody mounted they are copied first.
    pub(super) fn bring_images<'a>(&mut self, images: impl Iterator<Item = &'a ImageRef>) -> Result<()> {
        match &mut self.source {
            Source::Copies(copies) => copies.fill_images(images.map(|image| image.digest)),
            _ => Ok(()),
        }
    }

    /// Lets the program that UEFI starts be read, likewise, where there is one.
    pub(super) fn bring_loader(&mut self) -> Result<()> {
        match &mut self.source {
            Source::Copies(copies) => copies.fill_loader(),
            _ => Ok(()),
        }
    }

    /// Lets files of the EFI system partition be read, likewise.
    pub(super) fn bring_boot_files(&mut self, paths: impl IntoIterator<Item = String>) -> Result<()> {
        match &mut self.source {
            Source::Copies(copies) => copies.fill_on_esp(paths),
            Source::Mounted(disk) => disk.copies.fill_on_esp(paths),
            _ => Ok(()),
        }
    }
}

impl std::ops::Deref for OpenTarget {
    type Target = Target;

    fn deref(&self) -> &Target {
        &self.target
    }
}

/// The medium that the command line names, or the running system's own.
pub(super) fn target(place: Where<'_>, access: Access, report: &Report) -> Result<OpenTarget> {
    match (place.medium, place.esp) {
        _ if place.disk.is_some() => of_disk(place, access, report),
        (Some(medium), Some(esp)) => {
            Ok(OpenTarget { target: Target::mounted(medium, esp)?, source: Source::Folders })
        }
        (Some(_), None) => Err(Error::new("system", "the medium is named, and its EFI system partition is not")
            .remedy("mount that, and give its folder with `--esp DIR`")),
        (None, Some(_)) => Err(Error::new("system", "the EFI system partition is named, and its medium is not")
            .remedy("mount the partition of the store, and give its folder with `--medium DIR`")),
        (None, None) if !running::report::is_there(&System::here()) => Err(Error::new("system", "no medium is named")
            .remedy("give the image or the device of a disk with `--disk FILE`; or mount the partition of its store and its EFI system \
partition, and give `--medium DIR --esp DIR`; a system that Lamina booted has its own")),
        (None, None) => {
            let running = OpenMedium::open(&System::here(), access)?;
            let target = Target::mounted(&running.store, &running.esp)?;
            Ok(OpenTarget { target, source: Source::Running(running) })
        }
    }
}

fn of_disk(place: Where<'_>, access: Access, report: &Report) -> Result<OpenTarget> {
    at_most_one(&[("--disk", place.disk.is_some()), ("--medium", place.medium.is_some())])?;
    at_most_one(&[("--disk", place.disk.is_some()), ("--esp", place.esp.is_some())])?;
    let disk = place.disk.unwrap_or(Path::new(""));
    match access {
        Access::Read => {
            let copies = Box::new(DiskCopies::read(disk)?);
            let target = Target::of_copies(disk, &copies)?;
            Ok(OpenTarget { target, source: Source::Copies(copies) })
        }
        Access::Write => {
            refuse_without_root(disk)?;
            let mounted = MountedDisk::mount(OpenDisk::open(disk, report)?)?;
            let target = Target::of_mounted(disk, &mounted)?;
            Ok(OpenTarget { target, source: Source::Mounted(Box::new(mounted)) })
        }
    }
}

/// How a medium is opened by a command that only says what it would do.
pub(super) fn access(dry_run: bool) -> Access {
    if dry_run { Access::Read } else { Access::Write }
}

/// A profile of the medium.
pub(super) fn profile(text: &str) -> Result<Name> {
    let remedy = "`lamina system list` says which there are";
    Name::parse(text).map_err(|error| Error::caused(format!("'{text}'"), error).remedy(remedy))
}

/// `NAME` or `NAME/NUMBER`.
pub(super) fn named(text: &str) -> Result<(Name, Option<u64>)> {
    let Some((name, digits)) = text.split_once('/') else { return Ok((profile(text)?, None)) };
    let number: Option<u64> = digits.parse().ok().filter(|number: &u64| number.to_string() == digits);
    let number = number.ok_or_else(|| {
        Error::new(format!("'{text}'"), "its number is none").remedy("write NAME/NUMBER, as in web/7")
    })?;
    Ok((profile(name)?, Some(number)))
}

/// A generation of the medium; a name alone means the newest.
pub(super) fn generation<'a>(installed: &'a Installed, text: &str) -> Result<&'a InstalledGeneration> {
    let (name, number) = named(text)?;
    let is_meant =
        |it: &&InstalledGeneration| it.profile == name && number.is_none_or(|number| it.number == number);
    installed.medium.generations.iter().find(is_meant).ok_or_else(|| {
        let there: Vec<String> = installed.medium.of(&name).map(InstalledGeneration::label).collect();
        let remedy = match there.join(", ") {
            none if none.is_empty() => "`lamina system list` says what is there".to_owned(),
            some => format!("there are {some}"),
        };
        Error::new(text, "is not on the medium").remedy(remedy)
    })
}

/// Refuses a generation that cannot boot.
pub(super) fn whole<'a>(
    installed: &Installed,
    generation: &'a InstalledGeneration,
) -> Result<&'a InstalledGeneration> {
    if let Err(why) = &generation.contents {
        return Err(Error::new(generation.label(), format!("cannot be read: {why}"))
            .remedy("choose another one; `lamina system install` puts a new one there"));
    }
    match installed.medium.missing_images(generation).next() {
        None => match installed.missing_boot_files(generation).next() {
            None => Ok(generation),
            Some(path) => {
                let cause = format!("it starts {path}, which is not on the ESP, or is empty");
                Err(Error::new(generation.label(), cause)
                    .remedy("choose another one; `lamina system install --kernel PACKAGE --initramfs FILE` brings a kernel"))
            }
        },
        Some(image) => {
            let cause =
                format!("its image of {} {} is missing or has another length", image.name, image.version);
            Err(Error::new(generation.label(), cause)
                .remedy("choose another one; `lamina system install` brings images"))
        }
    }
}

/// What to do with a plan.
pub(super) struct Doing {
    /// Nothing is done.
    pub(super) dry_run: bool,
    /// It is told as JSON.
    pub(super) json: bool,
    /// A plan that is printed says also why each generation stays or goes.
    pub(super) reasons: bool,
}

impl Doing {
    /// Prints it or carries it out, under the lock of the medium.
    pub(super) fn finish(
        &self,
        context: &Context,
        target: &Target,
        plan: &SystemPlan,
        done: &str,
    ) -> Result<ExitCode> {
        for warning in &plan.warnings {
            context.report.line(format_args!("warning: {warning}"));
        }
        for verdict in &plan.verdicts {
            context.report.detail(format_args!("{verdict}"));
        }
        if !self.dry_run {
            execution::carry_out(plan, target, &context.report, &mut |_| Ok(()))?;
        }
        if self.json {
            let generations = plan.verdicts.iter().map(|it| {
                json!({ "profile": it.profile.as_str(), "generation": it.number, "stays": it.stays, "why": it.why })
            });
            print_json(&json!({
                "written": !self.dry_run, "steps": plan.steps.iter().map(Step::to_string).collect::<Vec<_>>(),
                "bytes": plan.bytes, "default": plan.menu.default, "entries": entries_json(&plan.menu),
                "generations": generations.collect::<Vec<_>>(),
            }))?;
        } else if self.dry_run {
            plan.verdicts.iter().filter(|_| self.reasons).try_for_each(print)?;
            plan.steps.iter().try_for_each(print)?;
        } else {
            context.report.line(format_args!("{done}"));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Newest generations of the store that come onto a medium.
pub(super) struct Bringing {
    pub(super) names: Vec<Name>,
    /// How many generations of each stay.
    pub(super) keep: NonZero<usize>,
    /// What they are started with, where that is neither the kernel of their profile nor what the newest entry says.
    pub(super) kernel: Option<BootFiles>,
    /// The program that becomes /init of a new initramfs for a profile that names its kernel.
    pub(super) init: Option<PathBuf>,
    /// Further ones for entries that are new.
    pub(super) parameters: Vec<Parameter>,
    /// Whether the first one boots by itself from then on; else the profile that does so now keeps doing it, with what comes of it.
    pub(super) first_boots: bool,
}

impl Bringing {
    pub(super) fn run(self, context: &Context, mut target: OpenTarget, doing: &Doing) -> Result<ExitCode> {
        let store = context.store()?;
        let _held = target.hold(&context.report)?;
        let installed = Installed::read(&target)?;
        let of_store = |name| NewGeneration::newest(&store, &target, &installed, name);
        let new = self.names.iter().map(of_store).collect::<Result<Vec<_>>>()?;
        if self.kernel.is_none() && self.init.is_none() {
            target.bring_boot_files(KernelChoice::looked_into(&installed, &new))?;
        }
        let now = installed.default_generation().map(|it| &it.profile);
        let boots = new.iter().find(|it| self.first_boots || Some(&it.profile) == now);
        let default = boots.map(|it| (it.profile.clone(), it.number));
        let keep = Some((self.names.clone(), self.keep));
        let made = MadeFiles::of_this_user(&context.report);
        let choice = KernelChoice {
            target: &target,
            installed: &installed,
            store: &store,
            made: &made,
            given: self.kernel.as_ref(),
            init: self.init,
        };
        let own = choice.of_new(&new)?;
        let Bringing { kernel, parameters, .. } = self;
        let request = Request { new, own, kernel, parameters, default, choice: None, keep, rescue: None };
        let plan = SystemPlan::make(&installed, &request, target.room()?)?;
        let what: Vec<String> =
            request.new.iter().map(|it| format!("{}/{}", it.profile, it.number)).collect();
        let default = request.default.map(|(name, number)| format!("; {name}/{number} boots by itself"));
        let (medium, copied) = (&target.name, human_size(plan.bytes));
        let done = format!("{medium}: {}, {copied} copied{}", what.join(", "), default.unwrap_or_default());
        doing.finish(context, &target, &plan, &done)
    }
}

/// The profiles and generations of the medium that the command line names; none where it cannot be read, which completion has no place to say.
pub(super) fn complete(cursor: &Cursor<'_>) -> BTreeMap<String, String> {
    let folder = |name: &str| cursor.values(name).last().map(PathBuf::from);
    // Completion mounts nothing.
    let (medium, esp, disk) = (folder("--medium"), folder("--esp"), folder("--disk"));
    let place = Where::of(&medium, &esp, &disk);
    if place.is_own() {
        return BTreeMap::new();
    }
    let opened = target(place, Access::Read, &Report::default());
    let installed = opened.and_then(|target| Installed::read(&target));
    let Ok(installed) = installed else { return BTreeMap::new() };
    let described = |it: &InstalledGeneration| {
        it.contents.as_ref().ok().and_then(|contents| contents.description.clone()).unwrap_or_default()
    };
    let numbered = installed.medium.generations.iter().map(|it| (it.label(), described(it)));
    let named = installed.medium.generations.iter().map(|it| (it.profile.to_string(), described(it)));
    named.chain(numbered).collect()
}
