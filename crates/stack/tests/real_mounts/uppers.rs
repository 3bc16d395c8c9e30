//! The folder that takes an overlay's changes: the attributes of the root, and file systems that cannot hold it.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use rustix::fs::XattrFlags;
use rustix::io::Errno;
use stack::mount::{Attributes, Filesystem, unmount};
use stack::overlay::{Features, Overlay};
use stack::upper::{Lack, give_attributes, lack};

use super::mounts::{Access, attach_with_losetup, detach_with_losetup};
use super::{alone_in_namespace, make_folder, mount_image, writable};

const ATTRIBUTES: [(&str, &[u8]); 4] = [
    ("security.selinux", b"system_u:object_r:root_t:s0\0"),
    ("trusted.of-the-root", b"\x01\x02"),
    ("user.comment", b"of all"),
    // u::rwx, g::r-x, group 50 r-x, mask r-x, o::---, as acl(5) is kept in attributes.
    (
        "system.posix_acl_access",
        &[
            2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 4, 0, 5, 0, 255, 255, 255, 255, 8, 0, 5, 0, 50, 0, 0,
            0, 16, 0, 5, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255,
        ],
    ),
];

fn attribute(path: &Path, name: &str) -> Result<Vec<u8>, Errno> {
    let mut value = vec![0; 4096];
    let length = rustix::fs::getxattr(path, name, value.as_mut_slice())?;
    value.truncate(length);
    Ok(value)
}

/// Mode, owner and times, as stat(2) tells them.
fn told(path: &Path) -> (u32, u32, u32, i64, i64, i64) {
    let found = fs::metadata(path).unwrap();
    (found.mode(), found.uid(), found.gid(), found.atime(), found.mtime(), found.mtime_nsec())
}

fn overlay(lower: &[&Path], upper: Option<stack::overlay::Upper>, root: &Path) {
    let lower = lower.iter().map(|layer| layer.to_path_buf()).collect();
    Overlay { lower, upper, userxattr: false, features: Features::AllOff }.mount(root).unwrap();
}

#[test]
fn the_root_under_a_top_has_the_attributes_of_the_root_without_one() {
    alone_in_namespace(|folder| {
        let [low, high] = ["low", "high"].map(|name| make_folder(folder, name));
        chown(&high, Some(12), Some(34)).unwrap();
        for (name, value) in ATTRIBUTES {
            rustix::fs::setxattr(&high, name, value, XattrFlags::empty()).unwrap();
        }
        // Not of the root: what overlayfs noted when the layer was itself a top.
        rustix::fs::setxattr(&high, "trusted.overlay.origin", b"", XattrFlags::empty()).unwrap();
        fs::set_permissions(&high, fs::Permissions::from_mode(0o3750)).unwrap();
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 7);
        File::open(&high).unwrap().set_modified(long_ago).unwrap();

        let (plain, root) = (make_folder(folder, "plain"), make_folder(folder, "root"));
        overlay(&[&low, &high], None, &plain);
        let upper = writable(folder);
        assert_eq!(give_attributes(&high, &upper.upper).unwrap(), Vec::<String>::new());
        assert_eq!(attribute(&upper.upper, "trusted.overlay.origin"), Err(Errno::NODATA));
        overlay(&[&low, &high], Some(upper), &root);
        assert_eq!(told(&root), told(&plain));
        assert_eq!(told(&root).0 & 0o7777, 0o3750);
        for (name, value) in ATTRIBUTES {
            assert_eq!(attribute(&plain, name).as_deref(), Ok(value), "{name}");
            assert_eq!(attribute(&root, name).as_deref(), Ok(value), "{name}");
        }
    });
}

