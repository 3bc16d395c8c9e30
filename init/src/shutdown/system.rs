//! The system that is going down: each step as system calls that cannot hang the shutdown.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, chroot, close};
use stack::mount::{Attributes, Filesystem};

use crate::console;
use crate::panic_for_tests::panic_if_told;

use super::devices;
use super::plan::{Object, ShutdownStep};
use super::processes::{Hold, Spare, end_all, holders};
use super::swaps;
use crate::deadline::within;
use crate::mounts::{self, Mounted};

/// How long one step may take: a disk that writes back gigabytes is slow, one that does not answer is lost.
const STEP: Duration = Duration::from_secs(20);
/// How long all steps may take together.
const TOGETHER: Duration = Duration::from_secs(120);

/// What can do a step: the real system, or in tests one that refuses.
pub trait System {
    /// What is mounted now.
    fn table(&self) -> Vec<Mounted>;
    /// The files that the kernel swaps to now.
    fn swaps(&self) -> Vec<PathBuf>;
    /// Does it, or says why not and who is in the way.
    fn carry_out(&self, step: &ShutdownStep) -> Result<(), String>;
    /// Ends what was spared before, because it serves file systems.
    fn end_storage(&self);
}

/// Carries out steps by system calls, within a time limit.
pub struct RealSystem {
    end: Instant,
}

impl RealSystem {
    /// The clock runs from here.
    pub fn begin() -> Self {
        Self { end: Instant::now() + TOGETHER }
    }

    /// Within the time that is left.
    fn bounded(
        &self,
        action: impl FnOnce() -> Result<(), Errno> + Send + 'static,
    ) -> Result<(), Option<Errno>> {
        // After the time is up each step still gets a moment: most need no more.
        let left = self.end.saturating_duration_since(Instant::now()).max(Duration::from_millis(200));
        match within(left.min(STEP), action) {
            Some(result) => result.map_err(Some),
            None => Err(None),
        }
    }
}

impl System for RealSystem {
    fn table(&self) -> Vec<Mounted> {
        mounts::table()
    }

    fn swaps(&self) -> Vec<PathBuf> {
        swaps::files(&fs::read("/proc/swaps").unwrap_or_default())
    }

    fn carry_out(&self, step: &ShutdownStep) -> Result<(), String> {
        match step {
            ShutdownStep::SwapOff(file) => {
                let file = file.clone();
                let done = self
                    .bounded(move || stack::swap::off(&file).map_err(|error| Errno::from_raw(error.errno())));
                done.map_err(|errno| errno.map_or("it takes too long", Errno::desc).to_owned())
            }
            ShutdownStep::Move { from, to } => {
                fs::create_dir_all(to).map_err(|error| error.to_string())?;
                stack::mount::relocate(from, to).map_err(|error| error.why())
            }
            ShutdownStep::Unmount(object) => {
                let target = object.target.clone();
                // A link at the end of the path would lead to another mount.
                let flags = MntFlags::UMOUNT_NOFOLLOW;
                let done = self.bounded(move || {
                    panic_if_told("unmount");
                    umount2(&target, flags)
                });
                done.map_err(|errno| self.why(errno, object, Hold::Uses))
            }
            ShutdownStep::FreeDevices => {
                panic_if_told("free devices");
                // To detach a device is to write back what it holds.
                within(STEP, free_devices).unwrap_or_else(|| Err("one of them does not answer".to_owned()))
            }
            ShutdownStep::ReadOnly(object) => {
                let target = object.target.clone();
                let done = self.bounded(move || read_only(&target));
                done.map_err(|errno| self.why(errno, object, Hold::Writes))
            }
            ShutdownStep::Detach(object) => {
                let target = object.target.clone();
                let done = self.bounded(move || umount2(&target, MntFlags::MNT_DETACH));
                done.map_err(|errno| self.why(errno, object, Hold::Uses))
            }
        }
    }

    fn end_storage(&self) {
        let _ = end_all(Spare::Nobody);
    }
}

impl RealSystem {
    fn why(&self, errno: Option<Errno>, object: &Object, hold: Hold) -> String {
        let Some(errno) = errno else { return "it does not answer".to_owned() };
        let mut why = errno.desc().to_owned();
        if errno == Errno::EBUSY {
            let mounts = mounts_of(&self.table(), &object.device);
            let found = holders(&mounts, &object.target, hold);
            if !found.is_empty() {
                why += &format!(", because of {}", found.join(", "));
            }
        }
        why
    }
}

/// The flag of the file system, not of this mount alone: then the driver writes back and marks it clean.
fn read_only(target: &Path) -> Result<(), Errno> {
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(None::<&str>, target, None::<&str>, flags, None::<&str>)
}

fn free_devices() -> Result<(), String> {
    let names =
        |devices: &[devices::Device]| devices.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let (taken, left) = devices::free();
    if !taken.is_empty() {
        console::write_line(&format!(
            "shutdown: did not go by themselves, and were taken away: {}",
            names(&taken)
        ));
    }
    if left.is_empty() { Ok(()) } else { Err(format!("still there: {}", names(&left))) }
}

/// Makes the program independent of the old root: own standard descriptors, no others, own `/proc`.
pub fn prepare() {
    console::become_standard_streams();
    if !Path::new("/proc/self").exists() {
        let proc = Filesystem {
            kind: "proc",
            source: "proc",
            options: &[],
            flags: &[],
            attributes: Attributes::MOUNT_ATTR_NOSUID
                | Attributes::MOUNT_ATTR_NODEV
                | Attributes::MOUNT_ATTR_NOEXEC,
        };
        let _ = fs::create_dir_all("/proc");
        let _ = proc.mount(Path::new("/proc"));
    }
    let inherited: Vec<i32> = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|descriptor| *descriptor > 2)
        .collect();
    for descriptor in inherited {
        let _ = close(descriptor);
    }
    // A mount that is shared with another namespace can neither be moved nor pivoted.
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    let _ = mount(None::<&str>, "/", None::<&str>, flags, None::<&str>);
}

/// Makes the folder `new` the root, with the kernel's file systems in it, and puts the old root at `old` of the new one.
pub fn pivot(new: &Path, old: &str) -> Result<(), String> {
    let said = |what: &str, errno: Errno| format!("{what}: {}", errno.desc());
    let below = |path: &str| -> PathBuf { new.join(path.trim_start_matches('/')) };
    // pivot_root(2) wants a mount point.
    if mounts::at(new).is_none() {
        stack::mount::bind(new, new).map_err(|error| error.why())?;
    }
    for path in crate::paths::MOVED.iter().copied().chain([old]) {
        fs::create_dir_all(below(path)).map_err(|error| format!("{}: {error}", below(path).display()))?;
    }
    for path in crate::paths::MOVED {
        stack::mount::bind(Path::new(path), &below(path)).map_err(|error| error.why())?;
    }
    chdir(new).map_err(|errno| said("cannot enter it", errno))?;
    rustix::process::pivot_root(".", old.trim_start_matches('/'))
        .map_err(|errno| format!("pivot_root: {errno}"))?;
    chroot(".").map_err(|errno| said("chroot", errno))?;
    chdir("/").map_err(|errno| said("chdir", errno))
}

/// Whether the kernel was told to be `quiet`.
pub fn is_quiet() -> bool {
    let line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    kernel_command_line::has_word(&line, "quiet")
}

/// The mounts of the file system `device`, by number.
fn mounts_of(table: &[Mounted], device: &str) -> Vec<u32> {
    table.iter().filter(|mount| mount.device == device).map(|mount| mount.id).collect()
}
