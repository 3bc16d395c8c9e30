//! `lamina system update`: from the tree to the medium.

use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use profiles::Name;
use running::medium::Access;

use super::build::Build;
use super::on_medium::{Bringing, Doing, KEPT, Where, profile, target};
use super::print;
use crate::command::context::Context;
use crate::error::{Error, Result};
use crate::system::installed::Installed;

/// Build profiles as the tree has them, lock them, and put what is new onto a medium. The profile that boots by itself still does, with its
/// new generation.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "update",
    example = "lamina system update --medium /mnt/store --esp /mnt/esp --dry-run",
    note = "It is `lamina build`, then `lamina system install`. --dry-run says what would be built and why; which images come is known when \
they are built."
)]
pub(super) struct Update {
    /// a profile of the tree; may be given several times (default: those of the medium that the tree has)
    #[argh(positional, arg_name = "profile")]
    profile: Vec<String>,
    /// how many generations of each of these profiles stay, the newest ones (default: 3)
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
    /// say what would be done, and do nothing
    #[argh(switch, short = 'n')]
    dry_run: bool,
}

impl Update {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let place = Where::of(&self.medium, &self.esp, &self.disk);
        let mut names: Vec<Name> = self.profile.iter().map(|text| profile(text)).collect::<Result<_>>()?;
        if names.is_empty() {
            let tree = context.profiles()?;
            let seen = target(place, Access::Read, &context.report)?;
            let there = Installed::read(&seen)?.medium.generations;
            names = there.into_iter().map(|it| it.profile).filter(|name| tree.has(name)).collect();
        }
        names.sort();
        names.dedup();
        if names.is_empty() {
            return Err(Error::new("system", "the tree has no profile of this medium")
                .remedy("give the tree with `--tree DIR`, or name a profile"));
        }
        let texts = names.iter().map(Name::to_string).collect();
        let built = Build::of_profiles(texts, self.dry_run).run(context)?;
        if self.dry_run {
            for name in &names {
                print(format_args!("lock {name}, and install it when it is new"))?;
            }
            return Ok(built);
        }
        let doing = Doing { dry_run: false, json: false, reasons: false };
        // Not before: a build takes long, and who blesses meanwhile would wait for it.
        let target = target(place, Access::Write, &context.report)?;
        Bringing {
            names,
            keep: self.keep,
            kernel: None,
            init: None,
            parameters: Vec::new(),
            first_boots: false,
        }
        .run(context, target, &doing)
    }
}
