//! A folder of the host, shared over virtiofs, and who may write to a share.

use std::path::Path;
use std::process::Command;

use fault::Error;
use nix::unistd::{getgid, getuid};

use crate::daemon::Daemon;

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
pub struct VirtioFsDaemon(Daemon);

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
        let mut command = without_other_groups();
        command
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
            .arg("--rlimit-nofile=1024");
        Daemon::start(&mut command, program, socket, REMEDY).map(Self)
    }

    /// Where QEMU reaches the daemon.
    pub fn socket(&self) -> &Path {
        self.0.socket()
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
