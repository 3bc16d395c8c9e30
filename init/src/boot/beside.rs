//! A program of the initramfs that starts beside the real init: whoever made the initramfs wants something done in the running system.
//!
//! It is as trusted as init itself, which lies in the same archive.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::console;
use crate::paths::BESIDE;

/// The program, as long as the initramfs is not the root any more.
#[derive(Debug)]
pub struct Beside(Option<File>);

impl Beside {
    /// To be called before the root is another; most initramfs have none.
    pub fn open() -> Self {
        Self(File::open(BESIDE).ok())
    }

    /// To be called in the new root. The real init takes it over like every process without parents.
    pub fn start(self) {
        let Some(program) = self.0 else { return };
        // It has no name any more (proc_pid_fd(5)).
        let started = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()))
            .arg0(BESIDE)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        if let Err(error) = started {
            let line = format!("{BESIDE} of the initramfs was not started: {error}");
            console::to_kernel_log(4, &line);
            console::write_line(&line);
        }
    }
}
