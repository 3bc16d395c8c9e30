//! A folder of the host, shared over virtiofs, and who may write to a share.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fault::Error;
use nix::unistd::{getgid, getuid};

/// The daemon: Debian 13's `virtiofsd` and later, Debian 12's `qemu-system-common`.
const DAEMONS: [&str; 2] = ["/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd"];

const REMEDY: &str =
    "it needs user namespaces, and its package: Debian 13's virtiofsd, Debian 12's qemu-system-common";

/// The path of the daemon, and how it is told what to share. Both read `--socket-path` and `--rlimit-nofile`.
fn daemon(folder: &Path) -> (&'static str, Vec<String>) {
    let folder = folder.display();
    let [newer, older] = DAEMONS;
    if Path::new(newer).exists() {
        (newer, vec![format!("--shared-dir={folder}"), "--sandbox=chroot".to_owned()])
    } else {
        (older, vec!["-o".to_owned(), format!("source={folder},sandbox=chroot")])
    }
}

/// What the guest may do with a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reads only: the host refuses the rest with EROFS.
    Read,
    /// Reads and writes.
    Write,
}

/// A running virtiofsd. Dropping it ends it.
#[derive(Debug)]
pub struct VirtioFsDaemon {
    process: Child,
    socket: PathBuf,
    program: &'static str,
}

impl VirtioFsDaemon {
    /// Shares `folder` through a socket made in the folder `scratch`. It does not run as root: in a user namespace of its own the
    /// daemon may do its chroot, and a private tmpfs gives it the `/run` that it writes its process id to.
    pub fn serve(folder: &Path, scratch: &Path, access: Access) -> Result<Self, Error> {
        let socket = scratch.join("virtiofs");
        // The one of the guest before.
        let _ = std::fs::remove_file(&socket);
        // This daemon has no option for it: the mount that it sees is read-only.
        let protect = match access {
            Access::Read => "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && ",
            Access::Write => "",
        };
        let in_namespace =
            format!("{protect}mount -t tmpfs tmpfs /run && exec setpriv --pdeathsig KILL \"$@\"");
        let (program, shared) = daemon(folder);
        let process = without_other_groups()
            .args([
                "unshare",
                "--map-root-user",
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
                &in_namespace,
            ])
            .arg(folder)
            .arg(program)
            .arg(format!("--socket-path={}", socket.display()))
            .args(shared)
            // The default, 1000000, is above what an ordinary user may ask for.
            .arg("--rlimit-nofile=1024")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|error| Error::caused(program, error).remedy(REMEDY))?;
        let mut daemon = Self { process, socket, program };
        daemon.wait_for_socket()?;
        Ok(daemon)
    }

    /// Where QEMU reaches the daemon.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    fn wait_for_socket(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.socket.exists() {
            if let Ok(Some(status)) = self.process.try_wait() {
                let cause = format!("ended with {status} before it listened");
                return Err(Error::new(self.program, cause).remedy(REMEDY));
            }
            if Instant::now() > deadline {
                return Err(Error::new(self.program, "did not listen within 20 s").remedy(REMEDY));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// Starts a program without supplementary groups: virtiofsd gives them up, which a user namespace of an ordinary user forbids.
fn without_other_groups() -> Command {
    let (user, group) = (getuid(), getgid());
    let (program, first): (&str, &[&str]) =
        if user.is_root() { ("setpriv", &[]) } else { ("sudo", &["--non-interactive", "setpriv"]) };
    let mut command = Command::new(program);
    command.args(first).arg("--clear-groups").arg(format!("--reuid={user}")).arg(format!("--regid={group}"));
    command
}

impl Drop for VirtioFsDaemon {
    fn drop(&mut self) {
        // It ends by itself when QEMU closes the socket; before that, sudo cannot be killed by the user who called it.
        if self.process.kill().is_ok() {
            let _ = self.process.wait();
        }
    }
}
