//! Makes the state file system on an empty device, with the program that mkinitramfs packed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use block_probe::superblock;
use file_systems::PLACES;
use profiles::{DeviceSpec, StateFileSystem};

use super::marker;
use crate::console;
use crate::devices::block_devices::BlockDevice;
use crate::error::Failure;
use crate::size::Size;
use crate::subprocess::{self, Ended};

/// The label when the device was not named by one.
const LABEL: &str = "lamina-state";
/// A new random UUID at each reading: random(4).
const RANDOM_UUID: &str = "/proc/sys/kernel/random/uuid";

/// A file system that can be made, as far as can be known before anything is written.
pub struct Maker<'a> {
    device: &'a BlockDevice,
    kind: StateFileSystem,
    label: &'a str,
    program: PathBuf,
}

/// Looks whether a file system that answers to `place` can be made on `device`, which is empty, and mounted afterwards: so that nothing is
/// announced, or written, that cannot be.
pub fn prepare<'a>(
    device: &'a BlockDevice,
    kind: StateFileSystem,
    place: &'a DeviceSpec,
) -> Result<Maker<'a>, Failure> {
    let path = device.path();
    let label = label(kind, place)?;
    let program = program_in(Path::new("/sbin"), kind, label, &path)?;
    let smallest = kind.top().maker.smallest << 20;
    if device.size < smallest {
        return Err(Failure::new(format!(
            "{path} has {}, which is too little for a state: {kind} needs at least {}",
            Size(device.size),
            Size(smallest)
        ))
        .try_this("make the partition larger"));
    }
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !knows(&known, kind) {
        return Err(Failure::new(format!("the kernel has no driver for {kind}: {path} stays empty"))
            .try_this(format!(
                "make the initramfs again with mkinitramfs --make-file-system {kind}, which packs its module"
            )));
    }
    Ok(Maker { device, kind, label, program })
}

/// Whether a line of `/proc/filesystems` is for this file system.
fn knows(filesystems: &str, kind: StateFileSystem) -> bool {
    filesystems.lines().any(|line| line.split_whitespace().last() == Some(kind.driver()))
}

/// Makes it.
pub fn make(maker: &Maker) -> Result<(), Failure> {
    let Maker { device, kind, label, program } = maker;
    let (path, kind) = (device.path(), *kind);
    let failure =
        |error: std::io::Error| Failure::new(format!("cannot make a file system on {path}: {error}"));
    let uuid = fs::read_to_string(RANDOM_UUID).map_err(failure)?;
    let uuid = uuid.trim_end();
    let node = File::options().read(true).write(true).open(&path).map_err(failure)?;
    marker::write(&node, device.size, Some(uuid)).map_err(failure)?;

    let arguments = arguments(kind, label, uuid, &path, device.size - marker::FREE);
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    let still = |time: Duration| {
        console::write_line(&format!("still making the file system on {path}, for {} s", time.as_secs()));
    };
    let Ended { status, said } =
        subprocess::run(&mut command, &subprocess::MAKING, still).map_err(|why| {
            Failure::new(format!("{} {why}", program.display())).having_seen([device.to_string()])
        })?;
    if !status.success() {
        return Err(Failure::new(format!("{} ended with {status}: {}", program.display(), said.trim()))
            .having_seen([device.to_string()]));
    }
    node.sync_all().map_err(failure)?;
    let made = superblock::probe(&node).and_then(|found| found.uuid);
    if !made.is_some_and(|made| made.eq_ignore_ascii_case(uuid)) {
        return Err(Failure::new(format!(
            "{} left no {kind} with the UUID {uuid} on {path}",
            program.display()
        )));
    }
    // Last: from here on it is a file system like any other.
    marker::write(&node, device.size, None).map_err(failure)
}

