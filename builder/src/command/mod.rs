//! The commands. Each module has one family: its arguments and what it does with the library.

mod bootstrap;
mod build;
mod built_with;
mod complete;
mod completions;
pub mod context;
mod deps;
mod disk;
mod explain;
mod explain_against;
mod image;
mod image_cat;
mod image_name;
mod image_verity;
mod info;
mod kernel;
mod kernel_build;
mod kernel_import;
mod kernel_named;
mod kernel_remove;
mod key;
mod locked;
mod man;
mod medium;
mod on_medium;
mod profile;
mod profile_list;
mod profile_named;
mod rebuild_needed;
mod recipe;
mod running_system;
mod source;
mod store;
mod store_gc;
mod system;
mod system_copy;
mod system_default;
mod system_diff;
mod system_install;
mod system_update;
mod targets;
mod told_apart;
mod tool;
mod vm;
mod wanted;

use std::io::ErrorKind;
use std::process::ExitCode;

use argh::FromArgs;
use cli::command_line::Program;
use running::System;

pub use complete::complete;

use crate::command::context::Context;
use crate::error::{Error, Result};
use crate::scratch::temporary;

/// What its declaration does not say of the program.
pub const PROGRAM: Program<'static> = Program {
    name: "lamina",
    version: env!("CARGO_PKG_VERSION"),
    aliases: &[],
    choosing: &["build", "built-with", "deps", "explain", "info", "rebuild-needed"],
};

/// Builds packages from recipes into images, and stacks images into systems.
#[derive(FromArgs, argh::ArgsInfo, Debug)]
#[argh(
    example = "lamina build console\nlamina profile lock console\nlamina store list",
    note = "--store, --tree and --verbose may stand anywhere on the command line; --jobs=4 and -j4 work as --jobs 4, -nv as -n -v.",
    note = "`lamina completions SHELL` and `lamina man DIR` write completions and manual pages; `make install` puts them in place.",
    note = "Environment: LAMINA_STORE, the store; LAMINA_TREE, the tree, or several with colons between them; LAMINA_CACHE, the folder of downloads (default: \
$XDG_CACHE_HOME/lamina, else ~/.cache/lamina); MINISIGN_PASSWORD, the password of a secret key; NO_COLOR, no colours on a \
terminal; TERM=dumb, none and no lines that move.",
    error_code(1, "The command failed; standard error says what, why, and what to do."),
    error_code(2, "The command line was not understood.")
)]
pub struct Lamina {
    /// the store (default: $LAMINA_STORE, else $XDG_DATA_HOME/lamina/store, else ~/.local/share/lamina/store)
    #[argh(option, arg_name = "dir")]
    store: Option<String>,

    /// a folder that has packages/ and profiles/; of several, what an earlier one has stands in place of what the others
    /// have (default: $LAMINA_TREE, paths with colons between them, else the nearest one upwards)
    #[argh(option, arg_name = "dir")]
    tree: Vec<String>,

    /// say also what was decided and why
    #[argh(switch, short = 'v')]
    verbose: bool,

    #[argh(subcommand)]
    command: Command,
}

#[derive(FromArgs, argh::ArgsInfo, Debug)]
#[argh(subcommand)]
enum Command {
    Bless(running::command::Bless),
    Bootstrap(bootstrap::BootstrapCommand),
    Build(build::Build),
    BuiltWith(built_with::BuiltWith),
    Completions(completions::Completions),
    Deps(deps::Deps),
    Disk(disk::DiskCommand),
    Explain(explain::Explain),
    Fetch(build::Fetch),
    Image(image::ImageCommand),
    Info(info::Info),
    Kernel(kernel::KernelCommand),
    Key(key::KeyCommand),
    Man(man::Man),
    Medium(medium::MediumCommand),
    Profile(profile::ProfileCommand),
    RebuildNeeded(rebuild_needed::RebuildNeeded),
    Recipe(recipe::RecipeCommand),
    Report(running::command::Report),
    Source(source::SourceCommand),
    Store(store::StoreCommand),
    System(system::SystemCommand),
    Tool(tool::ToolCommand),
    Vm(vm::VmCommand),
    Why(running::command::Why),
}

