//! Makes the state file system on an empty device, with the program that mkinitramfs packed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use block_probe::superblock;
use profiles::{DeviceSpec, StateFileSystem};

use super::marker;
use super::subprocess::{self, Ended};
use crate::console;
use crate::devices::block_devices::BlockDevice;
use crate::error::Failure;
use crate::size::Size;

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
    let smallest = smallest(kind);
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
    filesystems.lines().any(|line| line.split_whitespace().last() == Some(&kind.to_string()))
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
    // mkfs.f2fs(8) is alone with its small letter.
    let option = if kind == StateFileSystem::F2fs { "-l" } else { "-L" };
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

/// The smallest device that the program accepts, with what is left free at its end: mkfs.xfs and mkfs.btrfs say so, mkfs.f2fs ends by a
/// signal on less, and an ext4 of less has no room for anything.
fn smallest(kind: StateFileSystem) -> u64 {
    let mib = match kind {
        StateFileSystem::Ext4 => 16,
        StateFileSystem::Xfs => 301,
        StateFileSystem::Btrfs => 110,
        StateFileSystem::F2fs => 64,
    };
    mib << 20
}

/// The label that the file system gets: the one that it will be looked for by.
fn label(kind: StateFileSystem, place: &DeviceSpec) -> Result<&str, Failure> {
    // mke2fs(8), mkfs.xfs(8), mkfs.btrfs(8), mkfs.f2fs(8), in bytes.
    let most = match kind {
        StateFileSystem::Ext4 => 16,
        StateFileSystem::Xfs => 12,
        StateFileSystem::Btrfs | StateFileSystem::F2fs => 255,
    };
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

/// What the program is told: quiet, over what it may have left half made before, this label, this UUID, this many bytes, and no discarding first, which takes minutes on
/// some disks.
fn arguments(kind: StateFileSystem, label: &str, uuid: &str, path: &str, bytes: u64) -> Vec<String> {
    let kib = format!("{}k", bytes >> 10);
    let (bytes, sectors) = ((bytes & !0xfff).to_string(), (bytes >> 9).to_string());
    let xfs = [format!("uuid={uuid}"), format!("size={bytes}")];
    let words: Vec<&str> = match kind {
        // -F: also a whole disk, and as -f of the others.
        StateFileSystem::Ext4 => {
            vec!["-q", "-F", "-t", "ext4", "-L", label, "-U", uuid, "-E", "nodiscard", path, &kib]
        }
        StateFileSystem::Xfs => vec!["-q", "-f", "-K", "-L", label, "-m", &xfs[0], "-d", &xfs[1], path],
        StateFileSystem::Btrfs => vec!["-q", "-f", "-K", "-L", label, "-U", uuid, "-b", &bytes, path],
        StateFileSystem::F2fs => vec!["-q", "-f", "-t", "0", "-l", label, "-U", uuid, path, &sectors],
    };
    words.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(kind: StateFileSystem, place: &str) -> Result<String, Failure> {
        label(kind, &DeviceSpec::parse(place).unwrap()).map(str::to_owned)
    }

    #[test]
    fn the_file_system_gets_the_label_that_it_is_looked_for_by() {
        let ext4 = StateFileSystem::Ext4;
        assert_eq!(named(ext4, "LABEL=my state").unwrap(), "my state");
        assert_eq!(named(ext4, "PARTLABEL=state").unwrap(), "state");
        assert_eq!(named(ext4, "PARTLABEL=a partition with a long name").unwrap(), "lamina-state");
        assert_eq!(named(ext4, "/dev/vdb1").unwrap(), "lamina-state");
        let failure = named(StateFileSystem::Xfs, "LABEL=thirteen char").unwrap_err();
        assert_eq!(failure.why, "LABEL=thirteen char: a label of xfs has at most 12 bytes");
    }

    /// The judges are the programs themselves, on a file.
    #[test]
    fn the_programs_make_what_is_asked_for_and_leave_the_mark_alone() {
        for kind in ["ext4", "xfs", "btrfs", "f2fs"].map(|name| StateFileSystem::parse(name).unwrap()) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("disk");
            let size = smallest(kind);
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
        assert!(knows(known, StateFileSystem::Ext4) && !knows(known, StateFileSystem::Xfs));
        assert!(!knows("nodev\tnotext4\n", StateFileSystem::Ext4));
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
