//! Disks that were pulled or lost their power, and whose switch says that nothing may be written.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use stack::mount::{Attributes, Filesystem, unmount};

use super::mounts::{Access, attach_with_losetup, detach_with_losetup};
use super::{alone_in_namespace, make_folder};

/// Makes a file system with a file on it; a copy of the disk is taken when the file is durable and nothing was unmounted.
fn dirty_and_clean(folder: &Path, name: &str, driver: &str, make: &[&str]) -> [PathBuf; 2] {
    let [clean, dirty] = ["clean", "dirty"].map(|state| folder.join(format!("{name}.{state}")));
    let size = if driver == "xfs" { 320 } else { 128 };
    File::create(&clean).unwrap().set_len(size << 20).unwrap();
    let (program, arguments) = make.split_first().unwrap();
    let made = Command::new(program).args(arguments).arg(&clean).status();
    assert!(made.unwrap_or_else(|error| panic!("install {program}: {error}")).success(), "{make:?}");
    let device = attach_with_losetup(&clean, Access::Write);
    let target = make_folder(folder, &format!("{name}.mounted"));
    mount(driver, &device, &[], &target).unwrap();
    fs::write(target.join("before"), "before").unwrap();
    // Out of the journal, which is read by nobody afterwards.
    unmount(&target).unwrap();
    mount(driver, &device, &[], &target).unwrap();
    let mut file = File::create(target.join("durable")).unwrap();
    file.write_all(b"durable").unwrap();
    file.sync_all().unwrap();
    fs::copy(&clean, &dirty).unwrap();
    drop(file);
    unmount(&target).unwrap();
    detach_with_losetup(&device);
    [clean, dirty]
}

fn without_replay(driver: &str) -> &'static [&'static str] {
    file_systems::of_driver(driver).unwrap().without_replay
}

fn mount(driver: &str, device: &Path, flags: &[&str], target: &Path) -> stack::Result<()> {
    let pairs: Vec<(&str, &str)> = flags.iter().filter_map(|flag| flag.split_once('=')).collect();
    let flags: Vec<&str> = flags.iter().copied().filter(|flag| !flag.contains('=')).collect();
    let source = device.to_str().unwrap();
    Filesystem { kind: driver, source, options: &pairs, flags: &flags, attributes: Attributes::empty() }
        .mount(target)
}

#[test]
fn what_was_not_unmounted_is_read_from_a_device_that_cannot_be_written() {
    alone_in_namespace(|folder| {
        for (name, driver, make) in [
            ("ext2", "ext4", &["mkfs.ext2", "-q"][..]),
            ("ext3", "ext4", &["mkfs.ext3", "-q"]),
            ("ext4", "ext4", &["mkfs.ext4", "-q"]),
            ("xfs", "xfs", &["mkfs.xfs", "-q"]),
            ("btrfs", "btrfs", &["mkfs.btrfs", "-q"]),
        ] {
            let target = make_folder(folder, name);
            for (image, is_dirty) in dirty_and_clean(folder, name, driver, make).iter().zip([false, true]) {
                let device = attach_with_losetup(image, Access::Read);
                let has_journal = name != "ext2";
                let refused = mount(driver, &device, &["ro"], &target).is_err();
                assert_eq!(refused, is_dirty && has_journal, "{}: without the options", image.display());
                if !refused {
                    unmount(&target).unwrap();
                }
                let flags = [&["ro"], without_replay(driver)].concat();
                mount(driver, &device, &flags, &target).unwrap_or_else(|error| panic!("{name}: {error}"));
                let before = fs::read_to_string(target.join("before"));
                assert_eq!(before.as_deref().ok(), Some("before"), "{}: {before:?}", image.display());
                assert!(fs::write(target.join("new"), "").is_err(), "{name}");
                unmount(&target).unwrap();
                detach_with_losetup(&device);
                fs::remove_file(image).unwrap();
            }
        }
    });
}

/// The medium is a copy of a disk that is in the machine, too.
#[test]
fn an_xfs_whose_copy_is_mounted_is_read_beside_it() {
    alone_in_namespace(|folder| {
        let [clean, dirty] = dirty_and_clean(folder, "xfs", "xfs", &["mkfs.xfs", "-q"]);
        let (one, other) = (make_folder(folder, "one"), make_folder(folder, "other"));
        let writable = attach_with_losetup(&clean, Access::Write);
        mount("xfs", &writable, &[], &one).unwrap();
        let device = attach_with_losetup(&dirty, Access::Read);
        let flags = [&["ro"], without_replay("xfs")].concat();
        mount("xfs", &device, &flags, &other).unwrap();
        assert_eq!(fs::read_to_string(other.join("before")).unwrap(), "before");
        for (target, device) in [(&one, &writable), (&other, &device)] {
            unmount(target).unwrap();
            detach_with_losetup(device);
        }
    });
}
