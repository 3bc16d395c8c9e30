//! The partition with the boot menu: a FAT beside the store on the disk of the medium, mounted for one command. Whoever mounts it holds [`crate::medium::lock`].

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use boot_entry::paths::ENTRIES;
use boot_report::{BootReport, paths};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount, umount};
use nix::time::ClockId;
use stack::mount_table;

use crate::System;
use crate::error::failure;

/// Why there is nothing to look at.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Another file system, or none that this kernel knows yet.
    NotMounted,
    /// It should have been possible.
    Failed(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Fault::Failed(error)
    }
}

/// Modules that nothing has asked for, FAT and its character sets among them, are loaded while the system comes up already (docs/boot.md):
/// a hook that blesses early waits for them. A minute after the boot they are there, or never will be.
const MODULES_COME: Duration = Duration::from_secs(10);
const MODULES_ARE_THERE: Duration = Duration::from_secs(60);
/// No menu has more.
const MOST_ENTRIES: usize = 4096;
const LOOKED_AGAIN: Duration = Duration::from_millis(200);

/// What `look` finds on the first partition beside the medium's that has it. Looked at again where none is a FAT, while modules may come.
///
/// # Errors
/// One that `look` could not look at.
pub(crate) fn first_beside<T>(
    system: &System,
    report: &BootReport,
    mut look: impl FnMut(&Path) -> Result<Option<T>, Fault>,
) -> crate::Result<Option<T>> {
    let nodes = beside(system, report);
    let since_boot = ClockId::CLOCK_BOOTTIME.now().map_or(Duration::MAX, Duration::from);
    let they_come =
        report.later_modules > 0 && since_boot < Duration::from_micros(report.ended) + MODULES_ARE_THERE;
    let patience = if they_come { MODULES_COME } else { Duration::ZERO };
    let until = Instant::now() + patience;
    loop {
        let mut any = false;
        for node in &nodes {
            match look(node) {
                Err(Fault::NotMounted) => {}
                Err(Fault::Failed(error)) => {
                    return Err(failure(format!("the boot menu on {}", node.display()), error));
                }
                Ok(None) => any = true,
                Ok(found) => return Ok(found),
            }
        }
        if any || nodes.is_empty() || Instant::now() >= until {
            return Ok(None);
        }
        std::thread::sleep(LOOKED_AGAIN);
    }
}

/// The other partitions of the disk that the medium is on: of the device that is mounted. Its name in the report may be that of another by now,
/// where a stick was pulled out.
fn beside(system: &System, report: &BootReport) -> Vec<PathBuf> {
    let mounts = mount_table::read(&system.path(mount_table::PATH));
    let Some(mount) = mount_table::under(&mounts, Path::new(&report.store_folder)) else { return Vec::new() };
    let own = match mount.device.starts_with("0:") {
        // btrfs has numbers of its own (anonymous block devices), and the device's name stands beside them.
        true => {
            Path::new("/sys/class/block").join(mount.source.trim_start_matches("/dev/").replace('/', "!"))
        }
        false => Path::new("/sys/dev/block").join(&mount.device),
    };
    let Ok(folder) = fs::canonicalize(system.path(own)) else { return Vec::new() };
    let Some(disk) = folder.parent().filter(|_| folder.join("partition").exists()) else { return Vec::new() };
    let others = fs::read_dir(disk).into_iter().flatten().flatten();
    let mut names: Vec<String> = others
        .filter(|it| it.path() != folder && it.path().join("partition").exists())
        .filter_map(|it| it.file_name().into_string().ok())
        .collect();
    names.sort();
    names.iter().map(|name| system.path("/dev").join(name.replace('!', "/"))).collect()
}

/// Mounts a FAT read-only, does something with its folder, and takes it away again.
pub(crate) fn with_mounted<T>(
    system: &System,
    node: &Path,
    work: impl FnOnce(&Path) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let place = mount_at_its_place(system, node)?;
    let done = work(&place);
    let unmounted = umount(&place);
    let _ = fs::remove_dir(&place);
    let value = done?;
    unmounted.map_err(|errno| Fault::Failed(errno.into()))?;
    Ok(value)
}

