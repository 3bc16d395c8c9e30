//! `/proc` of a sandbox: its own processes, and of the machine only what builds read, read-only.
//!
//! The two lists are those of the OCI runtimes (`defaultMaskedPaths` and `defaultReadonlyPaths` of containerd and moby), with
//! `/proc/key-users` and `/proc/kmsg` besides.

use std::fs;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use stack::detached::DetachedMount;
use stack::mount::{Attributes, Filesystem};

use super::folders::make_folder;
use crate::error::{Error, Result};

/// Parts that tell of the whole machine, and of no use to a build: a folder gets an empty one over it, a file `/dev/null`.
const MASKED: [&str; 14] = [
    "acpi",
    "asound",
    "interrupts",
    "kcore",
    "key-users",
    "keys",
    "kmsg",
    "latency_stats",
    "sched_debug",
    "schedstat",
    "scsi",
    "sysrq-trigger",
    "timer_list",
    "timer_stats",
];

/// Parts that act on the whole machine.
const READ_ONLY: [&str; 4] = ["bus", "fs", "irq", "sys"];

/// Mounts it below `root`, whose `/dev/null` is there already. `settle` is called while it still can be written to.
pub(super) fn mount_proc(root: &Path, settle: impl FnOnce()) -> Result<()> {
    let proc = make_folder(root, "/proc")?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), &proc, Some("proc"), flags, None::<&str>).map_err(|errno| {
        let error = Error::caused("cannot mount /proc in the sandbox", errno);
        match errno {
            // mount_too_revealing() of the kernel's fs/namespace.c.
            Errno::EPERM => error.remedy(
                "in a container, /proc must not be masked: run it with `--security-opt unmask=ALL` or the like",
            ),
            _ => error,
        }
    })?;
    settle();
    let closed = Attributes::MOUNT_ATTR_RDONLY
        | Attributes::MOUNT_ATTR_NOSUID
        | Attributes::MOUNT_ATTR_NODEV
        | Attributes::MOUNT_ATTR_NOEXEC;
    for name in READ_ONLY {
        let path = proc.join(name);
        if path.exists() {
            let again = DetachedMount::copy(&path)?;
            again.restrict(closed)?;
            again.attach(&path)?;
        }
    }
    for name in MASKED {
        let path = proc.join(name);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => empty_folder(closed)?.attach(&path)?,
            Ok(_) => {
                let nothing = DetachedMount::copy(&root.join("dev/null"))?;
                nothing.restrict(Attributes::MOUNT_ATTR_RDONLY | Attributes::MOUNT_ATTR_NOEXEC)?;
                nothing.attach(&path)?;
            }
            Err(_) => {}
        }
    }
    Ok(())
}

fn empty_folder(attributes: Attributes) -> Result<DetachedMount> {
    let folder = Filesystem {
        kind: "tmpfs",
        source: "lamina",
        options: &[("mode", "0555"), ("size", "4096"), ("nr_inodes", "2")],
        flags: &[],
        attributes,
    };
    Ok(folder.detached()?)
}
