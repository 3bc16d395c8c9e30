//! Programs of the host, run in the guest: user-mode Linux shows the host's files as a file system (`hostfs`), and `dmsetup` and
//! `lamina` are found there with all their libraries.

use std::path::Path;
use std::process::Command;

use nix::unistd::{chdir, chroot};
use stack::mount::{self, Attributes, Filesystem};

const HOST: &str = "/host";
/// The role of the child that changes its root: a process that has changed its root cannot go back.
pub const ROLE: &str = "in-host";

/// Shows the host's files at `/host`, with this machine's devices in them. The other roles' work is undone by [`hide`].
pub fn show() -> Result<(), String> {
    std::fs::create_dir_all(HOST).map_err(|error| format!("{HOST}: {error}"))?;
    let file_system = Filesystem {
        kind: "hostfs",
        source: "hostfs",
        options: &[],
        flags: &[],
        attributes: Attributes::empty(),
    };
    file_system.mount(Path::new(HOST)).map_err(|error| error.to_string())?;
    for folder in ["/dev", "/proc"] {
        bind(Path::new(folder), folder)?;
    }
    Ok(())
}

/// Makes a folder of the guest visible at `place` of the host's tree, where a folder must be.
pub fn bind(folder: &Path, place: &str) -> Result<(), String> {
    mount::bind(folder, Path::new(&format!("{HOST}{place}"))).map_err(|error| error.to_string())
}

/// Takes away what [`bind`] has made visible.
pub fn unbind(place: &str) -> Result<(), String> {
    mount::unmount(Path::new(&format!("{HOST}{place}"))).map_err(|error| error.to_string())
}

/// Takes all of it away again.
pub fn hide() {
    for folder in ["/host/dev", "/host/proc", HOST] {
        let _ = mount::unmount(Path::new(folder));
    }
}

/// Runs a program of the host with the host's files as its root, and these variables besides its own.
pub fn run(command: &[&str], variables: &[(&str, &str)]) -> Result<(), String> {
    let child = Command::new("/proc/self/exe")
        .env("soak_role", ROLE)
        .envs(variables.iter().copied())
        .args(command)
        .output()
        .map_err(|error| format!("starting {command:?}: {error}"))?;
    if child.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&child.stderr);
    Err(format!("{} ended with {}: {}", command.join(" "), child.status, said.trim()))
}

/// The child: becomes the program. Returns only when that fails.
pub fn become_program() -> Result<(), String> {
    use std::os::unix::process::CommandExt;

    chroot(HOST).and_then(|()| chdir("/")).map_err(|errno| format!("changing the root: {errno}"))?;
    let mut words = std::env::args_os().skip(1);
    let program = words.next().ok_or("no program")?;
    let error = Command::new(&program).args(words).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").exec();
    Err(format!("{}: {error}", program.display()))
}
