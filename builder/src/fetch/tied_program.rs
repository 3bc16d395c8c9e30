//! Programs that die with this process, however that dies (setpriv(1), PR_SET_PDEATHSIG): one that waits for a slow mirror, or for the lock
//! of apt, would stay for a while otherwise.

use std::io;
use std::process::{Command, ExitStatus};

use crate::error::Error;

pub(super) fn command(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    command
}

/// Why there is no setpriv.
pub(super) fn not_started(error: io::Error) -> Error {
    Error::new("setpriv", format!("cannot be started: {error}"))
        .remedy("install it: apt-get install util-linux")
}

/// What setpriv says when there is no such program.
pub(super) fn is_missing(status: ExitStatus) -> bool {
    status.code() == Some(127)
}
