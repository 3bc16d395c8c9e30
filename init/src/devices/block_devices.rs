//! The block devices of this machine and what lies on them, from `/sys/class/block` and their first blocks.
//!
//! `Documentation/ABI/stable/sysfs-block` of the kernel: `size` counts 512-byte units whatever the device's own blocks
//! are, `partition` is there only for partitions and holds their number, `ro` is 1 for what cannot be written.

use std::fmt;
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use block_probe::partition_table::{self, Partition};
use block_probe::superblock::{self, Superblock};
use profiles::DeviceSpec;
use stack::drive;

use crate::size::Size;

/// How long a drive may take to get to know a disc that was just put in, and how often it is asked meanwhile.
const SPINS_UP: Duration = Duration::from_secs(30);
const LOOKED_AT_AGAIN: Duration = Duration::from_millis(200);

/// One disk or partition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BlockDevice {
    /// The kernel's name, `vda1`.
    pub name: String,
    /// Of a partition: the name of its disk.
    pub disk: Option<String>,
    /// Bytes; 0 when the drive has no medium.
    pub size: u64,
    /// Of a partition: the bytes of the disk before it.
    pub start: u64,
    /// Nothing can be written to it: a switch on the medium, or whoever made the machine, says so.
    pub write_protected: bool,
    /// What lies on it, when that is known.
    pub superblock: Option<Superblock>,
    /// Of a partition: its names in the partition table.
    pub partition: Option<Partition>,
    /// The devices that the kernel has made of it: of a RAID, a volume group, several paths to one disk.
    pub holders: Vec<String>,
    /// It has not been read, because it does not answer.
    pub silent: bool,
}

impl BlockDevice {
    /// Its node; `!` in the kernel's name stands for `/`.
    pub fn path(&self) -> String {
        format!("/dev/{}", self.name.replace('!', "/"))
    }

    /// Whether the device is called so.
    pub fn answers_to(&self, spec: &DeviceSpec) -> bool {
        let superblock = self.superblock.as_ref();
        let partition = self.partition.as_ref();
        let same = |found: Option<&String>, wanted: &str| {
            found.is_some_and(|text| text.eq_ignore_ascii_case(wanted))
        };
        match spec {
            DeviceSpec::Label(label) => superblock.and_then(|found| found.label.as_ref()) == Some(label),
            DeviceSpec::Uuid(uuid) => same(superblock.and_then(|found| found.uuid.as_ref()), uuid),
            DeviceSpec::PartLabel(label) => partition.and_then(|found| found.label.as_ref()) == Some(label),
            DeviceSpec::PartUuid(uuid) => same(partition.map(|found| &found.uuid), uuid),
            // What lies on one that does not answer cannot be known, and nobody could mount it; in an empty drive nothing does.
            DeviceSpec::Path(path) => *path == self.path() && !self.silent && self.size > 0,
        }
    }
}

impl fmt::Display for BlockDevice {
    /// `/dev/vda1 512 MiB ext4 LABEL=data UUID=...`, for the recovery screen.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protected = if self.write_protected { " write-protected" } else { "" };
        match (self.size, self.silent) {
            (0, false) => return write!(f, "{} no medium", self.path()),
            (0, true) => f.write_str(&self.path())?,
            _ => write!(f, "{} {}{protected}", self.path(), Size(self.size))?,
        }
        match &self.superblock {
            None if self.silent => f.write_str(" (does not answer)")?,
            None => f.write_str(" (no file system that init knows)")?,
            Some(found) => {
                write!(f, " {}", found.kind)?;
                if let Some(what) = superblock::part_of(found.kind) {
                    write!(f, " ({what})")?;
                }
                write_name(f, "LABEL", found.label.as_deref())?;
                write_name(f, "UUID", found.uuid.as_deref())?;
            }
        }
        if !self.holders.is_empty() {
            write!(f, " (in use by {})", self.holders.join(", "))?;
        }
        let partition = self.partition.as_ref();
        write_name(f, "PARTLABEL", partition.and_then(|found| found.label.as_deref()))?;
        write_name(f, "PARTUUID", partition.map(|found| found.uuid.as_str()))
    }
}

/// A label may hold anything, also what would confuse a terminal.
fn write_name(f: &mut fmt::Formatter<'_>, name: &str, value: Option<&str>) -> fmt::Result {
    match value {
        Some(value) => write!(f, " {name}={}", value.escape_debug()),
        None => Ok(()),
    }
}

