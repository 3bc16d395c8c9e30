//! Looks at a block device: sysfs (`Documentation/ABI/stable/sysfs-block` of the kernel), mounts, swap, and the superblocks on it.
//! Nothing is written, and it is opened for reading alone.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use block_probe::partition_table::{self, Disk, GptCopy, GptFault};
use block_probe::superblock;
use boot_report::paths;
use nix::fcntl::OFlag;
use nix::sys::stat::{major, minor};
use stack::mount_table::{self, Mounted};

use super::{DeviceFacts, FoundContent, Use};
use crate::error::{Error, Result};

/// Where the kernel tells of block devices.
const CLASS: &str = "/sys/class/block";
/// The table of this process, and that of the first one: in a mount namespace of its own, this process may not see what is mounted.
const MOUNT_TABLES: [&str; 2] = [mount_table::PATH, "/proc/1/mountinfo"];

/// Where superblocks lie that are looked for, in bytes: that of btrfs is the last.
const PROBED: u64 = 68 << 10;

/// The disk, or one of its partitions.
struct Part {
    name: String,
    number: u64,
}

/// Looks at the device behind a node or a link to one.
///
/// # Errors
/// It is no block device, or the kernel says nothing of it.
pub fn observe(path: &Path) -> Result<DeviceFacts> {
    let number = number_of(path)?;
    let name = name_of(number).map_err(Error::on(path.display()))?;
    let folder = fs::canonicalize(Path::new(CLASS).join(&name)).map_err(Error::on(path.display()))?;
    let parts = parts(&name, number, &folder);
    let of_disk = |file: &str| read_number(&folder.join(file));
    let disk = folder.parent().and_then(Path::file_name).map(|it| it.to_string_lossy().into_owned());
    Ok(DeviceFacts {
        path: path.to_owned(),
        partition_of: disk.filter(|_| folder.join("partition").exists()),
        model: model(&folder),
        // In units of 512 bytes, whatever its own blocks are.
        size: of_disk("size").unwrap_or(0).saturating_mul(512),
        sector: of_disk("queue/logical_block_size").unwrap_or(0),
        read_only: of_disk("ro").is_some_and(|value| value != 0),
        removable: of_disk("removable").is_some_and(|value| value != 0),
        contents: parts.iter().filter_map(|part| content(part, &name, parts.len() == 1)).collect(),
        uses: uses(&parts),
        name,
    })
}

/// Opens the device that was observed for writing, for this program alone: the kernel refuses where anybody else has claimed it or a
/// part of it (open(2), O_EXCL), in whatever namespace.
///
/// # Errors
/// It may not be opened, is in use, or another device has its name by now.
pub fn open_exclusively(facts: &DeviceFacts) -> Result<File> {
    let path = &facts.path;
    let mut options = File::options();
    let file = options.read(true).write(true).custom_flags(OFlag::O_EXCL.bits()).open(path);
    let file = file.map_err(|error| {
        let remedy = match error.kind() {
            ErrorKind::ResourceBusy => {
                "`lsblk` shows what uses it; a desktop mounts what is plugged in: unmount it"
            }
            ErrorKind::PermissionDenied => {
                "write an image, and that to the device as root; or run this as root"
            }
            _ => "look at the kernel's log for errors of the device",
        };
        Error::new(path.display(), error.to_string()).remedy(remedy).because_of(error)
    })?;
    let number = file.metadata().map_err(Error::on(path.display()))?.rdev();
    match name_of(number).is_ok_and(|name| name == facts.name) {
        true => Ok(file),
        false => Err(Error::new(path.display(), "is another device than a moment ago").remedy("do it again")),
    }
}

fn number_of(path: &Path) -> Result<u64> {
    let found = fs::metadata(path).map_err(Error::on(path.display()))?;
    match found.file_type().is_block_device() {
        true => Ok(found.rdev()),
        false => Err(Error::new(path.display(), "is no block device").remedy(
            "give a disk, such as /dev/sdX (`lsblk` lists them); a file is written without `--device`",
        )),
    }
}

/// The kernel's name of a device, by its number.
fn name_of(number: u64) -> io::Result<String> {
    let link = fs::canonicalize(format!("/sys/dev/block/{}:{}", major(number), minor(number)))?;
    Ok(link.file_name().unwrap_or_default().to_string_lossy().into_owned())
}

/// What the kernel does not tell, a partition that goes meanwhile above all, is left out: whoever uses it keeps [`open_exclusively`] away.
fn parts(name: &str, number: u64, folder: &Path) -> Vec<Part> {
    let mut parts = vec![Part { name: name.to_owned(), number }];
    let below = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut partitions: Vec<Part> = below
        .filter(|entry| entry.path().join("partition").exists())
        .filter_map(|entry| {
            let words = fs::read_to_string(entry.path().join("dev")).ok()?;
            let (high, low) = words.trim().split_once(':')?;
            let number = nix::sys::stat::makedev(high.parse().ok()?, low.parse().ok()?);
            Some(Part { name: entry.file_name().to_string_lossy().into_owned(), number })
        })
        .collect();
    partitions.sort_by_key(|part| (part.name.len(), part.name.clone()));
    parts.append(&mut partitions);
    parts
}

/// SCSI and USB tell vendor and model, NVMe and MMC a model or a name; a loop device shows a file.
fn model(folder: &Path) -> Option<String> {
    let words = |file: &str| {
        let text = fs::read_to_string(folder.join(file)).ok()?;
        Some(text.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|text| !text.is_empty())
    };
    let named = [words("device/vendor"), words("device/model").or_else(|| words("device/name"))];
    let named = named.into_iter().flatten().collect::<Vec<_>>().join(" ");
    Some(named).filter(|named| !named.is_empty()).or_else(|| words("loop/backing_file"))
}

