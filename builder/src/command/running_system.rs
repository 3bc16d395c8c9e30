//! `lamina bless`, `lamina report`, `lamina why`: the commands of the crate `running`, which the init binary has as well.

use std::process::ExitCode;

use running::command::Said;

use super::print;
use crate::error::Result;

/// Prints what such a command says; the exit status is its answer.
pub(super) fn tell(said: Result<Said>) -> Result<ExitCode> {
    let Said { text, yes } = said?;
    print(text)?;
    Ok(if yes { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
