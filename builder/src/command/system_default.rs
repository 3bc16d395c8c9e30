//! `lamina system default` and `lamina system rollback`: what boots by itself.

use std::path::PathBuf;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use boot_entry::Choice;

use super::on_medium::{Doing, Where, access, generation, profile, target, whole};
use crate::command::context::Context;
use crate::error::{Error, Result};
use crate::medium::contents::InstalledGeneration;
use crate::system::installed::Installed;
use crate::system::plan::SystemPlan;
use crate::system::request::Request;
use crate::system::target::Target;

/// Let the generation before boot by itself: the last good one where that is older, else the next older one that is whole.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "rollback",
    example = "lamina system rollback web --medium /mnt/store --esp /mnt/esp"
)]
pub(super) struct Rollback {
    /// the profile (default: that of the entry that boots by itself)
    #[argh(positional, arg_name = "profile")]
    profile: Option<String>,
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

/// Let a generation boot by itself.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "default",
    example = "lamina system default web/7 --medium /mnt/store --esp /mnt/esp\nlamina system default --last"
)]
pub(super) struct Choose {
    /// a profile, which means its newest generation, or NAME/NUMBER
    #[argh(positional, arg_name = "generation")]
    generation: Option<String>,
    /// in place of a generation: from now on what was started last boots by itself
    #[argh(switch)]
    last: bool,
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

/// Another generation boots by itself.
fn choose(
    context: &Context,
    target: &Target,
    installed: &Installed,
    chosen: &InstalledGeneration,
    doing: &Doing,
) -> Result<ExitCode> {
    // Whoever asks for one does not mean another, which was started last.
    let choice = installed.esp.starts_last().then_some(Choice::Default);
    let default = Some((chosen.profile.clone(), chosen.number));
    let request = Request { default, choice, ..Request::default() };
    let plan = SystemPlan::make(installed, &request, target.room()?)?;
    doing.finish(context, target, &plan, &format!("{}: {} boots by itself", target.name, chosen.label()))
}

impl Rollback {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let target =
            target(Where::of(&self.medium, &self.esp, &self.disk), access(self.dry_run), &context.report)?;
        let _held = target.hold(&context.report)?;
        let installed = Installed::read(&target)?;
        let before =
            installed.generation_before(self.profile.as_deref().map(profile).transpose()?.as_ref())?;
        choose(
            context,
            &target,
            &installed,
            before,
            &Doing { dry_run: self.dry_run, json: self.json, reasons: false },
        )
    }
}

impl Choose {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let target =
            target(Where::of(&self.medium, &self.esp, &self.disk), access(self.dry_run), &context.report)?;
        let _held = target.hold(&context.report)?;
        let installed = Installed::read(&target)?;
        let doing = Doing { dry_run: self.dry_run, json: self.json, reasons: false };
        match (&self.generation, self.last) {
            (Some(named), false) => {
                let chosen = whole(&installed, generation(&installed, named)?)?;
                choose(context, &target, &installed, chosen, &doing)
            }
            (None, true) => {
                let request = Request { choice: Some(Choice::Last), ..Request::default() };
                let plan = SystemPlan::make(&installed, &request, target.room()?)?;
                let done = format!("{}: what was started last boots by itself", target.name);
                doing.finish(context, &target, &plan, &done)
            }
            (None, false) | (Some(_), true) => {
                Err(Error::new("system default", "takes a generation or --last")
                    .remedy("`lamina system list` shows the generations"))
            }
        }
    }
}
