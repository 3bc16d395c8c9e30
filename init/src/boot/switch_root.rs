//! The point of no return: the new root becomes `/`, the initramfs is freed, the real init takes over.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{Mode, fstatat};
use nix::sys::statfs::{FsType, TMPFS_MAGIC, fstatfs};
use nix::unistd::{UnlinkatFlags, chdir, chroot, getpid, unlinkat};

use crate::boot::beside::Beside;
use crate::error::{BootError, Failure};
use crate::modules::Left;
use crate::shutdown::handover;
use crate::step_name::StepName;
use crate::{console, descriptors, paths, recovery};

/// The step that errors of this module name.
const STEP: StepName = StepName::SwitchRoot;
/// RAMFS_MAGIC of the kernel's `include/uapi/linux/magic.h`.
const RAMFS_MAGIC: FsType = FsType(0x8584_58f6);

/// Moves `/dev`, `/proc`, `/sys` and `/run` along, changes the root, frees the initramfs, and becomes the real init.
///
/// Not a step of a plan: nothing can be retried after it. `began`: when this init did, on CLOCK_BOOTTIME. `left`: modules
/// that follow while the real init starts.
pub fn switch_root(
    init: &str,
    arguments: impl IntoIterator<Item = OsString>,
    began: Duration,
    left: &Left,
) -> Result<Infallible, BootError> {
    let beside = Beside::open();
    enter_new_root().map_err(|failure| failure.at(STEP, paths::NEW_ROOT))?;
    load_aside(left);
    descriptors::as_before();
    beside.start();
    console::become_standard_streams();
    // What is left is a new program in this process: exec returns only when it fails.
    let mut command = Command::new(init);
    command.args(handover::arguments(init, began)).args(arguments).env_remove(recovery::CHOSEN);
    let error = command.exec();
    Err(Failure::new(format!("the kernel refused to start it: {error}"))
        .try_this("check that its shared libraries are in the stack, and that a security module lets it run")
        .at(StepName::StartInit, init))
}

/// Loads what nothing has asked for in a process of its own, which has the lowest priority and ends by itself: the real init
/// need not wait, and takes it over like every process without parents.
fn load_aside(left: &Left) {
    if left.is_empty() {
        return;
    }
    let load = || {
        let _ = rustix::process::setsid();
        let _ = rustix::process::setpriority_process(None, 19);
        let _ = std::fs::write("/proc/self/comm", "lamina-modules");
        left.load();
    };
    if stack::forked_work::run(load).is_err() {
        left.load();
    }
}

fn enter_new_root() -> Result<(), Failure> {
    for path in paths::MOVED {
        stack::mount::relocate(Path::new(path), Path::new(&format!("{}{path}", paths::NEW_ROOT)))?;
    }
    let old_root = File::open("/").map_err(|error| Failure::new(format!("cannot open /: {error}")))?;
    let failure = |what: &str, errno: Errno| Failure::new(format!("{what}: {}", errno.desc()));
    chdir(paths::NEW_ROOT).map_err(|errno| failure("cannot enter the new root", errno))?;
    // pivot_root(2), "the `pivot_root(".", ".")` trick": the old root lands on top of the new one and is taken off, which
    // frees the initramfs in one go. From the rootfs itself, where most kernels put an initramfs, it gives EINVAL.
    if rustix::process::pivot_root(".", ".").is_ok() {
        stack::mount::detach(Path::new("."))?;
        return chdir("/").map_err(|errno| failure("cannot enter the new root", errno));
    }
    let may_free = is_initramfs(&old_root);
    stack::mount::relocate(Path::new("."), Path::new("/"))?;
    chroot(".").map_err(|errno| failure("cannot change the root", errno))?;
    chdir("/").map_err(|errno| failure("cannot enter the new root", errno))?;
    if may_free {
        free(old_root.into());
    }
    Ok(())
}

/// Whether what lies at the old root is an initramfs that only this process uses. Anything else must not be deleted: a
/// mistake here is somebody's disk.
fn is_initramfs(old_root: &File) -> bool {
    let in_memory =
        fstatfs(old_root).is_ok_and(|stat| [TMPFS_MAGIC, RAMFS_MAGIC].contains(&stat.filesystem_type()));
    let device = |metadata: std::io::Result<std::fs::Metadata>| metadata.ok().map(|metadata| metadata.dev());
    let (old, new) = (device(old_root.metadata()), device(std::fs::metadata(".")));
    getpid().as_raw() == 1 && in_memory && old.is_some() && new.is_some() && old != new
}

/// Deletes what lies below the folder, on its own file system only. What cannot be deleted only keeps its memory.
fn free(folder: OwnedFd) {
    let Ok(device) = fstatat(&folder, "", AtFlags::AT_EMPTY_PATH).map(|stat| stat.st_dev) else { return };
    let Ok(mut entries) = Dir::from_fd(folder) else { return };
    // The names first: a directory must not be read while it is emptied.
    let names: Vec<_> = entries
        .iter()
        .flatten()
        .map(|entry| (entry.file_name().to_owned(), entry.file_type()))
        .filter(|(name, _)| !matches!(name.to_bytes(), b"." | b".."))
        .collect();
    for (name, kind) in names {
        let folder = entries.as_fd();
        if kind != Some(Type::Directory) {
            let _ = unlinkat(folder, name.as_c_str(), UnlinkatFlags::NoRemoveDir);
            continue;
        }
        let same_device = fstatat(folder, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| stat.st_dev == device);
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        if same_device && let Ok(below) = nix::fcntl::openat(folder, name.as_c_str(), flags, Mode::empty()) {
            free(below);
            let _ = unlinkat(folder, name.as_c_str(), UnlinkatFlags::RemoveDir);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_tree_is_emptied_and_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let kept = folder.path().join("kept");
        let freed = folder.path().join("freed");
        fs::create_dir_all(freed.join("a/b/c")).unwrap();
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("file"), "").unwrap();
        fs::write(freed.join("a/b/file"), "").unwrap();
        std::os::unix::fs::symlink(&kept, freed.join("a/link")).unwrap();
        free(File::open(&freed).unwrap().into());
        assert_eq!(fs::read_dir(&freed).unwrap().count(), 0);
        assert!(kept.join("file").exists());
    }

    #[test]
    fn only_pid_1_on_memory_frees_anything() {
        assert!(!is_initramfs(&File::open("/").unwrap()));
        assert!(!is_initramfs(&File::open("/dev/shm").unwrap()));
    }
}
