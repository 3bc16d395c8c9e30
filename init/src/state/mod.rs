//! A writable top that lasts: one folder a profile on a labelled file system, stamped with the digest of its stack.
//!
//! | module | what it does |
//! |---|---|
//! | `device` | which device it is, and whether it is empty; pure |
//! | `marker`, `make` | makes the file system at first use, so that a power cut meanwhile does no harm |
//! | `check` | looks at all of it with the file system's own program |
//! | `decide` | what becomes of the folder that was found; pure |
//! | `fresh` | gives a new top the attributes of the root |
//! | `folder` | looks at the folders, and carries out one step at a time |
//! | `free_space` | what it means that it is full; pure |
//! | `stamp`, `overlay_marks` | whose a folder is, and whether another stack may go below it |
//! | `top_size` | whether a tmpfs fits into the memory |
//!
//! `docs/state.md` tells it to those who use it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use boot_report::records::TopRecord;
use profiles::{Digest, Name, State};
use stack::mount::{Attributes, Filesystem, bind, detach};

use crate::devices::block_devices::BlockDevice;
use crate::error::{BootError, Failure};
use crate::modules::{Modules, needs};
use crate::mounts;
use crate::paths;
use crate::step_name::StepName;
use crate::waiting::wait_for_device::{Waits, nothing_answers};

mod check;
mod decide;
mod device;
mod folder;
mod free_space;
pub mod fresh;
mod make;
mod marker;
mod overlay_marks;
mod stamp;
pub mod top_size;

use check::Checked;
use decide::{Decision, FOLDER, Wish};
use device::Found;
use folder::Tops;
use free_space::FreeSpace;

/// What is asked for.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// From the profile, or from `lamina.state=`.
    pub state: &'a State,
    /// The profile; its folder has this name.
    pub profile: &'a Name,
    /// `BootProfile::stack_digest` of the images that are going to be below.
    pub stack: Digest,
    /// How long to wait for the device.
    pub timeout: Duration,
    /// What was waited for before.
    pub waits: &'a Waits,
    /// Drivers of the device and its file system.
    pub modules: &'a Modules,
}

/// A top that is ready, bound to [`paths::TOP`]. overlayfs must be mounted over it with `stack::overlay::Features::AllOff`: that
/// is what the stamp says, and what makes it safe to keep it over another stack.
#[derive(Debug)]
pub struct StateTop {
    /// Holds `upper` and `work`.
    pub folder: PathBuf,
    /// For the report.
    pub record: TopRecord,
}

/// Why there is none.
#[derive(Debug)]
pub enum Trouble {
    /// The state cannot be used: a tmpfs serves in its place.
    Broken(Failure),
    /// The stack changed, and `changed="refuse"`: this profile does not boot.
    Refused(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Broken(failure)
    }
}

/// Finds the device, makes its file system at first use, mounts it, and has the profile's folder ready. `say` hears what a
/// person should know also when all went well: that something was made, set aside or kept.
pub fn open(wanted: &Wanted, say: &mut dyn FnMut(&str)) -> Result<StateTop, Trouble> {
    let (device, driver) = file_system(wanted, say)?;
    wanted.modules.want(|| needs::of_file_system(&driver));
    let check = check(wanted, &device, &driver, say)?;
    mount(&device, &driver)?;
    let opened = prepare(wanted, &device, &driver, say).map(|mut top| {
        top.record.check = check.map(Checked::word);
        top
    });
    if opened.is_err() {
        // The tmpfs that may follow needs neither, and a disk with errors is better left alone.
        let _ = detach(Path::new(paths::STATE));
    }
    opened.map_err(|trouble| match trouble {
        Trouble::Broken(failure) => {
            Trouble::Broken(of_device(&device, with_command(failure, &driver, &device)))
        }
        refused @ Trouble::Refused(_) => refused,
    })
}

/// Has it checked, when somebody asks for that.
fn check(
    wanted: &Wanted,
    device: &str,
    driver: &str,
    say: &mut dyn FnMut(&str),
) -> Result<Option<Checked>, Failure> {
    if !wanted.state.check {
        return Ok(None);
    }
    let mounted = || mount(device, driver).map(|()| PathBuf::from(paths::STATE));
    let checked = check::check(device, driver, mounted, say);
    checked.map(Some).map_err(|failure| of_device(device, with_command(failure, driver, device)))
}

