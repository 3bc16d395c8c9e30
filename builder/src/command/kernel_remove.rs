//! `lamina kernel remove`: the names of imported kernels go.

use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use profiles::Name;
use profiles::written::Composition;

use super::print;
use crate::command::context::Context;
use crate::error::{Error, Result};
use crate::store::Store;

/// Forget imported kernels: profiles cannot name them any more.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    subcommand,
    name = "remove",
    example = "lamina kernel remove linux-6.12\nlamina kernel remove linux-site linux-old --dry-run",
    note = "Profiles that were locked with one keep it: its files stay in the store for as long as a generation needs them, and go with \
`lamina store gc` after that.",
    note = "One that a profile of the tree names is not removed (`--tree`, or the tree upwards from here)."
)]
pub(super) struct Remove {
    /// names that `lamina kernel list` shows as imported
    #[argh(positional, arg_name = "name")]
    names: Vec<String>,
    /// say what would go, and remove nothing
    #[argh(switch, short = 'n')]
    dry_run: bool,
}

impl Remove {
    pub(super) fn run(self, context: &Context) -> Result<ExitCode> {
        let store = context.store()?;
        let names = self.names.iter().map(|text| parse(text)).collect::<Result<Vec<Name>>>()?;
        if names.is_empty() {
            return Err(Error::new("kernel remove", "names no kernel")
                .remedy("`lamina kernel list` shows those that were imported"));
        }
        refuse_wanted(context, &store, &names)?;
        for name in &names {
            match self.dry_run {
                true => print(format_args!("forget kernel {name}"))?,
                false => {
                    store.forget_kernel(name)?;
                    context.report.line(format_args!("kernel {name}: forgotten"));
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn parse(text: &str) -> Result<Name> {
    Name::parse(text).map_err(|error| Error::caused(format!("'{}'", text.escape_debug()), error))
}

/// Nothing goes when one of the names is unknown, or means something to a profile of the tree.
fn refuse_wanted(context: &Context, store: &Store, names: &[Name]) -> Result<()> {
    for name in names {
        if !store.has_kernel(name) {
            return Err(store.no_kernel(name)?);
        }
        let record = store.kernel_record_path(name);
        if record.is_dir() && !record.is_symlink() {
            return Err(Error::new(record.display(), "is a folder, and no record of a kernel")
                .remedy("no command has made it: remove it by hand"));
        }
    }
    let wanted = match context.profiles() {
        Err(error) if context.names_a_tree() => return Err(error),
        // Where there is no tree, there are no written profiles.
        Err(_) => return Ok(()),
        Ok(profiles) => profiles.compositions()?,
    };
    let boots_on = |profile: &Composition| {
        let kernel = profile.kernel.as_ref().filter(|kernel| names.contains(&kernel.name))?;
        Some((profile.name.clone(), kernel.name.clone()))
    };
    match wanted.iter().find_map(boots_on) {
        None => Ok(()),
        Some((profile, kernel)) => {
            let remedy =
                format!("write another kernel into profiles/{profile}.kdl, or into what it includes, first");
            Err(Error::new(format!("kernel {kernel}"), format!("the profile {profile} boots on it"))
                .remedy(remedy))
        }
    }
}
