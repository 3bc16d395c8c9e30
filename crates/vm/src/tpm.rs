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
        const STATE: &str = "tpm";
        const SOCKET: &str = "tpm.socket";
        let (state, socket) = (folder.join(STATE), folder.join(SOCKET));
        fs::create_dir(&state).map_err(|error| Error::caused(state.display(), error))?;
        let mut command = Command::new(programs::find(programs::SETPRIV)?);
        // It splits its options at commas, and has no way to write one: the path of the folder stands in none.
        command
            .current_dir(folder)
            .args(["--pdeathsig", "KILL"])
            .arg(programs::find(programs::SWTPM)?)
            .args(["socket", "--tpm2", "--terminate", "--tpmstate"])
            .arg(format!("dir={STATE}"))
            .arg("--ctrl")
            .arg(format!("type=unixio,path={SOCKET}"));
        Daemon::start(&mut command, programs::SWTPM, socket, "set TMPDIR to another folder, or reinstall it")
            .map(Self)
    }

    /// Where QEMU reaches it.
    pub fn socket(&self) -> &Path {
        self.0.socket()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_folder_may_have_a_comma_in_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("a,b c");
        fs::create_dir(&folder).unwrap();
        let daemon = TpmDaemon::start(&folder).unwrap();
        assert_eq!(daemon.socket(), folder.join("tpm.socket"));
        assert!(daemon.socket().exists());
    }
}