/// What the kernel knows of a device that was not read yet; `None` while it has no blocks and is no drive for media, or is gone
/// already.
pub fn look(name: &str) -> Option<BlockDevice> {
    let folder = fs::canonicalize(Path::new("/sys/class/block").join(name)).ok()?;
    let size = number(&folder.join("size"))?.saturating_mul(512);
    if size == 0 && !is_drive(&folder) {
        return None;
    }
    let parent = folder.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    let disk = number(&folder.join("partition")).and(parent).map(str::to_owned);
    let write_protected = number(&folder.join("ro")).is_some_and(|value| value != 0);
    let start = number(&folder.join("start")).unwrap_or(0).saturating_mul(512);
    let name = name.to_owned();
    let holders = holders(&name);
    Some(BlockDevice {
        name,
        disk,
        size,
        start,
        holders,
        write_protected,
        silent: true,
        ..BlockDevice::default()
    })
}

/// `holders/` of sysfs has a link for each (`Documentation/ABI/stable/sysfs-block`).
pub fn holders(name: &str) -> Vec<String> {
    let entries = fs::read_dir(Path::new("/sys/class/block").join(name).join("holders"));
    let mut names: Vec<String> = entries
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn node(name: &str) -> Option<File> {
    drive::open(&Path::new("/dev").join(name.replace('!', "/"))).ok()
}

/// Whether its medium can be taken out; a partition has no such file.
fn is_drive(device: &Path) -> bool {
    number(&device.join("removable")).is_some_and(|value| value != 0)
}

/// Opens a drive that has a medium, and its size in bytes. The kernel learns it when the drive is opened; one that is still getting to
/// know its disc is opened again, and a disc drive that is empty has the size of a CD all the same: it has to be asked.
fn medium_in(name: &str, device: &Path) -> Option<(File, u64)> {
    let until = Instant::now() + SPINS_UP;
    loop {
        let file = node(name)?;
        match drive::state(&file) {
            drive::DriveState::Nothing => return None,
            drive::DriveState::NotReady if Instant::now() < until => std::thread::sleep(LOOKED_AT_AGAIN),
            _ => {
                let size = number(&device.join("size")).filter(|size| *size > 0)?;
                return Some((file, size.saturating_mul(512)));
            }
        }
    }
}

impl BlockDevice {
    /// Reads what lies on it, and waits as long as that takes.
    pub fn that_was_read(mut self) -> Self {
        let folder = Path::new("/sys/class/block");
        self.silent = false;
        let device = folder.join(&self.name);
        let file = if is_drive(&device) {
            let Some((file, size)) = medium_in(&self.name, &device) else {
                self.size = 0;
                return self;
            };
            self.size = size;
            Some(file)
        } else {
            node(&self.name)
        };
        self.partition = self.names_of_partition(folder);
        self.superblock = file.and_then(|file| superblock::probe(&file));
        self
    }

    /// Its names in the table of its disk, where that table says of the partition what the kernel says.
    fn names_of_partition(&self, folder: &Path) -> Option<Partition> {
        let disk = self.disk.as_deref()?;
        let of_disk = folder.join(disk);
        let number_of = |folder: &Path, name| number(&folder.join(name));
        let own = u32::try_from(number_of(&folder.join(&self.name), "partition")?).ok()?;
        let described = partition_table::Disk {
            size: number_of(&of_disk, "size")?.saturating_mul(512),
            sector: number_of(&of_disk, "queue/logical_block_size")?,
            force_gpt: fs::read_to_string("/proc/cmdline")
                .is_ok_and(|line| line.split_whitespace().any(|word| word == "gpt")),
        };
        partition_table::read(&node(disk)?, &described)?.partition(own, self.start, self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_one_line_without_control_characters() {
        let mut device = BlockDevice {
            name: "vda1".into(),
            disk: Some("vda".into()),
            size: 64 << 20,
            superblock: Some(Superblock {
                kind: "ext4",
                driver: Some("ext4"),
                label: Some("a\x1b[2J".into()),
                ..Superblock::default()
            }),
            partition: Some(Partition { number: 1, uuid: "deadbeef-01".into(), label: None }),
            ..BlockDevice::default()
        };
        assert_eq!(device.to_string(), r"/dev/vda1 64 MiB ext4 LABEL=a\u{1b}[2J PARTUUID=deadbeef-01");
        device.write_protected = true;
        assert!(device.to_string().starts_with("/dev/vda1 64 MiB write-protected ext4"), "{device}");
        let silent =
            BlockDevice { name: "sdb".into(), size: 1 << 30, silent: true, ..BlockDevice::default() };
        assert_eq!(silent.to_string(), "/dev/sdb 1024 MiB (does not answer)");
        let empty = BlockDevice { name: "sr0".into(), ..BlockDevice::default() };
        assert_eq!(empty.to_string(), "/dev/sr0 no medium");
        let silent = BlockDevice { silent: true, ..empty };
        assert_eq!(silent.to_string(), "/dev/sr0 (does not answer)");
    }
}
