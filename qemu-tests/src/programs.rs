//! Programs of this machine, run to their end.

use std::path::Path;
use std::process::{Command, Output};

use crate::artifacts;
use crate::failure::Failure;

/// Runs it; ending badly is a failure with what it said on standard error.
pub fn run(command: &mut Command) -> Result<Output, Failure> {
    let output = command.output();
    let output =
        output.map_err(|error| Failure::new(format!("{command:?}: {error}; run `make deps-test`")))?;
    match output.status.success() {
        true => Ok(output),
        false => {
            let errors = String::from_utf8_lossy(&output.stderr);
            Err(Failure::new(format!("{command:?} ended with {}: {errors}", output.status)))
        }
    }
}

/// What it printed, likewise.
pub fn said(command: &mut Command) -> Result<String, Failure> {
    run(command).map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The builder's command with a store of the story's own.
///
/// # Panics
/// `make build` has not made it.
pub fn lamina(store: &Path) -> Command {
    let mut command = Command::new(artifacts::lamina().unwrap_or_else(|failure| panic!("{failure}")));
    command.env("LAMINA_STORE", store);
    command
}