/// Mounts a FAT read-only, where nobody but root enters.
pub(crate) fn mount_at_its_place(system: &System, node: &Path) -> Result<PathBuf, Fault> {
    let place = system.path(paths::ESP);
    match DirBuilder::new().mode(0o700).create(&place) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        made => made?,
    }
    // Silent: that another partition holds no FAT is nothing for the kernel's log.
    let flags =
        MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_SILENT;
    // A file system that is mounted somewhere can be mounted once more only as it is there: writable.
    let writable = flags - MsFlags::MS_RDONLY;
    let attempt = |flags| mount(Some(node), &place, Some("vfat"), flags, Some("shortname=lower"));
    let mounted = match attempt(flags) {
        Err(Errno::EBUSY) => attempt(writable),
        mounted => mounted,
    };
    mounted.map(|()| place.clone()).map_err(|errno| {
        let _ = fs::remove_dir(&place);
        // No FAT, none that this kernel knows yet, an empty drive, or something that is in use as another file system.
        let is_another =
            matches!(errno, Errno::EINVAL | Errno::ENODEV | Errno::ENXIO | Errno::ENOMEDIUM | Errno::EBUSY);
        if is_another { Fault::NotMounted } else { Fault::Failed(errno.into()) }
    })
}

/// The names of the menu's entries, as far as they are text; none where the partition has no such folder.
///
/// # Errors
/// The folder cannot be listed: nobody knows what is in it.
pub(crate) fn entry_names(esp: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(esp.join(ENTRIES)) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    let names = entries.take(MOST_ENTRIES).map(|entry| Ok(entry?.file_name().into_string().ok()));
    names.filter_map(Result::transpose).collect()
}

/// Makes what is mounted there writable.
pub(crate) fn make_writable(place: &Path) -> io::Result<()> {
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    Ok(mount(None::<&str>, place, None::<&str>, flags, None::<&str>)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_beside_the_store_are_looked_at() {
        let root = tempfile::tempdir().unwrap();
        let disk = root.path().join("sys/devices/vda");
        for part in ["vda1", "vda2", "vda3"] {
            fs::create_dir_all(disk.join(part)).unwrap();
            fs::write(disk.join(part).join("partition"), "1").unwrap();
        }
        fs::create_dir_all(disk.join("queue")).unwrap();
        for (folder, name, target) in [
            ("dev", "254:3", disk.join("vda3")),
            ("dev", "254:0", disk.clone()),
            ("class", "vda3", disk.join("vda3")),
        ] {
            let folder = root.path().join("sys").join(folder).join("block");
            fs::create_dir_all(&folder).unwrap();
            std::os::unix::fs::symlink(target, folder.join(name)).unwrap();
        }
        let system = System::below(root.path());
        fs::create_dir_all(root.path().join("proc/self")).unwrap();
        let found = |device: &str, source: &str| {
            let line = format!("9 1 {device} / /run/lamina/medium ro - ext4 {source} ro\n");
            fs::write(system.path(mount_table::PATH), line).unwrap();
            // The name is that of another device by now.
            let medium = "/dev/sda1 (ext4)".to_owned();
            let report = BootReport {
                medium,
                store_folder: "/run/lamina/medium/lamina".into(),
                ..BootReport::default()
            };
            beside(&system, &report)
        };
        let beside = ["vda1", "vda2"].map(|name| system.path("/dev").join(name));
        assert_eq!(found("254:3", "/dev/sda1"), beside);
        assert_eq!(found("0:40", "/dev/vda3"), beside);
        for (device, source) in
            [("254:0", "/dev/vda"), ("254:9", "/dev/vda3"), ("0:40", "store"), ("0:40", "/dev/../etc")]
        {
            assert_eq!(found(device, source), Vec::<PathBuf>::new(), "{device} {source}");
        }
    }
}
