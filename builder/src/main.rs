//! The `lamina` command. It reads the command line, hands over to the library, and turns an error into a message.

use std::io::Write;
use std::process::ExitCode;

use argh::{EarlyExit, FromArgs};
use builder::command::{self, Lamina};
use builder::sandbox;

fn main() -> ExitCode {
    let mut arguments = Vec::new();
    for argument in std::env::args_os().skip(1) {
        match argument.into_string() {
            Ok(text) => arguments.push(text),
            Err(bytes) => return misunderstood(&format!("the argument {bytes:?} is not UTF-8")),
        }
    }
    if let [stage, rest @ ..] = arguments.as_slice()
        && stage == sandbox::STAGE_ARGUMENT
    {
        std::process::exit(sandbox::stage_main(rest));
    }
    let arguments = match command::prepare(arguments) {
        Ok(arguments) => arguments,
        Err(message) => return misunderstood(&message),
    };
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let lamina = match Lamina::from_args(&["lamina"], &words) {
        Ok(lamina) => lamina,
        Err(EarlyExit { output, status: Ok(()) }) => {
            return match writeln!(std::io::stdout(), "{}", output.trim_end()) {
                // A reader that has seen enough, such as `head`, is no error.
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                    eprintln!("lamina: standard output: {error}");
                    ExitCode::FAILURE
                }
                _ => ExitCode::SUCCESS,
            };
        }
        Err(EarlyExit { output, .. }) => return misunderstood(output.trim_end()),
    };
    command::run(lamina).unwrap_or_else(|error| {
        progress::line(format_args!("lamina: {error}"));
        ExitCode::FAILURE
    })
}

/// Exit status 2: the command line was not understood.
fn misunderstood(message: &str) -> ExitCode {
    progress::line(format_args!(
        "{message}\nRun `lamina --help` for the commands, `lamina COMMAND --help` for one of them."
    ));
    ExitCode::from(2)
}
