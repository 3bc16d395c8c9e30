//! Mounts of any file system: what the kernel says when it refuses, and flags that change.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{StatVfsMountFlags, statvfs};
use stack::mount::{Attributes, Filesystem, protect, remount, unmount};

use super::{alone_in_namespace, in_namespace, make_folder, mount_at};

#[test]
fn the_kernels_own_words_are_in_the_error() {
    in_namespace(|folder| {
        let garbage = folder.join("garbage.sqfs");
        fs::write(&garbage, vec![7; 8192]).unwrap();
        let error = mount_at(&garbage, folder).unwrap_err();
        assert!(error.to_string().contains("garbage.sqfs"), "{error}");
        assert!(error.why().contains("SQUASHFS superblock"), "{}", error.why());
        let unknown = Filesystem {
            kind: "nosuchfs",
            source: "none",
            options: &[],
            flags: &[],
            attributes: Attributes::empty(),
        };
        let error = unknown.mount(folder).unwrap_err();
        assert!(error.to_string().contains("does not know the file system nosuchfs"), "{error}");
    });
}

#[test]
fn a_mount_changes_to_writable_and_back_and_keeps_its_other_flags() {
    alone_in_namespace(|folder| {
        let target = make_folder(folder, "medium");
        let disk = folder.join("disk");
        fs::File::create(&disk).unwrap().set_len(16 << 20).unwrap();
        let made = Command::new("mkfs.ext4").arg("-q").arg(&disk).status();
        assert!(made.expect("install e2fsprogs").success());
        let device = attach_with_losetup(&disk, Access::Write);
        let attributes =
            Attributes::MOUNT_ATTR_RDONLY | Attributes::MOUNT_ATTR_NOSUID | Attributes::MOUNT_ATTR_NODEV;
        let source = device.to_str().unwrap();
        let medium = Filesystem { kind: "ext4", source, options: &[], flags: &["ro"], attributes };
        medium.mount(&target).unwrap();
        assert!(fs::write(target.join("file"), "").is_err());
        remount(&target, false).unwrap();
        let open = fs::File::create(target.join("file")).unwrap();
        let error = remount(&target, true).unwrap_err();
        assert!(error.to_string().contains("close the files"), "{error}");
        drop(open);
        protect(&target).unwrap();
        let kept = statvfs(&target).unwrap().f_flag;
        assert!(
            kept.contains(StatVfsMountFlags::RDONLY | StatVfsMountFlags::NOSUID | StatVfsMountFlags::NODEV)
        );
        remount(&target, true).unwrap();
        assert!(fs::write(target.join("file"), "").is_err());
        let mounts = fs::read_to_string("/proc/thread-self/mounts").unwrap();
        let line = mounts.lines().find(|line| line.contains("/medium ext4")).unwrap();
        assert!(line.contains(" ro,nosuid,nodev,"), "{line}");
        unmount(&target).unwrap();
        detach_with_losetup(&device);
    });
}

/// What may be done with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

/// `losetup` of the machine: ours only attaches for reading, and lets go when the value is dropped.
pub fn attach_with_losetup(disk: &Path, access: Access) -> PathBuf {
    let mut losetup = Command::new("losetup");
    losetup.args(["-f", "--show"]).args((access == Access::Read).then_some("-r"));
    let output = losetup.arg(disk).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// Now, or when the file system on it ends.
pub fn detach_with_losetup(device: &Path) {
    assert!(Command::new("losetup").arg("-d").arg(device).status().unwrap().success());
}
