//! Superblocks as the usual tools write them, read as blkid(8) reads them. Needs the packages of the table `file_systems` and
//! fdisk; without them these tests fail and say so.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of this many MiB with a file system that the given command makes.
fn formatted(folder: &Path, name: &str, mebibytes: u64, command: &[&str]) -> PathBuf {
    let path = folder.join(name);
    fs::File::create(&path).unwrap().set_len(mebibytes << 20).unwrap();
    let made = Command::new(command[0]).args(&command[1..]).arg(&path).output();
    let made = made.unwrap_or_else(|_| panic!("install the package that has {}", command[0]));
    assert!(made.status.success(), "{}: {}", command[0], String::from_utf8_lossy(&made.stderr));
    path
}

/// One value that blkid(8) reads; nothing when there is none.
fn blkid(path: &Path, tag: &str) -> Option<String> {
    let output = Command::new("blkid").args(["-p", "-o", "value", "-s", tag]).arg(path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap().trim_end().to_owned();
    (!text.is_empty()).then_some(text)
}

#[test]
fn superblocks_made_by_the_usual_tools_are_read_as_blkid_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let uuid = "6e2f3a10-0b7c-4d7e-9a51-2f7f1c9d8e01";
    let cases: [(u64, &[&str]); 12] = [
        (16, &["mkfs.ext4", "-q", "-F", "-L", "store", "-U", uuid]),
        (16, &["mkfs.ext3", "-q", "-F", "-L", "store"]),
        (16, &["mkfs.ext2", "-q", "-F"]),
        (16, &["mkfs.vfat", "-F", "12", "-n", "STORE", "-i", "1234abcd"]),
        (16, &["mkfs.vfat", "-F", "16", "-n", "STORE"]),
        (16, &["mkfs.vfat", "-F", "32"]),
        (320, &["mkfs.xfs", "-q", "-L", "twelve chars", "-m", &format!("uuid={uuid}")]),
        (320, &["mkfs.xfs", "-q"]),
        (128, &["mkfs.btrfs", "-q", "-L", "a label of some length", "-U", uuid]),
        (64, &["mkfs.f2fs", "-q", "-f", "-l", "Zustände"]),
        (64, &["mkfs.f2fs", "-q", "-f"]),
        (0, &["xorriso", "-as", "mkisofs", "-quiet", "-V", "STORE", "src", "-o"]),
    ];
    let mut kinds = BTreeSet::new();
    for (number, (mebibytes, command)) in cases.into_iter().enumerate() {
        let path = formatted(folder.path(), &number.to_string(), mebibytes, command);
        let file = fs::File::open(&path).unwrap();
        let found = block_probe::superblock::probe(&file).unwrap_or_else(|| panic!("{command:?} is unknown"));
        assert_eq!(Some(found.kind.to_owned()), blkid(&path, "TYPE"), "{command:?}");
        assert_eq!(found.label, blkid(&path, "LABEL"), "{command:?}");
        assert_eq!(found.uuid, blkid(&path, "UUID"), "{command:?}");
        let row = file_systems::of_kind(found.kind).unwrap_or_else(|| panic!("no row is for {}", found.kind));
        let found = (found.driver, found.can_hold_top());
        assert_eq!(found, (Some(row.driver), row.top.is_some()), "{command:?}");
        kinds.extend(row.kinds.iter().filter(|kind| Some((**kind).to_owned()) == blkid(&path, "TYPE")));
        assert!(!block_probe::superblock::is_blank(&file), "{command:?}");
    }
    let known: BTreeSet<_> = file_systems::FILE_SYSTEMS.iter().flat_map(|row| row.kinds).copied().collect();
    assert_eq!(kinds, known, "each kind of the table was made once");
}

#[test]
fn a_blank_device_is_told_from_one_that_somebody_uses() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    let file = fs::File::create_new(&path).unwrap();
    file.set_len(64 << 20).unwrap();
    let blank = || block_probe::superblock::is_blank(&fs::File::open(&path).unwrap());
    assert!(blank());
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!("echo start=4096 | sfdisk -q -X gpt {}", path.display()))
        .output();
    assert!(output.expect("install fdisk").status.success());
    assert!(!blank(), "it has a partition table");
}