/// The device and its driver, with a file system on it.
fn file_system(wanted: &Wanted, say: &mut dyn FnMut(&str)) -> Result<(String, String), Failure> {
    let place = &wanted.state.place;
    if decide::is_reserved(wanted.profile) {
        return Err(Failure::new(format!(
            "a profile called {} cannot have a state: {FOLDER}/NAME.new and {FOLDER}/NAME.aside-N have a meaning there",
            wanted.profile
        ))
        .try_this("give the profile another name"));
    }
    let absent = |devices: &[BlockDevice]| {
        let seen = devices.iter().map(ToString::to_string).collect();
        let parameter = "`root writable=` of the profile, or lamina.state=,";
        let failure =
            nothing_answers(&place.to_string(), wanted.timeout, seen, wanted.modules, "disk", parameter);
        match (wanted.state.create, place) {
            (Some(_), profiles::DeviceSpec::Label(label)) => failure.try_this(format!(
                "to have it made, give an empty partition the name {label} in the partition table (PARTLABEL)"
            )),
            _ => failure,
        }
    };
    let choose = |devices: &[BlockDevice]| device::choose(wanted.state, devices, device::content);
    match wanted.waits.wait(place, wanted.timeout, wanted.modules, choose, absent)? {
        Found::Mount { path, driver } => Ok((path, driver.to_owned())),
        Found::Make { device, kind } => {
            wanted.modules.want(|| needs::of_file_system(&kind.to_string()));
            let maker = make::prepare(&device, kind, place)?;
            say(&format!("{} is empty: making the file system {kind} on it for the state", device.path()));
            make::make(&maker)?;
            Ok((device.path(), kind.to_string()))
        }
    }
}

/// Mounts the state file system.
///
/// `nosuid`, `nodev` and `noexec` hold for paths through this mount alone. The files of the root are reached through
/// overlayfs, whose own mount decides for them: set-user-id programs and device nodes of the running system work there.
fn mount(device: &str, driver: &str) -> Result<(), Failure> {
    let target = Path::new(paths::STATE);
    fs::create_dir_all(target)
        .map_err(|error| Failure::new(format!("cannot make {}: {error}", target.display())))?;
    let options = top_of(driver).map_or(&[][..], |top| top.mount_options);
    let attributes =
        Attributes::MOUNT_ATTR_NOSUID | Attributes::MOUNT_ATTR_NODEV | Attributes::MOUNT_ATTR_NOEXEC;
    let mounted = Filesystem { kind: driver, source: device, options, flags: &[], attributes }.mount(target);
    mounted.map_err(|error| {
        let errno = error.errno();
        let failure = Failure::from(error);
        match nix::errno::Errno::from_raw(errno) {
            nix::errno::Errno::EBUSY => failure.try_this(
                "when the store is on the same partition, it is mounted read-only there: give the state a partition of its own",
            ).try_this(
                "when the store is on the disk as a whole, that keeps all partitions of it from use: name the store's partition, \
                 and write an ISO so that it has one (xorriso -partition_offset 16), or put the state on another disk",
            ),
            // EFSBADCRC and EFSCORRUPTED of the kernel.
            nix::errno::Errno::EBADMSG | nix::errno::Errno::EUCLEAN => failure.try_this(format!(
                "its metadata is damaged, perhaps by a power cut: repair it from another system or from the rescue shell: {}",
                repair(driver, device)
            )),
            // What the mount itself says is all there is to say.
            nix::errno::Errno::ENODEV => failure,
            _ => failure.try_this(format!("check it on another system: fsck.{driver} {device}")),
        }
    })
}

/// With the command that checks it, where a remedy says no more than `fsck`.
fn with_command(mut failure: Failure, driver: &str, device: &str) -> Failure {
    let command = format!("with `{}`, from another system or the rescue shell", repair(driver, device));
    failure.remedies.iter_mut().for_each(|remedy| *remedy = remedy.replace("with fsck", &command));
    failure
}

/// The command that repairs it and keeps its files.
fn repair(driver: &str, device: &str) -> String {
    top_of(driver).map_or_else(|| format!("fsck.{driver} {device}"), |top| format!("{} {device}", top.repair))
}

/// What the table says of it as the place of a top.
fn top_of(driver: &str) -> Option<&'static file_systems::Top> {
    file_systems::of_driver(driver)?.top.as_ref()
}

