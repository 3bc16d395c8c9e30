//! What a shutdown will do, decided before it is done: pure functions from the table of mounts to a list of steps.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::mounts::{Mounted, below};
use crate::paths;

/// Where the program that turned the root around has put the old one: systemd's choice, and ours.
pub const OLD_ROOT: &str = "/oldroot";
/// Where `/run` of the old root goes, so that medium and state outlive the root that lies on them.
pub const OLD_RUN: &str = "/oldrun";
/// What the shutdown program itself needs to the end: tables, devices, and a place to run from.
const KEPT: [&str; 5] = ["/", "/dev", "/proc", "/sys", "/run"];

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShutdownStep {
    /// Let the kernel swap to this file no longer: its file system stays busy until then.
    SwapOff(PathBuf),
    /// Move a mount, with all that lies on it.
    Move {
        /// From here,
        from: PathBuf,
        /// to there; made when it is missing.
        to: PathBuf,
    },
    /// Unmount.
    Unmount(Object),
    /// Wait until no loop device and no device-mapper device is left, and take away those that stay.
    FreeDevices,
    /// Write back what is in memory, and let nobody write any more.
    ReadOnly(Object),
    /// Take the mount away from its place although it is in use.
    Detach(Object),
}

/// A mount, with what names it for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Where it is when its step comes.
    pub target: PathBuf,
    /// `SOURCE (KIND)`.
    pub what: String,
    /// `MAJOR:MINOR`.
    pub device: String,
}

impl Object {
    fn of(mount: &Mounted) -> Self {
        Self {
            target: mount.target.clone(),
            what: format!("{} ({})", mount.source, mount.kind),
            device: mount.device.clone(),
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.what, self.target.display())
    }
}

impl fmt::Display for ShutdownStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SwapOff(file) => write!(f, "end swapping to {}", file.display()),
            Self::Move { from, to } => write!(f, "move {} to {}", from.display(), to.display()),
            Self::Unmount(object) => write!(f, "unmount {object}"),
            Self::FreeDevices => f.write_str("free loop and device-mapper devices"),
            Self::ReadOnly(object) => write!(f, "make read-only {object}"),
            Self::Detach(object) => write!(f, "detach {object}"),
        }
    }
}

/// When a mount goes: the root first, then what it lay on, from the top down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Root,
    Other,
    Layers,
    Top,
    State,
    Medium,
    OldRun,
}

/// In order of rank; within one, what lies on a mount still comes before it.
fn by_rank(mounts: Vec<&Mounted>) -> Vec<&Mounted> {
    use Rank::{Layers, Medium, OldRun, Other, Root, State, Top};
    let of_rank = |wanted| mounts.iter().copied().filter(move |mount| rank(&mount.target) == wanted);
    [Root, Other, Layers, Top, State, Medium, OldRun].into_iter().flat_map(of_rank).collect()
}

/// The steps that leave nothing mounted but what this program runs on. `table` is that of a process whose root is
/// `/run/initramfs`, with the old root below it; `swaps` are the files that the kernel swaps to.
pub fn leave(table: &[Mounted], swaps: &[PathBuf]) -> Vec<ShutdownStep> {
    let old_run = Path::new(OLD_ROOT).join("run");
    let mut steps = swap_off(swaps);
    let mut table = table.to_vec();
    if table.iter().any(|mount| mount.target == old_run) {
        for mount in &mut table {
            if let Ok(rest) = mount.target.strip_prefix(&old_run) {
                mount.target = joined(OLD_RUN, rest);
            }
        }
        steps.push(ShutdownStep::Move { from: old_run, to: PathBuf::from(OLD_RUN) });
    }
    let going = going(&table);
    let outlives_layers = |mount: &Mounted| rank(&mount.target) > Rank::Layers;
    let first = going.iter().position(|mount| outlives_layers(mount)).unwrap_or(going.len());
    let (root_and_layers, what_they_stood_on) = going.split_at(first);
    let unmount = |mounts: &[&Mounted]| -> Vec<ShutdownStep> {
        mounts.iter().map(|mount| ShutdownStep::Unmount(Object::of(mount))).collect()
    };
    steps.extend(unmount(root_and_layers));
    // The devices let the files on the medium go when their last user has gone, not at once.
    steps.push(ShutdownStep::FreeDevices);
    steps.extend(unmount(what_they_stood_on));
    steps
}

fn going(table: &[Mounted]) -> Vec<&Mounted> {
    let mut going = below(table, Path::new("/"));
    going.retain(|mount| goes(mount));
    by_rank(going)
}

/// The steps for what [`leave`] could not unmount: nothing unwritten is left behind, and nothing keeps the machine on.
pub fn give_up(table: &[Mounted]) -> Vec<ShutdownStep> {
    let left = going(table);
    let writable = once(left.iter().copied().filter(|mount| keeps_data(mount)));
    let read_only = writable.map(ShutdownStep::ReadOnly);
    read_only.chain(left.iter().map(|mount| ShutdownStep::Detach(Object::of(mount)))).collect()
}

