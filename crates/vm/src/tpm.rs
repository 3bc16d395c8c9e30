//! A TPM 2.0 of software for one machine (swtpm(8)).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fault::Error;

use crate::programs;

/// It ends by itself when QEMU does, and with the process that started it when QEMU has never come.
#[derive(Debug)]
pub struct TpmDaemon {
    process: Child,
    socket: PathBuf,
}

impl TpmDaemon {
    /// Starts one that knows nothing yet; what it learns is kept in `folder`, which must be there.
    ///
    /// # Errors
    /// swtpm(8) is not installed, or does not start.
    pub fn start(folder: &Path) -> Result<Self, Error> {
        let (state, socket) = (folder.join("tpm"), folder.join("tpm.socket"));
        fs::create_dir(&state).map_err(|error| Error::caused(state.display(), error))?;
        let process = Command::new(programs::find(programs::SETPRIV)?)
            .args(["--pdeathsig", "KILL"])
            .arg(programs::find(programs::SWTPM)?)
            .args(["socket", "--tpm2", "--terminate", "--tpmstate"])
            .arg(format!("dir={}", state.display()))
            .arg("--ctrl")
            .arg(format!("type=unixio,path={}", socket.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|error| Error::caused(programs::SETPRIV, error).remedy("it starts swtpm"))?;
        let mut daemon = Self { process, socket };
        daemon.wait_for_socket()?;
        Ok(daemon)
    }

    /// Where QEMU reaches it.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    fn wait_for_socket(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.socket.exists() {
            if let Ok(Some(status)) = self.process.try_wait() {
                let cause = format!("ended with {status} before it listened");
                return Err(Error::new(programs::SWTPM, cause).remedy("it says above why"));
            }
            if Instant::now() > deadline {
                return Err(Error::new(programs::SWTPM, "did not listen within 20 s"));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for TpmDaemon {
    fn drop(&mut self) {
        // Both fail only when it has ended already, which is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
