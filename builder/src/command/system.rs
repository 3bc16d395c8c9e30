//! `lamina system`: the generations on a medium, and the menu that boots them.

use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use cli::numbers::count;
use profiles::Name;
use running::medium::Access;

use super::on_medium::{Doing, KEPT, Where, access, generation, target};
use super::system_copy::Copy;
use super::system_default::{Choose, Rollback};
use super::system_diff::Diff;
use super::system_install::Install;
use super::system_update::Update;
use super::{print, print_json};
use crate::command::context::Context;
use crate::error::{Error, Result};
use crate::system::installed::Installed;
use crate::system::plan::SystemPlan;
use crate::system::request::Request;
use crate::system::{execution, listing};

/// Put generations of profiles onto a medium that boots, choose which one boots, and go back.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "system",
    example = "lamina system list --disk disk.img\nlamina system install web --medium /mnt/store --esp /mnt/esp\n\
lamina system rollback web --medium /mnt/store --esp /mnt/esp"
)]
pub struct SystemCommand {
    #[argh(subcommand)]
    action: Action,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one value of it, and `argh` takes no box here")]
enum Action {
    Copy(Copy),
    Default(Choose),
    Diff(Diff),
    Gc(Gc),
    Install(Install),
    Keep(Keep),
    List(List),
    Rollback(Rollback),
    Update(Update),
}

/// List the generations on a medium: which one boots by itself, runs, was blessed last, is kept, and how much is there for it alone.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "list", example = "lamina system list --medium /mnt/store --esp /mnt/esp --json")]
struct List {
    /// the medium: where the partition of the store is mounted (default: that of the running system)
    #[argh(option, arg_name = "dir")]
    medium: Option<PathBuf>,
    /// where its EFI system partition is mounted
    #[argh(option, arg_name = "dir")]
    esp: Option<PathBuf>,
    /// the image or the device of its disk, in place of both; changing it takes root
    #[argh(option, arg_name = "file")]
    disk: Option<PathBuf>,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

/// Let a generation stay on the medium, however old it gets.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "keep", example = "lamina system keep web/7 --medium /mnt/store --esp /mnt/esp")]
struct Keep {
    /// the generation, as NAME/NUMBER
    #[argh(positional, arg_name = "generation")]
    generation: String,
    /// let it go again when it is old
    #[argh(switch)]
    undo: bool,
    /// the medium: where the partition of the store is mounted (default: that of the running system)
    #[argh(option, arg_name = "dir")]
    medium: Option<PathBuf>,
    /// where its EFI system partition is mounted
    #[argh(option, arg_name = "dir")]
    esp: Option<PathBuf>,
    /// the image or the device of its disk, in place of both; changing it takes root
    #[argh(option, arg_name = "file")]
    disk: Option<PathBuf>,
}

/// Remove old generations of all profiles from a medium, and what only they need: entries, kernels, images.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "gc",
    example = "lamina system gc --keep 1 --medium /mnt/store --esp /mnt/esp --dry-run",
    note = "What stays: the newest ones, the last good one, what is being tried, what runs, what boots by itself, and what \
`lamina system keep` has marked. --dry-run says of each generation why."
)]
struct Gc {
    /// how many generations of each profile stay, the newest ones (default: 3)
    #[argh(option, arg_name = "n", default = "KEPT")]
    keep: NonZero<usize>,
    /// the medium: where the partition of the store is mounted (default: that of the running system)
    #[argh(option, arg_name = "dir")]
    medium: Option<PathBuf>,
    /// where its EFI system partition is mounted
    #[argh(option, arg_name = "dir")]
    esp: Option<PathBuf>,
    /// the image or the device of its disk, in place of both; changing it takes root
    #[argh(option, arg_name = "file")]
    disk: Option<PathBuf>,
    /// print what would be done, and do nothing
    #[argh(switch, short = 'n')]
    dry_run: bool,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

impl SystemCommand {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        match self.action {
            Action::Copy(command) => command.run(context),
            Action::Default(command) => command.run(context),
            Action::Diff(command) => command.run(context),
            Action::Gc(command) => command.run(context),
            Action::Install(command) => command.run(context),
            Action::Keep(command) => command.run(context),
            Action::List(command) => command.run(context),
            Action::Rollback(command) => command.run(context),
            Action::Update(command) => command.run(context),
        }
    }
}

impl List {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let target = target(Where::of(&self.medium, &self.esp, &self.disk), Access::Read, &context.report)?;
        let installed = Installed::read(&target)?;
        installed.unread().for_each(|it| context.report.line(format_args!("warning: {it}")));
        match self.json {
            true => print_json(&listing::json(&installed))?,
            false => print(listing::text(&installed).trim_end())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Gc {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let target =
            target(Where::of(&self.medium, &self.esp, &self.disk), access(self.dry_run), &context.report)?;
        let _held = target.hold(&context.report)?;
        let installed = Installed::read(&target)?;
        let mut names: Vec<Name> = installed.medium.generations.iter().map(|it| it.profile.clone()).collect();
        names.dedup();
        let request = Request { keep: Some((names, self.keep)), ..Request::default() };
        let plan = SystemPlan::make(&installed, &request, target.room()?)?;
        let gone = plan.verdicts.iter().filter(|it| !it.stays).count() as u64;
        let (medium, gone) = (&target.name, count(gone, "generation"));
        let done = format!("{medium}: removed {gone}, and what only they needed");
        Doing { dry_run: self.dry_run, json: self.json, reasons: true }.finish(context, &target, &plan, &done)
    }
}

impl Keep {
    fn run(self, context: &Context) -> Result<ExitCode> {
        let target = target(Where::of(&self.medium, &self.esp, &self.disk), Access::Write, &context.report)?;
        let _held = target.hold(&context.report)?;
        let installed = Installed::read(&target)?;
        if !self.generation.contains('/') {
            return Err(
                Error::new(&self.generation, "names no generation").remedy("write NAME/NUMBER, as in web/7")
            );
        }
        let kept = generation(&installed, &self.generation)?;
        execution::mark_kept(&target, &installed, kept, !self.undo)?;
        let word = if self.undo { "goes when it is old" } else { "is kept" };
        context.report.line(format_args!("{}: {} {word}", target.name, kept.label()));
        Ok(ExitCode::SUCCESS)
    }
}
