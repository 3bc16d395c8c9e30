//! A TPM 2.0 of software for one machine (swtpm(8)).

use std::fs;
use std::path::Path;
use std::process::Command;

use fault::Error;

use crate::daemon::Daemon;
use crate::programs;

/// It ends by itself when QEMU does, and with the process that started it when QEMU has never come.
#[derive(Debug)]
pub struct TpmDaemon(Daemon);

impl TpmDaemon {
    /// Starts one that knows nothing yet; what it learns is kept in `folder`, which must be there.
    ///
    /// # Errors
    /// swtpm(8) is not installed, or does not start.
    pub fn start(folder: &Path) -> Result<Self, Error> {
        let (state, socket) = (folder.join("tpm"), folder.join("tpm.socket"));
        fs::create_dir(&state).map_err(|error| Error::caused(state.display(), error))?;
        let mut command = Command::new(programs::find(programs::SETPRIV)?);
        command
            .args(["--pdeathsig", "KILL"])
            .arg(programs::find(programs::SWTPM)?)
            .args(["socket", "--tpm2", "--terminate", "--tpmstate"])
            .arg(format!("dir={}", state.display()))
            .arg("--ctrl")
            .arg(format!("type=unixio,path={}", socket.display()));
        Daemon::start(&mut command, programs::SWTPM, socket, "it says above why").map(Self)
    }

    /// Where QEMU reaches it.
    pub fn socket(&self) -> &Path {
        self.0.socket()
    }
}
