//! `lamina completions`: scripts for the shells.

use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use cli::help::SHELLS;
use profiles::suggest;

use super::{Lamina, print};
use crate::error::{Error, Result};

/// Write a completion script for a shell to standard output.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "completions",
    example = "lamina completions bash > ~/.local/share/bash-completion/completions/lamina\n\
lamina completions zsh > ~/.zfunc/_lamina\nlamina completions fish > ~/.config/fish/completions/lamina.fish",
    note = "bash reads that folder by itself (package bash-completion), and so does fish; zsh reads the folders of fpath: \
`fpath+=~/.zfunc` before `compinit` in ~/.zshrc. `make install` puts all of them in their places."
)]
pub struct Completions {
    /// bash, zsh or fish
    #[argh(positional)]
    shell: String,
}

impl Completions {
    pub(super) fn run(self) -> Result<ExitCode> {
        let script = cli::help::asking_completions(&self.shell, "lamina", &Lamina::get_args_info());
        let script = script.ok_or_else(|| {
            Error::new(format!("shell '{}'", self.shell), "there are no completions for it")
                .remedy(suggest::remedy(&self.shell, &SHELLS))
        })?;
        print(script.trim_end())?;
        Ok(ExitCode::SUCCESS)
    }
}
