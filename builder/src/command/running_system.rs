//! `lamina bless`, `lamina report`, `lamina why`: the commands of the crate `running`, which the init binary has as well.

use std::process::ExitCode;

use running::command::Said;

use super::print;
use crate::error::{Error, Result};

/// Prints what such a command says; the exit status is its answer.
pub(super) fn tell(said: running::Result<Said>) -> Result<ExitCode> {
    let Said { text, yes } = said.map_err(error)?;
    print(text)?;
    Ok(if yes { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn error(error: running::Error) -> Error {
    let plain = Error::new(error.object, error.cause);
    if error.remedy.is_empty() { plain } else { plain.remedy(error.remedy) }
}
