//! `lamina man`: manual pages.

use std::path::PathBuf;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};

use super::Lamina;
use crate::error::Result;

/// Write manual pages: lamina.1, lamina-build.1 and so on.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "man",
    example = "lamina man ~/.local/share/man/man1 && man lamina-build",
    note = "man(1) finds ~/.local/share/man by itself when ~/.local/bin is on PATH; else name the folder above man1: \
`man -M ~/.local/share/man lamina`."
)]
pub struct Man {
    /// the folder to write to; made when missing
    #[argh(positional)]
    dir: PathBuf,
}

impl Man {
    pub(super) fn run(self) -> Result<ExitCode> {
        cli::help::write_pages(&self.dir, "lamina", &Lamina::get_args_info())?;
        Ok(ExitCode::SUCCESS)
    }
}
