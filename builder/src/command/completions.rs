//! `lamina completions`: scripts for the shells.

use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use argh_complete::Generator;
use profiles::suggest;

use super::{Lamina, print};
use crate::error::{Error, Result};

const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// Write a completion script for a shell.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "completions",
    example = "lamina completions bash > ~/.local/share/bash-completion/completions/lamina"
)]
pub struct Completions {
    /// bash, zsh or fish
    #[argh(positional)]
    shell: String,
}

impl Completions {
    pub(super) fn run(self) -> Result<ExitCode> {
        let lamina = Lamina::get_args_info();
        let script = match self.shell.as_str() {
            "bash" => argh_complete::bash::Bash::generate("lamina", &lamina),
            "zsh" => argh_complete::zsh::Zsh::generate("lamina", &lamina),
            // fish 3, as in Debian 12, knows the words before the cursor as -o only; fish 4 knows both.
            "fish" => argh_complete::fish::Fish::generate("lamina", &lamina)
                .replace("commandline -xpc", "commandline -opc"),
            other => {
                return Err(Error::new(format!("shell '{other}'"), "there are no completions for it")
                    .remedy(suggest::remedy(other, &SHELLS)));
            }
        };
        print(script.trim_end())?;
        Ok(ExitCode::SUCCESS)
    }
}
