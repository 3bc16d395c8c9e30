//! What the running system gets from the initramfs besides its root: this program, for the way back and for its questions,
//! and for systemd the time that was spent here.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, Seek, Write};
use std::os::fd::{IntoRawFd, RawFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::time::ClockId;
use stack::mount::{Attributes, Filesystem};

use crate::clock::now;
use crate::error::Failure;
use crate::mounts::is_mount_point;
use crate::paths;

/// What becomes the root again when the system goes down; the place is systemd's (its INITRD_INTERFACE document).
pub const EXIT: &str = "/run/initramfs";
/// This program in it.
pub const PROGRAM: &str = "shutdown";
/// Room for the program, and for nothing much besides.
const EXIT_SIZE: &str = "size=8m";
/// systemd makes those that are missing, except the one for the old root; others need them too.
const FOLDERS: [&str; 5] = ["dev", "proc", "sys", "run", "oldroot"];

/// Leaves this program in `/run/initramfs/shutdown`. Without it the system runs as well, and ends less cleanly: a failure is
/// a warning.
pub fn leave_programs() -> Result<(), Failure> {
    let exit = Path::new(EXIT);
    // A file system of its own: some systems mount `/run` anew as `noexec`, and pivot_root(2) wants a mount point.
    make(exit)?;
    if !is_mount_point(exit) {
        let attributes = Attributes::MOUNT_ATTR_NOSUID | Attributes::MOUNT_ATTR_NODEV;
        let size = EXIT_SIZE.split_once('=').unwrap_or(("size", "8m"));
        let options = [size, ("mode", "0755")];
        let tmpfs =
            Filesystem { kind: "tmpfs", source: "lamina-exit", options: &options, flags: &[], attributes };
        tmpfs.mount(exit)?;
    }
    FOLDERS.iter().try_for_each(|name| make(&exit.join(name)))?;
    leave(Path::new("/proc/self/exe"), &exit.join(PROGRAM))
        .map_err(|error| at(&exit.join(PROGRAM), &error))?;
    let link = Path::new(paths::LAMINA);
    link.parent().map_or(Ok(()), make)?;
    match symlink(exit.join(PROGRAM), link) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(at(link, &error)),
        _ => Ok(()),
    }
}

fn at(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{}: {error}", path.display()))
}

fn make(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| at(folder, &error))
}

/// copy_file_range(2) or sendfile(2), whichever works: the program does not pass through this process's memory.
fn leave(program: &Path, target: &Path) -> io::Result<()> {
    let (mut from, mut to) = (File::open(program)?, File::create(target)?);
    io::copy(&mut from, &mut to)?;
    to.set_permissions(Permissions::from_mode(0o755))
}

/// The arguments that come before those of the kernel when `init` is systemd; none otherwise. To be called when the root
/// is the system's, because links must lead where they will lead.
///
/// systemd learns when the initramfs began from the state that a systemd in an initramfs would hand over: a file of lines
/// `KEY=VALUE` that ends with an empty line, on the descriptor that `--deserialize=` names (`manager_deserialize` of its
/// `src/core/manager-serialize.c`, and `do_reexecute` of `src/core/main.c` for the three arguments). Without it
/// `systemd-analyze` counts our time as the kernel's. The variable RD_TIMESTAMP, which other initramfses once set, is not
/// read any more by the systemd of Debian 12.
pub fn arguments(init: &str, began: Duration) -> Vec<OsString> {
    if !is_systemd(Path::new(init)) {
        return Vec::new();
    }
    // Without the state systemd boots as well, only its numbers differ.
    hand_over(&state(began)).map_or_else(
        |_| Vec::new(),
        |descriptor| {
            ["--switched-root".to_owned(), "--system".to_owned(), format!("--deserialize={descriptor}")]
                .map(OsString::from)
                .to_vec()
        },
    )
}

fn is_systemd(init: &Path) -> bool {
    fs::canonicalize(init).is_ok_and(|path| path.file_name().is_some_and(|name| name == "systemd"))
}

/// Two clocks, in microseconds: CLOCK_REALTIME and CLOCK_MONOTONIC, which is CLOCK_BOOTTIME until the machine first sleeps.
fn state(began: Duration) -> String {
    let real = ClockId::CLOCK_REALTIME.now().map_or(Duration::ZERO, Duration::from);
    let real = real.saturating_sub(now().saturating_sub(began));
    format!("initrd-timestamp={} {}\n\n", real.as_micros(), began.as_micros())
}

/// A file on memory that stays open over execve(2).
fn hand_over(state: &str) -> io::Result<RawFd> {
    let mut file = File::from(memfd_create("lamina-state", MFdFlags::empty())?);
    file.write_all(state.as_bytes())?;
    file.rewind()?;
    Ok(file.into_raw_fd())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_program_is_copied_and_can_be_run() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("shutdown");
        leave(Path::new("/proc/self/exe"), &target).unwrap();
        assert_eq!(fs::read(&target).unwrap(), fs::read("/proc/self/exe").unwrap());
        assert_eq!(fs::metadata(&target).unwrap().mode() & 0o7777, 0o755);
    }

    #[test]
    fn only_systemd_gets_arguments() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("systemd"), "").unwrap();
        symlink("systemd", folder.path().join("init")).unwrap();
        let began = now();
        let arguments = arguments(&folder.path().join("init").display().to_string(), began);
        assert_eq!(arguments[..2], ["--switched-root", "--system"]);
        let last = arguments[2].to_str().unwrap();
        let descriptor = last.strip_prefix("--deserialize=").unwrap();
        let text = fs::read_to_string(format!("/proc/self/fd/{descriptor}")).unwrap();
        let value = text.strip_prefix("initrd-timestamp=").unwrap();
        let (real, monotonic) = value.trim_end().split_once(' ').unwrap();
        assert!(real.parse::<u128>().unwrap() > 1_000_000_000_000_000);
        assert_eq!(monotonic.parse::<u128>().unwrap(), began.as_micros());
        assert!(text.ends_with("\n\n"));
        assert!(super::arguments("/proc/self/exe", began).is_empty());
        assert!(super::arguments("/nothing/here", began).is_empty());
    }
}
