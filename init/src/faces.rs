//! What this program is when it is not PID 1: the command `lamina` of the running system.
//!
//! `/run/lamina/bin/lamina` leads here, and so does the program under any name with one of the commands as its first
//! argument. The commands themselves are in the crate `running`, which the builder's `lamina` shares.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use argh::{EarlyExit, FromArgs};
use running::command::{Bless, Report, Said, Why};
use running::{Result, System};

/// The name under which it is the command.
const NAME: &str = "lamina";
/// What also asks for the command, under any name.
const WORDS: [&str; 6] = ["bless", "report", "why", "help", "--help", "-h"];

/// What Lamina offers in the system that it booted.
#[derive(FromArgs, Debug)]
#[argh(
    example = "lamina report\nlamina why /etc/motd\nlamina bless",
    error_code(1, "The command failed, or the answer is no; standard error says why, and what to do."),
    error_code(2, "The command line was not understood.")
)]
struct Lamina {
    #[argh(subcommand)]
    command: Command,
}

#[derive(FromArgs, Debug)]
#[argh(subcommand)]
enum Command {
    Bless(Bless),
    Report(Report),
    Why(Why),
}

/// Runs the command that the arguments name; `None` when they name none.
pub fn command() -> Option<ExitCode> {
    let words: std::result::Result<Vec<String>, _> =
        std::env::args_os().map(std::ffi::OsString::into_string).collect();
    let words = match words {
        Ok(words) => words,
        Err(word) => return Some(misunderstood(&format!("lamina: the argument {word:?} is not UTF-8"))),
    };
    let (program, words) = words.split_first()?;
    let named = Path::new(program).file_name().is_some_and(|name| name == NAME);
    let asked = words.first().is_some_and(|word| WORDS.contains(&word.as_str()));
    (named || asked).then(|| run(words))
}

fn run(words: &[String]) -> ExitCode {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let lamina = match Lamina::from_args(&[NAME], &words) {
        Ok(lamina) => lamina,
        Err(EarlyExit { output, status: Ok(()) }) => return print(output.trim_end(), ExitCode::SUCCESS),
        Err(EarlyExit { output, .. }) => return misunderstood(output.trim_end()),
    };
    match carry_out(&lamina.command) {
        Ok(Said { text, yes }) => print(&text, if yes { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        Err(error) => {
            eprintln!("lamina: {error}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(command: &Command) -> Result<Said> {
    let system = System::here();
    match command {
        Command::Bless(bless) => bless.run(&system),
        Command::Report(report) => report.run(&system),
        Command::Why(why) => why.run(&system),
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

fn misunderstood(message: &str) -> ExitCode {
    eprintln!("{message}\nRun `lamina --help` for the commands, `lamina COMMAND --help` for one of them.");
    ExitCode::from(2)
}
