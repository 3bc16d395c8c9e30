//! `lamina medium`: what goes onto a disk that boots.

use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use cli::numbers::{count, human_size};
use serde_json::json;

use super::{print, print_json};
use crate::command::context::Context;
use crate::command::profile_named;
use crate::error::{Error, Result};
use crate::medium::MediumPlan;

/// How many generations of a profile stay when nobody says: the newest, and one to go back to.
const KEPT: NonZero<usize> = NonZero::new(2).unwrap();

/// Make boot media.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "medium",
    example = "lamina medium create disk/lamina --profile console --profile web"
)]
pub struct MediumCommand {
    #[argh(subcommand)]
    action: Action,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum Action {
    Create(Create),
}

/// Put the images and newest generations of profiles, with their signatures, into a folder, in the layout that init reads.
/// The folder also gets boot/a and boot/b, in which boots are counted.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "create",
    example = "lamina medium create disk/lamina --profile console --profile web",
    note = "What lies on the medium already is read and put there again when it is damaged. Of the profiles named, older generations go, and images that no generation on the medium names.",
    note = "init looks in the folder /lamina of the file system, or where lamina.dir= says: put DIR there."
)]
struct Create {
    /// the folder to fill; made when missing, completed when there
    #[argh(positional)]
    dir: PathBuf,
    /// a profile that was locked; may be given several times
    #[argh(option, arg_name = "name")]
    profile: Vec<String>,
    /// how many generations of each of these profiles stay, the newest ones (default: 2); those that boot slots name stay too
    #[argh(option, arg_name = "n")]
    keep: Option<NonZero<usize>>,
    /// print what would be copied, and do nothing
    #[argh(switch, short = 'n')]
    dry_run: bool,
    /// write JSON
    #[argh(switch)]
    json: bool,
}

impl MediumCommand {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let Action::Create(create) = self.action;
        create.run(context)
    }
}

impl Create {
    fn run(self, context: &Context) -> Result<ExitCode> {
        if self.profile.is_empty() {
            return Err(Error::new("medium", "no profile is named").remedy("give `--profile NAME`"));
        }
        let names = self.profile.iter().map(|text| profile_named::name(text));
        let mut names = names.collect::<Result<Vec<_>>>()?;
        names.sort();
        names.dedup();
        let plan = MediumPlan::make(&context.store()?, &self.dir, &names, self.keep.unwrap_or(KEPT))?;
        for path in &plan.outnumbered {
            context.report.line(format_args!(
                "warning: {}: has a higher number than the generation of this store, and init boots the highest\nhelp: \
                 remove it, unless it is the one to boot",
                path.display()
            ));
        }
        if let Some(why) = &plan.removals.kept_because {
            context.report.line(format_args!("warning: {}: {why}", self.dir.display()));
        }
        for (profile, pin) in &plan.kernels {
            context.report.line(format_args!(
                "{profile} boots on kernel {} ({}) alone, and a medium has no kernel: start that one",
                pin.release, pin.name
            ));
        }
        if !self.dry_run {
            plan.carry_out(&context.report)?;
        }
        if self.json {
            print_json(&self.as_json(&plan))?;
            return Ok(ExitCode::SUCCESS);
        }
        if self.dry_run {
            for (from, to) in plan.files() {
                print(format_args!("copy {} to {}", from.display(), to.display()))?;
            }
            for file in &plan.removals.files {
                print(format_args!("remove {}", self.dir.join(file).display()))?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        let (profiles, images) = (count(plan.profiles.len(), "profile"), count(plan.images.len(), "image"));
        let removed = match plan.removals.files.len() {
            0 => String::new(),
            files => format!("; removed what older generations needed, {}", count(files, "file")),
        };
        context.report.line(format_args!(
            "{}: {profiles}, {images}, {}{removed}",
            self.dir.display(),
            human_size(plan.size)
        ));
        Ok(ExitCode::SUCCESS)
    }

    /// Every file that belongs there; those that are there already are not copied again.
    fn as_json(&self, plan: &MediumPlan) -> serde_json::Value {
        let files = plan.files().map(|(from, to)| json!({ "from": from, "to": to }));
        json!({
            "folder": self.dir, "written": !self.dry_run, "size": plan.size,
            "files": files.collect::<Vec<_>>(), "outnumbered": plan.outnumbered,
            "removed": plan.removals.files.iter().map(|file| self.dir.join(file)).collect::<Vec<_>>(),
        })
    }
}
