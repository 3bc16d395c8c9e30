//! `lamina key`: keys that sign profiles.

use std::path::PathBuf;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};

use super::print;
use crate::command::context::Context;
use crate::error::Result;
use crate::profile::signature::{self, PASSWORD_VARIABLE, Protection};

/// Make keys that sign profiles.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "key", example = "lamina key create site.key")]
pub struct KeyCommand {
    #[argh(subcommand)]
    action: Action,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum Action {
    Create(Create),
}

/// Make a pair of minisign keys: FILE is the secret one, FILE.pub goes into the initramfs (`mkinitramfs --public-key FILE.pub`).
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "create",
    example = "lamina key create site.key\nlamina profile sign web --key site.key",
    note = "The password is asked for, or taken from MINISIGN_PASSWORD. Files that are there are never replaced."
)]
struct Create {
    /// the file for the secret key
    #[argh(positional)]
    file: PathBuf,
    /// a secret key without a password, protected by the permissions of its file alone
    #[argh(switch)]
    no_password: bool,
}

/// The password of the environment, when it has one.
pub(super) fn password() -> Option<String> {
    std::env::var(PASSWORD_VARIABLE).ok()
}

impl KeyCommand {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let Action::Create(create) = self.action;
        let protection =
            if create.no_password { Protection::Nothing } else { Protection::Password(password()) };
        let public = signature::create_keys(&create.file, &protection)?;
        context.report.line(format_args!("{}: keep it secret, and keep a copy", create.file.display()));
        print(public.display())?;
        Ok(ExitCode::SUCCESS)
    }
}