/// The steps for a system that its own PID 1 still runs on: no file system on a disk stays writable.
pub fn protect(table: &[Mounted], swaps: &[PathBuf]) -> Vec<ShutdownStep> {
    let mut all = below(table, Path::new("/"));
    // What lies at `/` itself: the last of several is the one that is seen.
    all.extend(table.iter().rfind(|mount| mount.target == Path::new("/")));
    all.retain(|mount| keeps_data(mount));
    let of_order = |wanted| all.iter().copied().filter(move |mount| order(mount) == wanted);
    let read_only = once((0..=3).flat_map(of_order)).map(ShutdownStep::ReadOnly);
    swap_off(swaps).into_iter().chain(read_only).collect()
}

/// Before anything else, while the paths hold.
fn swap_off(swaps: &[PathBuf]) -> Vec<ShutdownStep> {
    swaps.iter().cloned().map(ShutdownStep::SwapOff).collect()
}

/// The stack lies on the state, and the state may lie on the medium.
fn order(mount: &Mounted) -> u8 {
    match rank(&mount.target) {
        _ if mount.kind == "overlay" => 0,
        Rank::State | Rank::Top => 1,
        Rank::Medium => 2,
        _ => 3,
    }
}

/// Whether something may still be written through it to a place that outlives the machine's being off.
fn keeps_data(mount: &Mounted) -> bool {
    mount.file_system_writable && (mount.on_a_disk() || mount.kind == "overlay")
}

/// One mount of each file system.
fn once<'a>(mounts: impl Iterator<Item = &'a Mounted>) -> impl Iterator<Item = Object> {
    let mut seen: Vec<&str> = Vec::new();
    mounts.filter_map(move |mount| {
        let new = !seen.contains(&mount.device.as_str());
        seen.push(&mount.device);
        new.then(|| Object::of(mount))
    })
}

/// Whether it is unmounted at all. What lies on the kept file systems of the kernel holds nothing.
fn goes(mount: &Mounted) -> bool {
    let of_the_kernel = ["/dev", "/proc", "/sys"].iter().any(|kept| mount.target.starts_with(kept));
    !KEPT.iter().any(|kept| mount.target == Path::new(kept)) && (!of_the_kernel || mount.on_a_disk())
}

fn rank(target: &Path) -> Rank {
    if target == Path::new(OLD_RUN) {
        return Rank::OldRun;
    }
    // The same folders, whether `/run` came along or was moved aside.
    let old = target.strip_prefix(OLD_RUN).map(|rest| joined("/run", rest));
    let target = old.as_deref().unwrap_or(target);
    let below = |path: &str| target.starts_with(path);
    match () {
        () if below(OLD_ROOT) => Rank::Root,
        () if below(paths::LAYERS) => Rank::Layers,
        () if below(paths::TOP) => Rank::Top,
        () if below(paths::STATE) => Rank::State,
        () if below(paths::MEDIUM) => Rank::Medium,
        () => Rank::Other,
    }
}

/// As `Path::join`, but a `rest` of nothing adds no slash.
fn joined(base: &str, rest: &Path) -> PathBuf {
    if rest.as_os_str().is_empty() { PathBuf::from(base) } else { Path::new(base).join(rest) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mounts::parse;

    fn print(steps: &[ShutdownStep]) -> String {
        steps.iter().map(|step| format!("{step}\n")).collect()
    }

    fn golden(name: &str, steps: &[ShutdownStep]) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.plan"));
        let printed = print(steps);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &printed).unwrap();
        }
        assert_eq!(printed, std::fs::read_to_string(&path).unwrap(), "{}", path.display());
    }

    fn table(name: &str) -> Vec<Mounted> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
        parse(&std::fs::read(path).unwrap())
    }

    #[test]
    fn after_systemd_the_root_goes_before_what_it_stands_on() {
        let table = table("shutdown-pivoted.mountinfo");
        golden("shutdown-pivoted", &leave(&table, &["/oldroot/home/swap file".into()]));
        golden("shutdown-give-up", &give_up(&table));
    }

    #[test]
    fn while_the_system_runs_disks_are_made_read_only() {
        let swaps = ["/run/lamina/state/swap".into(), "/home/b/swap".into()];
        golden("shutdown-protect", &protect(&table("shutdown-running.mountinfo"), &swaps));
    }

    #[test]
    fn nothing_mounted_means_only_devices_to_free() {
        let table = parse(b"1 1 0:1 / / rw - tmpfs tmpfs rw\n2 1 0:2 / /proc rw - proc proc rw\n");
        assert_eq!(leave(&table, &[]), [ShutdownStep::FreeDevices]);
        assert!(give_up(&table).is_empty() && protect(&table, &[]).is_empty());
    }
}
