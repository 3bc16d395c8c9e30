//! A command line as people write it, for programs whose arguments are declared with `argh`.
//!
//! `argh` reads `--jobs 4` and nothing else. Here the usual spellings are brought into that form, in one place for all commands and from
//! their declaration: `--jobs=4`, `-j4`, `-nv`, `-h` and `-V`, options of the whole program behind a subcommand, old names. What is
//! wrong is said as every error is: which command, what is wrong, and what to do, with the nearest name for a misspelt one.
//!
//! The conventions: POSIX.1-2024, XBD 12.2 (Utility Syntax Guidelines); GNU Coding Standards, 4.8 (Standards for Command Line Interfaces).

mod answer;
pub(crate) mod declared;
mod rewording;
mod spelling;

use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use argh::{ArgsInfo, EarlyExit, FromArgs};

use crate::colours;

pub use spelling::{Spelt, spell};

/// What is not in the declaration of a program's arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program<'a> {
    /// Its name, as messages begin with it.
    pub name: &'a str,
    /// Its version, as `--version` prints it.
    pub version: &'a str,
    /// Old names of options, which are still understood: `("--key", "--public-key")`, or of commands that were options once:
    /// `("--list", "list")`.
    pub aliases: &'a [(&'a str, &'a str)],
    /// Commands whose words may be followed by choices: behind `lamina build curl`, `-ldap` is a word and no option.
    pub choosing: &'a [&'a str],
}

/// Why there is no command to carry out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// Help or version: for standard output, exit status 0.
    Answer(String),
    /// The command line was not understood: for standard error, exit status 2.
    Misunderstood(String),
}

/// Reads the words after the program's name.
///
/// # Errors
/// Help or the version was asked for, or the words are not understood.
pub fn read<T: FromArgs + ArgsInfo>(
    program: &Program<'_>,
    words: impl IntoIterator<Item = OsString>,
) -> Result<T, Stop> {
    let words = words.into_iter().map(OsString::into_string).collect::<Result<Vec<String>, _>>();
    let words = words.map_err(|word| {
        let message = format!("{}: the argument {word:?} is not UTF-8", program.name);
        Stop::Misunderstood(format!(
            "{message}\nhelp: rename the file, or go to its folder and give a path without these bytes"
        ))
    })?;
    let declared = T::get_args_info();
    match spell(program, &declared, words).map_err(Stop::Misunderstood)? {
        Spelt::Version => Err(Stop::Answer(format!("{} {}", program.name, program.version))),
        Spelt::Help(path) => Err(Stop::Answer(help_of::<T>(program, &path))),
        Spelt::Command { path, words } => {
            let given: Vec<&str> = words.iter().map(String::as_str).collect();
            T::from_args(&[program.name], &given).map_err(|EarlyExit { output, status }| match status {
                Ok(()) => Stop::Answer(answer::complete(&output)),
                Err(()) => {
                    Stop::Misunderstood(rewording::message(program, &declared, &path, &words, &output))
                }
            })
        }
    }
}

/// The help of the command with these words, the program's when there are none.
fn help_of<T: FromArgs>(program: &Program<'_>, path: &[String]) -> String {
    let words: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
    match T::from_args(&[program.name], &words) {
        Err(EarlyExit { output, .. }) => answer::complete(&output),
        // `argh` answers --help with help.
        Ok(_) => String::new(),
    }
}

impl Stop {
    /// Tells it to whoever asked. Returns the exit status.
    pub fn tell(self, program: &Program<'_>) -> ExitCode {
        match self {
            Stop::Answer(text) => {
                let text = if colours::wanted(&std::io::stdout()) { colours::help(&text) } else { text };
                match writeln!(std::io::stdout(), "{}", text.trim_end()) {
                    // A reader that has seen enough, such as `head`, is no error.
                    Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                        crate::progress::line(format_args!("{}: standard output: {error}", program.name));
                        ExitCode::FAILURE
                    }
                    _ => ExitCode::SUCCESS,
                }
            }
            Stop::Misunderstood(message) => {
                crate::progress::line(message);
                ExitCode::from(2)
            }
        }
    }
}
