//! The rescue shell, on the console where it was asked for.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::errno::Errno;
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, dup2_stderr, dup2_stdin, dup2_stdout, setsid};

use crate::{console, paths};

use crate::store::initramfs;

/// The name under which init runs itself to become the shell: a new session needs a process that is not its leader.
pub const SHELL_NAME: &str = "lamina-rescue-shell";

/// Whether the initramfs has one, and allows it.
pub fn is_there() -> bool {
    initramfs::allows_shell()
        && fs::metadata(paths::SHELL).is_ok_and(|metadata| metadata.is_file() && metadata.mode() & 0o111 != 0)
}

/// Starts the shell on this console and waits for it; the sentence says why it did not start. PID 1 inherits every orphan, so
/// whatever ends meanwhile is reaped.
pub fn run(on: &Path) -> Result<(), String> {
    let itself = if Path::new("/proc/self/exe").exists() { "/proc/self/exe" } else { "/init" };
    let shell = match Command::new(itself).arg0(SHELL_NAME).arg(on).spawn() {
        Ok(child) => Pid::from_raw(child.id().cast_signed()),
        Err(error) => return Err(format!("cannot start the shell: {error}")),
    };
    loop {
        match waitpid(None, None) {
            Ok(status) if status.pid() == Some(shell) => return Ok(()),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return Ok(()),
        }
    }
}

/// The child of [`run`]: leads a session whose controlling terminal is the console (setsid(2), TIOCSCTTY of ioctl_tty(2)),
/// so that Ctrl-C and job control work, and becomes the shell.
pub fn become_shell() -> std::io::Error {
    let _ = setsid();
    let on = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("/dev/console"), PathBuf::from);
    match File::options().read(true).write(true).open(on) {
        Ok(terminal) => {
            let _ = rustix::process::ioctl_tiocsctty(&terminal);
            let _ = (dup2_stdin(&terminal), dup2_stdout(&terminal), dup2_stderr(&terminal));
        }
        Err(error) => console::write_line(&format!("no terminal of its own for the shell: {error}")),
    }
    Command::new(paths::SHELL).env("PATH", paths::PROGRAMS).exec()
}