/// `alone`: the kernel shows no partitions of the disk.
fn content(part: &Part, disk: &str, alone: bool) -> Option<FoundContent> {
    let size = read_number(&Path::new(CLASS).join(&part.name).join("size"))?.saturating_mul(512);
    let (kind, label) = match probe(&node(&part.name)) {
        Ok(Some(found)) => (found.kind.to_owned(), found.label),
        Ok(None) if alone && has_table(&node(&part.name), size) => (UNSHOWN.to_owned(), None),
        // Of the disk itself there is something to say only when it has no partitions, or something lies over them.
        Ok(None) if part.name == disk => return None,
        Ok(None) => (String::new(), None),
        Err(error) => (format!("nobody knows what: it cannot be read: {error}"), None),
    };
    Some(FoundContent { name: part.name.clone(), size, kind, label })
}

/// What begins there. The probe itself takes what it cannot read for nothing.
fn probe(node: &Path) -> io::Result<Option<superblock::Superblock>> {
    let mut file = File::open(node)?;
    Read::by_ref(&mut file).take(PROBED).read_to_end(&mut Vec::new())?;
    Ok(superblock::probe(&file))
}

/// What a kernel leaves that was not asked for partitions, or does not take the table for one.
const UNSHOWN: &str = "a partition table, of which the kernel shows no partitions";

/// Whether a table lies there, whole or not: both copies of a GPT are looked for, and a boot record with partitions.
fn has_table(node: &Path, size: u64) -> bool {
    let Ok(file) = File::open(node) else { return false };
    let disk = Disk { size, sector: disk_image::SECTOR, force_gpt: false };
    let no_header =
        |copy: &Result<GptCopy, GptFault>| matches!(copy, Err(GptFault::NoHeader | GptFault::Unreadable));
    partition_table::read(&file, &disk).is_some()
        || partition_table::gpt_copies(&file, &disk)
            .is_some_and(|it| !(no_header(&it.first) && no_header(&it.second)))
}

/// As far as the kernel tells, for people: what it does not tell here it says to [`open_exclusively`].
fn uses(parts: &[Part]) -> Vec<Use> {
    let mut mounts: Vec<Mounted> =
        MOUNT_TABLES.iter().flat_map(|table| mount_table::read(Path::new(table))).collect();
    mounts.sort_by(|a, b| a.target.cmp(&b.target));
    mounts.dedup_by(|a, b| a.target == b.target && a.device == b.device);
    let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
    let loops = loops();
    let mut uses = Vec::new();
    for part in parts {
        let name = || part.name.clone();
        for mount in mounts.iter().filter(|mount| is_of(mount, part)) {
            let place = mount.target.clone();
            uses.push(match is_of_the_system(&place) {
                true => Use::RunningSystem(name(), place),
                false => Use::Mounted(name(), place),
            });
        }
        // Its first word is the node, and the first line a heading.
        let swapped = swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next());
        uses.extend(swapped.filter(|word| same_device(word, part)).map(|_| Use::Swap(name())));
        let holders = fs::read_dir(Path::new(CLASS).join(&part.name).join("holders"));
        let holders = holders.into_iter().flatten().flatten();
        uses.extend(holders.map(|it| Use::Holder(name(), it.file_name().to_string_lossy().into_owned())));
        let shown = loops.iter().filter(|(_, backing)| same_device(backing, part));
        uses.extend(shown.map(|(device, _)| Use::Loop(name(), device.clone())));
    }
    // What ends the search for a remedy first: the running system.
    uses.sort_by_key(|it| !matches!(it, Use::RunningSystem(..)));
    uses
}

/// By its number; a btrfs has one of its own, and names its node.
fn is_of(mount: &Mounted, part: &Part) -> bool {
    mount.device == format!("{}:{}", major(part.number), minor(part.number))
        || same_device(&mount.source, part)
}

fn same_device(path: &str, part: &Part) -> bool {
    let found = fs::metadata(path);
    path.starts_with('/')
        && found.is_ok_and(|it| it.file_type().is_block_device() && it.rdev() == part.number)
}

fn is_of_the_system(place: &Path) -> bool {
    ["/", "/usr", "/boot", "/boot/efi", "/efi"].map(Path::new).contains(&place)
        || place.starts_with(paths::RUN)
}

/// The loop device that shows an open file, by the kernel's name.
pub fn shown_by_loop(file: &File) -> Option<String> {
    let own = file.metadata().ok()?;
    let is_it = |backing: &String| {
        fs::metadata(backing).is_ok_and(|found| (found.dev(), found.ino()) == (own.dev(), own.ino()))
    };
    loops().into_iter().find(|(_, backing)| is_it(backing)).map(|(device, _)| device)
}

/// Each loop device that shows something, with what it shows.
fn loops() -> Vec<(String, String)> {
    let devices = fs::read_dir(CLASS).into_iter().flatten().flatten();
    let shown = devices.filter_map(|device| {
        let backing = fs::read_to_string(device.path().join("loop/backing_file")).ok()?;
        Some((device.file_name().to_string_lossy().into_owned(), backing.trim_end().to_owned()))
    });
    shown.collect()
}

/// `!` in the kernel's name stands for `/`.
fn node(name: &str) -> PathBuf {
    Path::new("/dev").join(name.replace('!', "/"))
}

fn read_number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_disk_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for path in [file.path(), Path::new("/dev/null"), Path::new("/")] {
            let text = observe(path).unwrap_err().to_string();
            assert!(text.contains("is no block device\nhelp: give a disk"), "{text}");
        }
        assert!(observe(Path::new("/dev/no such disk")).is_err());
    }
}
