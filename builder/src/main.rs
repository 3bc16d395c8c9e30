//! The `lamina` command. It reads the command line, hands over to the library, and turns an error into a message.

use std::ffi::OsString;
use std::process::ExitCode;

use builder::command::{self, Lamina, PROGRAM};
use builder::sandbox;
use nix::sys::signal::Signal;

fn main() -> ExitCode {
    // Supervisors start programs that ignore it: the kernel would reap our children, and nobody could wait for them (waitpid(2)).
    if let Err(error) = stack::inherited::heed_signal(Signal::SIGCHLD as i32) {
        cli::progress::line(format_args!("lamina: {error}"));
    }
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let [stage, rest @ ..] = arguments.as_slice()
        && stage == sandbox::STAGE_ARGUMENT
        && let Ok(rest) = rest.iter().cloned().map(OsString::into_string).collect::<Result<Vec<_>, _>>()
    {
        std::process::exit(sandbox::stage_main(&rest));
    }
    if let [question, words @ ..] = arguments.as_slice()
        && question == cli::help::QUESTION
    {
        command::complete(words.iter().cloned());
        return ExitCode::SUCCESS;
    }
    match cli::command_line::read::<Lamina>(&PROGRAM, arguments) {
        Ok(lamina) => command::run(lamina).unwrap_or_else(|error| {
            cli::progress::line(format_args!("lamina: {error}"));
            ExitCode::FAILURE
        }),
        Err(stop) => stop.tell(&PROGRAM),
    }
}
