//! `lamina tool`: parts of Lamina that are useful alone.

mod version;

use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};

use crate::error::Result;

/// Small tools that need neither a tree nor a store.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "tool", example = "lamina tool version compare 1.2-rc1 1.2")]
pub struct ToolCommand {
    #[argh(subcommand)]
    tool: Tool,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum Tool {
    Version(version::VersionCommand),
}

impl ToolCommand {
    pub(super) fn run(self) -> Result<ExitCode> {
        match self.tool {
            Tool::Version(version) => version.run(),
        }
    }
}
