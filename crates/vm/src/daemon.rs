//! A program that serves a machine through a socket, as long as the machine is on.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fault::Error;

/// Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Daemon {
    process: Child,
    socket: PathBuf,
}

impl Daemon {
    /// Starts `command`, which messages call `program`, and waits until it listens on `socket`. What it says goes to a file beside that: the
    /// standard error of this process may be that of a command in the guest.
    ///
    /// # Errors
    /// It does not start, or does not listen in time; `remedy` says what helps.
    pub fn start(command: &mut Command, program: &str, socket: PathBuf, remedy: &str) -> Result<Self, Error> {
        let words = socket.with_extension("errors");
        let errors = File::create(&words).map_err(|error| Error::caused(words.display(), error))?;
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).spawn();
        let process = process.map_err(|error| Error::caused(program, error).remedy(remedy))?;
        let mut daemon = Self { process, socket };
        daemon.wait_for_socket().map_err(|cause| {
            let said = fs::read(&words).unwrap_or_default();
            let said = String::from_utf8_lossy(&said).trim_end().replace('\n', "; ");
            let said = if said.is_empty() { said } else { format!(": {said}") };
            Error::new(program, format!("{cause}{said}")).remedy(remedy)
        })?;
        Ok(daemon)
    }

    /// Where QEMU reaches it.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    fn wait_for_socket(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.socket.exists() {
            if let Ok(Some(status)) = self.process.try_wait() {
                return Err(format!("ended with {status} before it listened"));
            }
            if Instant::now() > deadline {
                return Err("did not listen within 20 s".to_owned());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It ends by itself when QEMU closes the socket; before that, sudo cannot be killed by the user who called it.
        if self.process.kill().is_ok() {
            let _ = self.process.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_ends_at_once_is_told_with_what_helps() {
        let folder = tempfile::tempdir().unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo why >&2; exit 1"]);
        let error = Daemon::start(&mut shell, "false", folder.path().join("socket"), "try true");
        let told = error.unwrap_err().to_string();
        assert!(told.starts_with("false: ended with exit status: 1 before it listened: why\n"), "{told}");
        assert!(told.ends_with("help: try true"), "{told}");
    }
}