/// Carries out a command line.
pub fn run(lamina: Lamina) -> Result<ExitCode> {
    let context = Context::new(lamina.store, lamina.tree, lamina.verbose);
    for left in temporary::sweep() {
        context.report.line(format_args!("warning: {left}"));
    }
    run_in(&context, lamina.command).map_err(naming_the_store)
}

/// Where the place is what is wrong, the store may be at another: most of what is written is written there.
fn naming_the_store(error: Error) -> Error {
    let of_the_place = |kind| {
        matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem)
    };
    let usual = if error.has_own_remedy() { None } else { error.known_remedy() };
    match usual.filter(|_| error.system_said().is_some_and(|said| of_the_place(said.kind()))) {
        Some(usual) => {
            let remedy = format!("{usual} (the store: `--store DIR` or LAMINA_STORE)");
            error.remedy(remedy)
        }
        None => error,
    }
}

fn run_in(context: &Context, command: Command) -> Result<ExitCode> {
    match command {
        Command::Bless(command) => running_system::tell(command.run(&System::here())),
        Command::Bootstrap(command) => command.run(context),
        Command::Build(command) => command.run(context),
        Command::BuiltWith(command) => command.run(context),
        Command::Completions(command) => command.run(),
        Command::Deps(command) => command.run(context),
        Command::Disk(command) => command.run(context),
        Command::Explain(command) => command.run(context),
        Command::Fetch(command) => command.run(context),
        Command::Image(command) => command.run(context),
        Command::Info(command) => command.run(context),
        Command::Kernel(command) => command.run(context),
        Command::Key(command) => command.run(context),
        Command::Man(command) => command.run(),
        Command::Medium(command) => command.run(context),
        Command::Profile(command) => command.run(context),
        Command::RebuildNeeded(command) => command.run(context),
        Command::Recipe(command) => command.run(context),
        Command::Report(command) => running_system::tell(command.run(&System::here())),
        Command::Source(command) => command.run(context),
        Command::Store(command) => command.run(context),
        Command::System(command) => command.run(context),
        Command::Tool(command) => command.run(),
        Command::Vm(command) => command.run(context),
        Command::Why(command) => running_system::tell(command.run(&System::here())),
    }
}

/// Refuses options of which one alone makes sense; each with whether it was given.
fn at_most_one(options: &[(&str, bool)]) -> Result<()> {
    let given: Vec<&str> = options.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
    match given[..] {
        [first, second, ..] => {
            Err(Error::new(first, format!("and {second} exclude each other")).remedy("give one of them"))
        }
        _ => Ok(()),
    }
}

/// Writes one result to standard output. A reader that went away (`| head`) ends the program without a word.
fn print(text: impl std::fmt::Display) -> Result<()> {
    use std::io::Write;
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        outcome => outcome.map_err(Error::on("standard output")),
    }
}

/// Writes a result as JSON, indented, with a newline at its end.
fn print_json(value: &impl serde::Serialize) -> Result<()> {
    print(serde_json::to_string_pretty(value).map_err(Error::on("standard output"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_read_only_one_may_be_left_to_another_store() {
        for kind in [ErrorKind::StorageFull, ErrorKind::ReadOnlyFilesystem] {
            let error = naming_the_store(Error::on("images/ab.sqfs")(std::io::Error::from(kind)));
            assert!(error.to_string().ends_with("(the store: `--store DIR` or LAMINA_STORE)"), "{error}");
        }
        let own = Error::on("x")(std::io::Error::from(ErrorKind::StorageFull)).remedy("buy a disk");
        assert_eq!(naming_the_store(own.clone()), own);
        let missing = Error::on("x")(std::io::Error::from(ErrorKind::NotFound));
        assert_eq!(naming_the_store(missing.clone()), missing);
    }
}