/// Why there is no root over the top, when the state may be what it is about: then there is one without it. `None` where it is not.
pub fn failure_of_top(error: &BootError) -> Option<Failure> {
    let room = FreeSpace::of(rustix::fs::statvfs(paths::STATE));
    let step = error.step;
    let failure = match (step, room.is_used_up()) {
        // The real init, or a library, lies in the top and cannot be read: the images have others.
        _ if error.failure.of_top => (*error.failure).clone(),
        (StepName::StackLayers | StepName::FindMountPoints, true) => {
            let full = std::io::Error::from_raw_os_error(nix::libc::ENOSPC);
            room.failure(&format!("{step} over the top"), full)
        }
        (StepName::StackLayers, false) => (*error.failure).clone(),
        _ => return None,
    };
    let state = mounts::at(Path::new(paths::STATE));
    let source = state.as_ref().map_or("the state", |state| &state.source);
    Some(of_device(source, folder::explained(failure, Path::new(source))))
}

/// With the name of the device in front.
fn of_device(device: &str, failure: Failure) -> Failure {
    Failure { why: format!("{device}: {}", failure.why), ..failure }
}

/// Has the profile's folder ready, and binds it to its place.
fn prepare(
    wanted: &Wanted,
    device: &str,
    driver: &str,
    say: &mut dyn FnMut(&str),
) -> Result<StateTop, Trouble> {
    let wish = Wish { profile: wanted.profile, stack: wanted.stack, changed: wanted.state.changed };
    let tops = Tops::open(Path::new(paths::STATE))?;
    let observed = tops.observe(&wish)?;
    let Decision { action, aside, say: line, steps } =
        decide::decide(&observed, &wish).map_err(Trouble::Refused)?;
    tops.carry_out_all(&steps, &wish)?;
    line.iter().for_each(|line| say(line));

    let name = wanted.profile.as_str();
    let top = Path::new(paths::TOP);
    fs::create_dir_all(top)
        .map_err(|error| Failure::new(format!("cannot make {}: {error}", top.display())))?;
    bind(&folder::through(&tops.top(name)?), top).map_err(Failure::from)?;
    let below = |name: &str| Path::new(paths::STATE).join(FOLDER).join(name);
    let folder = below(name);
    let record = TopRecord {
        kind: "state",
        path: Some(paths::TOP),
        device: Some(device.to_owned()),
        file_system: Some(driver.to_owned()),
        folder: Some(folder.display().to_string()),
        action: Some(action.to_string()),
        aside: aside.map(|aside| below(&aside).display().to_string()),
        check: None,
        fell_back: None,
    };
    Ok(StateTop { folder, record })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_top_that_cannot_be_read_is_the_state_s_fault() {
        let of_top = Failure { of_top: true, ..Failure::new("/sbin/init cannot be read") };
        let why = failure_of_top(&of_top.at(StepName::ReadInit, "/sbin/init")).unwrap().why;
        assert!(why.ends_with("/sbin/init cannot be read"), "{why}");
        assert_eq!(failure_of_top(&Failure::new("gone").at(StepName::ReadInit, "/sbin/init")), None);
    }

    #[test]
    fn a_remedy_names_the_command_and_the_device() {
        let failure = Failure::new("broken").try_this("check the state file system with fsck");
        let failure = with_command(failure, "xfs", "/dev/vdb");
        assert!(failure.remedies[0].contains("with `xfs_repair /dev/vdb`"), "{failure:?}");
    }

    #[test]
    fn a_device_that_is_not_there_is_told_with_what_would_make_it() {
        let state = State {
            place: profiles::DeviceSpec::Label("no such state on this machine".into()),
            create: profiles::StateFileSystem::parse("ext4").ok(),
            changed: Default::default(),
            check: false,
        };
        let profile = Name::parse("web").unwrap();
        let modules = Modules::default();
        let timeout = Duration::from_millis(30);
        let stack = Digest::from_bytes([0; 32]);
        let waits = Waits::default();
        let wanted =
            Wanted { state: &state, profile: &profile, stack, timeout, waits: &waits, modules: &modules };
        let Err(Trouble::Broken(failure)) = open(&wanted, &mut |_| ()) else { panic!("it is not there") };
        assert!(failure.why.starts_with("nothing answers to LABEL=no such state"), "{failure:?}");
        assert!(failure.remedies.last().unwrap().contains("PARTLABEL"), "{failure:?}");
        let reserved = Name::parse("web.aside-1").unwrap();
        let Err(Trouble::Broken(failure)) = open(&Wanted { profile: &reserved, ..wanted }, &mut |_| ())
        else {
            panic!("the name is taken")
        };
        assert!(failure.why.contains("web.aside-1"), "{failure:?}");
    }
}
