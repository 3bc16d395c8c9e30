//! `lamina disk`: disks that boot, as images or on devices.

pub(super) mod create;
pub(super) mod destination;
mod inspect;
pub(super) mod told;

use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};

use crate::command::context::Context;
use crate::error::Result;

/// Make disks that boot into a menu of profiles, and look at them.
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
#[allow(clippy::large_enum_variant, reason = "there is one value of it, and `argh` takes no box here")]
enum Action {
    Create(create::Create),
    Inspect(inspect::Inspect),
}

impl DiskCommand {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        match self.action {
            Action::Create(create) => create.run(context),
            Action::Inspect(inspect) => inspect.run(),
        }
    }
}