/// What an image has may be more than a disk takes: the root stands, and what is missing is named.
#[test]
fn attributes_that_do_not_fit_are_named() {
    alone_in_namespace(|folder| {
        let lower = make_folder(folder, "lower");
        for number in 0..20 {
            let name = format!("security.long-{number:02}");
            rustix::fs::setxattr(&lower, name, &[7; 60_000], XattrFlags::empty()).unwrap();
        }
        rustix::fs::setxattr(&lower, "security.short", b"short", XattrFlags::empty()).unwrap();
        fs::set_permissions(&lower, fs::Permissions::from_mode(0o711)).unwrap();
        let disk = mounted(folder, &["mkfs.ext4", "-q"], 16);
        let upper = make_folder(&disk, "upper");
        let left = give_attributes(&lower, &upper).unwrap();
        assert!(left.contains(&"security.long-19".to_owned()), "{left:?}");
        assert_eq!(fs::metadata(&upper).unwrap().mode() & 0o7777, 0o711);
        end(folder);
        // A tmpfs would take them all, and its memory is the machine's.
        let upper = make_folder(folder, "upper");
        assert!(give_attributes(&lower, &upper).unwrap().len() >= 15);
    });
}

/// As the images of packages are: the layer is read-only and of another kind.
#[test]
fn the_root_of_a_squashfs_gives_its_attributes() {
    alone_in_namespace(|folder| {
        let tree = make_folder(folder, "tree");
        fs::set_permissions(&tree, fs::Permissions::from_mode(0o1711)).unwrap();
        rustix::fs::setxattr(&tree, "security.selinux", b"root_t\0", XattrFlags::empty()).unwrap();
        let image = folder.join("one.sqfs");
        let made =
            Command::new("mksquashfs").arg(&tree).arg(&image).args(["-quiet", "-no-progress"]).status();
        assert!(made.expect("install squashfs-tools").success());
        let layer = mount_image(&image, folder, "layer");
        let upper = make_folder(folder, "upper");
        assert_eq!(give_attributes(&layer, &upper).unwrap(), Vec::<String>::new());
        assert_eq!(told(&upper), told(&layer));
        assert_eq!(attribute(&upper, "security.selinux").as_deref(), Ok(&b"root_t\0"[..]));
    });
}

/// Makes a file system of so many MiB with this command, and mounts it at `disk`.
fn mounted(folder: &Path, make: &[&str], mib: u64) -> std::path::PathBuf {
    let (image, target) = (folder.join("disk.img"), folder.join("disk"));
    File::create(&image).unwrap().set_len(mib << 20).unwrap();
    fs::create_dir_all(&target).unwrap();
    let (program, arguments) = make.split_first().unwrap();
    let made = Command::new(program).args(arguments).arg(&image).status();
    assert!(made.unwrap_or_else(|error| panic!("install {program}: {error}")).success(), "{make:?}");
    let device = attach_with_losetup(&image, Access::Write);
    let kind = program.trim_start_matches("mkfs.");
    let source = device.to_str().unwrap();
    let disk = Filesystem { kind, source, options: &[], flags: &[], attributes: Attributes::empty() };
    disk.mount(&target).unwrap();
    detach_with_losetup(&device);
    target
}

fn end(folder: &Path) {
    unmount(&folder.join("disk")).unwrap();
    fs::remove_file(folder.join("disk.img")).unwrap();
}

#[test]
fn a_file_system_without_types_of_entries_is_told_before_files_come_back_from_the_dead() {
    alone_in_namespace(|folder| {
        for (make, mib, expected) in [
            (&["mkfs.ext4", "-q"][..], 16, None),
            (&["mkfs.ext4", "-q", "-O", "^filetype"], 16, Some(Lack::EntryTypes)),
            (
                &["mkfs.ext4", "-q", "-O", "^filetype,^has_journal,^extent,^64bit", "-I", "128"],
                16,
                Some(Lack::EntryTypes),
            ),
            (&["mkfs.xfs", "-q"], 320, None),
            (&["mkfs.btrfs", "-q"], 128, None),
        ] {
            let disk = mounted(folder, make, mib);
            let lower = make_folder(&disk, "lower");
            fs::write(lower.join("file"), "").unwrap();
            let open = File::open(&disk).unwrap();
            assert_eq!(lack(open.as_fd(), "lower"), Ok(expected), "{make:?}");
            drop(open);
            // The kernel mounts all of them.
            let root = make_folder(&disk, "root");
            overlay(&[&lower], Some(writable(&disk)), &root);
            fs::remove_file(root.join("file")).unwrap();
            let still_listed = fs::read_dir(&root).unwrap().count() > 0;
            assert_eq!(still_listed, expected.is_some(), "{make:?}");
            unmount(&root).unwrap();
            end(folder);
        }
    });
}
