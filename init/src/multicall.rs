//! What this program is besides the init of an initramfs.
//!
//! | run as | it is |
//! |---|---|
//! | `lamina-rescue-shell` | the rescue shell: a child of the recovery screen |
//! | `shutdown`, PID 1 | the program that ends a system: systemd starts it so, in `/run/initramfs` |
//! | `lamina`, or with a command as its first argument | the command `lamina` of the running system |
//!
//! `/run/lamina/bin/lamina` leads here. The commands are in the crate `running`, which the builder's `lamina` shares, but for
//! `shutdown`, which only makes sense where this init has booted the system.

use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use argh::{ArgsInfo, FromArgs};
use cli::command_line::Program;
use running::command::{Bless, Report, Said, Why};
use running::{Result, System};

use crate::{paths, recovery, shutdown};

use crate::shutdown::handover;

/// The name under which it is the command.
const NAME: &str = "lamina";
/// What also asks for the command, under any name.
const WORDS: [&str; 9] = ["bless", "report", "why", "shutdown", "help", "--help", "-h", "--version", "-V"];
/// What its declaration does not say of the command.
const PROGRAM: Program<'static> =
    Program { name: NAME, version: env!("CARGO_PKG_VERSION"), aliases: &[], choosing: &[] };

/// What Lamina offers in the system that it booted.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(
    example = "lamina report\nlamina why /etc/motd\nlamina bless",
    error_code(1, "The command failed, or the answer is no; standard error says why, and what to do."),
    error_code(2, "The command line was not understood.")
)]
struct Lamina {
    #[argh(subcommand)]
    command: Command,
}

#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand)]
enum Command {
    Bless(Bless),
    Report(Report),
    Why(Why),
    Shutdown(Shutdown),
}

/// End all other processes and make every disk read-only: the last thing that scripts of an init do. Refused where systemd is PID 1.
#[derive(FromArgs, ArgsInfo, Debug)]
#[argh(subcommand, name = "shutdown", example = "lamina shutdown    # in /etc/init.d/rcK")]
struct Shutdown {}

/// What it is by name and process id; `None` for the init of an initramfs.
pub fn other_than_init() -> Option<ExitCode> {
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_default();
    let name = Path::new(&name).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if name == recovery::SHELL_NAME {
        eprintln!("lamina: cannot start {}: {}", paths::SHELL, recovery::become_shell());
        return Some(ExitCode::FAILURE);
    }
    if std::process::id() == 1 {
        let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
        return match (name, words.split_first()) {
            (handover::PROGRAM, _) => shutdown::as_pid_1(&words),
            (NAME, Some((word, words))) if word == handover::PROGRAM => shutdown::as_pid_1(words),
            _ => None,
        };
    }
    Some(command().unwrap_or_else(|| {
        eprintln!(
            "lamina: this is the init of an initramfs; it runs as PID 1 only, and changes nothing otherwise"
        );
        ExitCode::FAILURE
    }))
}

/// Runs the command that the arguments name; `None` when they name none.
fn command() -> Option<ExitCode> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let (program, words) = words.split_first()?;
    let named = Path::new(program).file_name().is_some_and(|name| name == NAME);
    let asked = words.first().is_some_and(|word| WORDS.iter().any(|known| word == known));
    (named || asked).then(|| run(words))
}

fn run(words: &[OsString]) -> ExitCode {
    let lamina = match cli::command_line::read::<Lamina>(&PROGRAM, words.iter().cloned()) {
        Ok(lamina) => lamina,
        Err(stop) => return stop.tell(&PROGRAM),
    };
    match carry_out(&lamina.command) {
        None => shutdown::from_the_system(),
        Some(Ok(Said { text, yes })) => print(&text, if yes { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        Some(Err(error)) => {
            cli::progress::line(format_args!("lamina: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// `None` for the one command that is no question to the system.
fn carry_out(command: &Command) -> Option<Result<Said>> {
    let system = System::here();
    match command {
        Command::Bless(bless) => Some(bless.run(&system)),
        Command::Report(report) => Some(report.run(&system)),
        Command::Why(why) => Some(why.run(&system)),
        Command::Shutdown(Shutdown {}) => None,
    }
}

/// Writes to standard output. A reader that went away (`| head`) is no failure.
fn print(text: &str, status: ExitCode) -> ExitCode {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("lamina: standard output: {error}");
            ExitCode::FAILURE
        }
        _ => status,
    }
}