fn program_in(folder: &Path, kind: StateFileSystem, label: &str, device: &str) -> Result<PathBuf, Failure> {
    let program = folder.join(format!("mkfs.{kind}"));
    if program.exists() {
        return Ok(program);
    }
    let option = kind.top().maker.label_option;
    Err(Failure::new(format!("the initramfs has no {} to make the state with", program.display()))
        .try_this(format!("make the initramfs again with mkinitramfs --make-file-system {kind}"))
        .try_this(format!(
            "or make the file system from another system: mkfs.{kind} {option} {} {device}",
            quoted(label)
        )))
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if word.bytes().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// The label that the file system gets: the one that it will be looked for by.
fn label(kind: StateFileSystem, place: &DeviceSpec) -> Result<&str, Failure> {
    let most = kind.top().maker.longest_label;
    match place {
        DeviceSpec::Label(label) if label.len() > most => {
            Err(Failure::new(format!("{place}: a label of {kind} has at most {most} bytes"))
                .try_this("name it shorter, or name the partition: PARTLABEL="))
        }
        DeviceSpec::Label(label) => Ok(label),
        DeviceSpec::PartLabel(label) if label.len() <= most => Ok(label),
        _ => Ok(LABEL),
    }
}

/// What the program is told: the words of the table, each with at most one place to fill.
fn arguments(kind: StateFileSystem, label: &str, uuid: &str, path: &str, bytes: u64) -> Vec<String> {
    let lengths = [bytes >> 10, bytes >> 9, bytes & !0xfff].map(|length| length.to_string());
    let values = [label, uuid, path, &lengths[0], &lengths[1], &lengths[2]];
    let filled = |word: &&'static str| {
        let mut places = PLACES.iter().zip(values);
        let place = places.find(|(place, _)| word.contains(**place));
        place.map_or_else(|| (*word).to_owned(), |(place, value)| word.replacen(place, value, 1))
    };
    kind.top().maker.arguments.iter().map(filled).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(kind: StateFileSystem, place: &str) -> Result<String, Failure> {
        label(kind, &DeviceSpec::parse(place).unwrap()).map(str::to_owned)
    }

    #[test]
    fn the_file_system_gets_the_label_that_it_is_looked_for_by() {
        let [ext4, xfs] = ["ext4", "xfs"].map(|name| StateFileSystem::parse(name).unwrap());
        assert_eq!(named(ext4, "LABEL=my state").unwrap(), "my state");
        assert_eq!(named(ext4, "PARTLABEL=state").unwrap(), "state");
        assert_eq!(named(ext4, "PARTLABEL=a partition with a long name").unwrap(), "lamina-state");
        assert_eq!(named(ext4, "/dev/vdb1").unwrap(), "lamina-state");
        let failure = named(xfs, "LABEL=thirteen char").unwrap_err();
        assert_eq!(failure.why, "LABEL=thirteen char: a label of xfs has at most 12 bytes");
    }

    /// A label is what a person wrote, and may look like a place.
    #[test]
    fn what_is_put_in_is_not_looked_at_again() {
        for (kind, words) in [
            ("ext4", "-q -F -t ext4 -L {uuid} -U U -E nodiscard /dev/x 1028k"),
            ("xfs", "-q -f -K -L {uuid} -m uuid=U -d size=1052672 /dev/x"),
            ("btrfs", "-q -f -K -L {uuid} -U U -b 1052672 /dev/x"),
            ("f2fs", "-q -f -t 0 -l {uuid} -U U /dev/x 2057"),
        ] {
            let kind = StateFileSystem::parse(kind).unwrap();
            assert_eq!(arguments(kind, "{uuid}", "U", "/dev/x", 1_053_184).join(" "), words);
        }
    }

    /// The judges are the programs themselves, on a file.
    #[test]
    fn the_programs_make_what_is_asked_for_and_leave_the_mark_alone() {
        for kind in StateFileSystem::all() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("disk");
            let size = kind.top().maker.smallest << 20;
            let disk = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
            disk.set_len(size).unwrap();
            let uuid = "12345678-1234-4000-8000-123456789abc";
            marker::write(&disk, size, Some(uuid)).unwrap();
            let program = PathBuf::from(format!("/usr/sbin/mkfs.{kind}"));
            assert!(program.exists(), "{}: missing: run `make deps-test`", program.display());
            let arguments = arguments(kind, "state", uuid, path.to_str().unwrap(), size - marker::FREE);
            // The second time it finds what a power cut may have left.
            for _ in 0..2 {
                let output = Command::new(&program).args(&arguments).output().unwrap();
                assert!(output.status.success(), "{kind}: {}", String::from_utf8_lossy(&output.stderr));
            }
            let found = superblock::probe(&disk).unwrap();
            assert_eq!(
                (found.kind, found.label.as_deref(), found.uuid.as_deref()),
                (kind.to_string().as_str(), Some("state"), Some(uuid))
            );
            assert_eq!(marker::read(&disk, size).as_deref(), Some(uuid), "{kind}");
            assert_eq!(disk.metadata().unwrap().len(), size);
        }
    }

    #[test]
    fn a_driver_is_looked_for_by_its_whole_name() {
        let known = "nodev\tsysfs\n\text4\n\text3\n";
        let [ext4, xfs] = ["ext4", "xfs"].map(|name| StateFileSystem::parse(name).unwrap());
        assert!(knows(known, ext4) && !knows(known, xfs));
        assert!(!knows("nodev\tnotext4\n", ext4));
    }

    #[test]
    fn a_maker_that_is_not_there_is_told_with_how_to_pack_it() {
        for (kind, by_hand) in
            [("f2fs", "mkfs.f2fs -l 'my state' /dev/vdb1"), ("xfs", "mkfs.xfs -L 'my state' /dev/vdb1")]
        {
            let kind = StateFileSystem::parse(kind).unwrap();
            let found = program_in(Path::new("/nowhere"), kind, "my state", "/dev/vdb1").unwrap_err();
            assert!(found.remedies[0].ends_with(&format!("--make-file-system {kind}")), "{found:?}");
            assert!(found.remedies[1].contains(by_hand), "{found:?}");
        }
    }
}
