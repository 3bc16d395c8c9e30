//! The rescue shell: busybox and the commands that help with a boot that failed.

use std::path::Path;

use crate::contents::{Contents, Source};
use crate::elf;
use crate::host_file;
use fault::Error;

/// Links to busybox. One that was built without a command says so when the link is called.
const COMMANDS: [&str; 49] = [
    "ash",
    "blkid",
    "cat",
    "chroot",
    "clear",
    "cmp",
    "cp",
    "cut",
    "date",
    "dd",
    "df",
    "dmesg",
    "du",
    "echo",
    "env",
    "find",
    "free",
    "grep",
    "head",
    "hexdump",
    "insmod",
    "kill",
    "less",
    "ln",
    "losetup",
    "ls",
    "lsmod",
    "mkdir",
    "mknod",
    "modprobe",
    "more",
    "mount",
    "mv",
    "poweroff",
    "ps",
    "reboot",
    "rm",
    "sed",
    "sh",
    "sha256sum",
    "sleep",
    "sort",
    "stat",
    "sync",
    "tail",
    "umount",
    "uname",
    "vi",
    "wc",
];

/// Adds `bin/busybox` and its links.
///
/// # Errors
/// `busybox` cannot be read or is not a static program.
pub(crate) fn add(contents: &mut Contents, busybox: &Path) -> Result<(), Error> {
    let bytes = host_file::read(busybox).map_err(Error::on(busybox.display()))?;
    elf::check_static(&bytes).map_err(|cause| {
        Error::new(busybox.display(), cause)
            .remedy("give a static busybox: the package busybox-static of Debian, or 'lamina build busybox'")
    })?;
    contents.add("bin/busybox", 0o755, Source::Bytes(bytes))?;
    for command in COMMANDS {
        contents.add(format!("bin/{command}"), 0o777, Source::Link("busybox".to_owned()))?;
    }
    Ok(())
}
