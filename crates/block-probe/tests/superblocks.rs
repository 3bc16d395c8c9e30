//! Superblocks as the usual tools write them, read as blkid(8) reads them. Needs e2fsprogs, dosfstools, xfsprogs, btrfs-progs,
//! f2fs-tools and fdisk; without them these tests fail and say so.

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
    let cases: [(u64, bool, &[&str]); 11] = [
        (16, true, &["mkfs.ext4", "-q", "-F", "-L", "store", "-U", uuid]),
        (16, true, &["mkfs.ext3", "-q", "-F", "-L", "store"]),
        (16, true, &["mkfs.ext2", "-q", "-F"]),
        (16, false, &["mkfs.vfat", "-F", "12", "-n", "STORE", "-i", "1234abcd"]),
        (16, false, &["mkfs.vfat", "-F", "16", "-n", "STORE"]),
        (16, false, &["mkfs.vfat", "-F", "32"]),
        (320, true, &["mkfs.xfs", "-q", "-L", "twelve chars", "-m", &format!("uuid={uuid}")]),
        (320, true, &["mkfs.xfs", "-q"]),
        (128, true, &["mkfs.btrfs", "-q", "-L", "a label of some length", "-U", uuid]),
        (64, true, &["mkfs.f2fs", "-q", "-f", "-l", "Zustände"]),
        (64, true, &["mkfs.f2fs", "-q", "-f"]),
    ];
    for (number, (mebibytes, top, command)) in cases.into_iter().enumerate() {
        let path = formatted(folder.path(), &number.to_string(), mebibytes, command);
        let file = fs::File::open(&path).unwrap();
        let found = block_probe::superblock::probe(&file).unwrap_or_else(|| panic!("{command:?} is unknown"));
        assert_eq!(Some(found.kind.to_owned()), blkid(&path, "TYPE"), "{command:?}");
        assert_eq!(found.label, blkid(&path, "LABEL"), "{command:?}");
        assert_eq!(found.uuid, blkid(&path, "UUID"), "{command:?}");
        assert_eq!((found.driver.is_some(), found.can_hold_top()), (true, top), "{command:?}");
        assert!(!block_probe::superblock::is_blank(&file), "{command:?}");
    }
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
