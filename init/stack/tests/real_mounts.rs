//! Real loop devices, real squashfs, real overlays, on the kernel of this machine, in a mount namespace of their own.
//!
//! They need root and `mksquashfs`; without them they fail and say so.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount as old_mount};
use nix::sched::{CloneFlags, unshare};
use rustix::fs::{StatVfsMountFlags, statvfs};
use stack::image::{ImageKind, OpenImage};
use stack::loop_device::{Caching, attach, attach_with};
use stack::mount::{self, Attributes, Backing, Filesystem, detach, protect, remount, unmount};
use stack::overlay::{Features, Overlay, Rung, Upper};

/// Runs the story in a thread with its own mount namespace, on an empty tmpfs that vanishes with it.
fn in_namespace(story: impl FnOnce(&Path) + Send + 'static) {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test mounts: run it as root, as in `sudo -E cargo test -p stack --test real_mounts`"
    );
    let thread = std::thread::spawn(|| {
        let folder = tempfile::tempdir().unwrap();
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        old_mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
        old_mount(Some("test"), folder.path(), Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
        story(folder.path());
        detach(folder.path()).unwrap();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// An image with the given files, made by the squashfs-tools of the machine.
fn make_image(folder: &Path, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let tree = folder.join(format!("{name}.tree"));
    fs::create_dir(&tree).unwrap();
    for (path, content) in files {
        fs::write(tree.join(path), content).unwrap();
    }
    let image = folder.join(format!("{name}.sqfs"));
    let made = Command::new("mksquashfs").arg(&tree).arg(&image).args(["-quiet", "-no-progress"]).status();
    assert!(made.expect("install squashfs-tools").success());
    image
}

/// Attaches the image and mounts it at `target`.
fn mount_at(image: &Path, target: &Path) -> stack::Result<()> {
    let device = attach(&OpenImage::open(image)?)?;
    mount::layer(ImageKind::Squashfs, &Backing::Loop(&device), image)?.show_at(target)
}

fn mount_image(image: &Path, folder: &Path, name: &str) -> PathBuf {
    let target = folder.join(name);
    fs::create_dir(&target).unwrap();
    mount_at(image, &target).unwrap();
    target
}

fn writable(folder: &Path) -> Upper {
    let (upper, work) = (folder.join("upper"), folder.join("work"));
    fs::create_dir(&upper).unwrap();
    fs::create_dir(&work).unwrap();
    Upper { upper, work }
}

#[test]
fn the_upper_layer_wins_and_the_top_takes_the_writes() {
    in_namespace(|folder| {
        let low = make_image(folder, "low", &[("both", "low"), ("only-low", "1")]);
        let high = make_image(folder, "high", &[("both", "high")]);
        let lower = vec![mount_image(&low, folder, "l"), mount_image(&high, folder, "h")];
        let root = folder.join("root");
        fs::create_dir(&root).unwrap();
        let overlay = Overlay {
            lower: lower.clone(),
            upper: Some(writable(folder)),
            userxattr: false,
            features: Features::KernelDefault,
        };
        overlay.mount(&root).unwrap();
        assert_eq!(fs::read_to_string(root.join("both")).unwrap(), "high");
        assert_eq!(fs::read_to_string(root.join("only-low")).unwrap(), "1");
        fs::write(root.join("both"), "changed").unwrap();
        assert_eq!(fs::read_to_string(lower[1].join("both")).unwrap(), "high");
    });
}

#[test]
fn a_protected_stack_is_read_only_until_it_is_mounted_again() {
    in_namespace(|folder| {
        let (target, lower) = (folder.join("root"), folder.join("lower"));
        fs::create_dir(&target).unwrap();
        fs::create_dir(&lower).unwrap();
        let overlay = Overlay {
            lower: vec![lower],
            upper: Some(writable(folder)),
            userxattr: false,
            features: Features::KernelDefault,
        };
        overlay.mount(&target).unwrap();
        protect(&target).unwrap();
        let refused = fs::write(target.join("file"), "").unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
        // As mount(8) does it for `remount,rw`.
        old_mount(None::<&str>, &target, None::<&str>, MsFlags::MS_REMOUNT, None::<&str>).unwrap();
        fs::write(target.join("file"), "").unwrap();
    });
}

/// A layer has programs that a layer above replaces or takes away, with their set-user-id bits: nobody may run them there.
#[test]
fn programs_run_in_the_stack_and_not_in_its_layers() {
    in_namespace(|folder| {
        let tree = folder.join("one.tree");
        let image = make_image(folder, "zero", &[("other", "")]);
        fs::create_dir(&tree).unwrap();
        fs::write(tree.join("program"), "#!/bin/sh\nexit 0\n").unwrap();
        fs::set_permissions(tree.join("program"), fs::Permissions::from_mode(0o4755)).unwrap();
        let one = folder.join("one.sqfs");
        let made = Command::new("mksquashfs").arg(&tree).arg(&one).args(["-quiet", "-no-progress"]).status();
        assert!(made.unwrap().success());
        let layer = mount_image(&one, folder, "1");
        let other = mount_image(&image, folder, "0");
        let hardened = StatVfsMountFlags::NOSUID | StatVfsMountFlags::NODEV | StatVfsMountFlags::NOEXEC;
        let flags = |path: &Path| statvfs(path).unwrap().f_flag;
        assert!(flags(&layer).contains(hardened | StatVfsMountFlags::RDONLY));
        let refused = Command::new(layer.join("program")).status().unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
        let stacks = [
            ("single", vec![layer.clone()], None),
            ("double", vec![other.clone(), layer.clone()], None),
            ("topped", vec![other, layer], Some(writable(folder))),
        ];
        for (name, lower, upper) in stacks {
            let root = folder.join(name);
            fs::create_dir(&root).unwrap();
            let writable = upper.is_some();
            Overlay { lower, upper, userxattr: false, features: Features::KernelDefault }
                .mount(&root)
                .unwrap();
            assert!(!flags(&root).intersects(hardened), "{name}");
            assert_eq!(flags(&root).contains(StatVfsMountFlags::RDONLY), !writable, "{name}");
            assert!(Command::new(root.join("program")).status().unwrap().success(), "{name}");
        }
    });
}

#[test]
fn without_a_top_nothing_can_be_written() {
    in_namespace(|folder| {
        let one = make_image(folder, "one", &[("a", "a")]);
        let two = make_image(folder, "two", &[("b", "b")]);
        let lower = vec![mount_image(&one, folder, "1"), mount_image(&two, folder, "2")];
        for (name, lower) in [("single", lower[..1].to_vec()), ("double", lower)] {
            let root = folder.join(name);
            fs::create_dir(&root).unwrap();
            Overlay { lower, upper: None, userxattr: false, features: Features::KernelDefault }
                .mount(&root)
                .unwrap();
            assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "a");
            let error = fs::write(root.join("new"), "").unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
        }
    });
}

/// As many layers as the kernel joins, with names far longer than 255 bytes and with the separators of the option string in
/// them; each has a file `top` with its number.
fn most_layers(folder: &Path) -> Vec<PathBuf> {
    let deep = folder.join(format!("a:b,c\\{}", "x".repeat(200))).join("y".repeat(100));
    fs::create_dir_all(&deep).unwrap();
    let lower: Vec<PathBuf> = (0..500).map(|number| deep.join(number.to_string())).collect();
    for (number, layer) in lower.iter().enumerate() {
        fs::create_dir(layer).unwrap();
        fs::write(layer.join("top"), number.to_string()).unwrap();
    }
    lower
}

fn make_folder(folder: &Path, name: &str) -> PathBuf {
    let made = folder.join(name);
    fs::create_dir(&made).unwrap();
    made
}

/// What the kernel says about the overlay at `root`, in `/proc/mounts`.
fn overlay_options(root: &Path) -> String {
    let mounts = fs::read_to_string("/proc/thread-self/mounts").unwrap();
    let place = format!(" {} overlay ", root.display());
    mounts.lines().find(|line| line.contains(&place)).unwrap().to_owned()
}

#[test]
fn the_most_layers_the_kernel_joins() {
    in_namespace(|folder| {
        let lower = most_layers(folder);
        let root = make_folder(folder, "root");
        let features = Features::KernelDefault;
        Overlay { lower, upper: None, userxattr: false, features }.mount(&root).unwrap();
        assert_eq!(fs::read_to_string(root.join("top")).unwrap(), "499");
    });
}

#[test]
fn every_way_to_tell_the_layers_gives_the_same_root() {
    let release = nix::sys::utsname::uname().unwrap().release().to_string_lossy().into_owned();
    for rung in [Rung::OptionString, Rung::Names, Rung::Descriptors] {
        if rung > Rung::best_of(&release) {
            println!("Linux {release} does not have {rung:?}: a machine in a VM test does");
            continue;
        }
        in_namespace(move |folder| {
            let lower = most_layers(folder);
            for (name, features) in [("default", Features::KernelDefault), ("off", Features::AllOff)] {
                let work_folder = make_folder(folder, name);
                let root = make_folder(&work_folder, "root");
                let upper = Some(writable(&work_folder));
                let overlay = Overlay { lower: lower.clone(), upper, userxattr: false, features };
                overlay.mount_on(rung, &root).unwrap();
                assert_eq!(fs::read_to_string(root.join("top")).unwrap(), "499");
                fs::write(root.join("new"), "new").unwrap();
                assert_eq!(fs::read_to_string(work_folder.join("upper/new")).unwrap(), "new");
            }
        });
    }
}

/// The kernel prints what differs from its default, so that each option is put to the proof by its contrary.
#[test]
fn features_that_are_off_are_off_whatever_the_kernel_was_built_with() {
    in_namespace(|folder| {
        let [low, high] = ["low", "high"].map(|name| make_folder(folder, name));
        fs::create_dir(low.join("shared")).unwrap();
        fs::write(low.join("shared/file"), "low").unwrap();
        let root = make_folder(folder, "root");
        let upper = Some(writable(folder));
        Overlay { lower: vec![low, high], upper, userxattr: false, features: Features::AllOff }
            .mount(&root)
            .unwrap();
        let options = overlay_options(&root);
        for on in
            ["redirect_dir=on", "redirect_dir=follow", "index=on", "metacopy=on", "xino=on", "xino=auto"]
        {
            assert!(!options.contains(on), "{options}");
        }
        // A redirect would let the folder be renamed without being copied.
        let refused = fs::rename(root.join("shared"), root.join("renamed")).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(nix::libc::EXDEV));
    });
}

#[test]
fn loop_devices_are_free_again_when_their_last_user_is_gone() {
    in_namespace(|folder| {
        // A name that no other test uses: the number of the device may be theirs a moment later.
        let image = make_image(folder, "freed", &[("a", "a")]);
        let device = attach_with(&OpenImage::open(&image).unwrap(), Caching::Direct).unwrap();
        let backing =
            Path::new("/sys/block").join(device.path().file_name().unwrap()).join("loop/backing_file");
        assert!(fs::read_to_string(&backing).unwrap().trim_end().ends_with("freed.sqfs"));
        let target = folder.join("mounted");
        fs::create_dir(&target).unwrap();
        let layer = mount::layer(ImageKind::Squashfs, &Backing::Loop(&device), &image).unwrap();
        layer.show_at(&target).unwrap();
        drop(layer);
        drop(device);
        assert!(target.join("a").exists());
        rustix::mount::unmount(&target, rustix::mount::UnmountFlags::empty()).unwrap();
        let still_ours =
            fs::read_to_string(&backing).is_ok_and(|text| text.trim_end().ends_with("freed.sqfs"));
        assert!(!still_ours, "{} is still attached", backing.display());
    });
}

#[test]
fn many_threads_attach_without_taking_each_others_device() {
    in_namespace(|folder| {
        let image = make_image(folder, "one", &[("a", "a")]);
        let devices: Vec<_> = std::thread::scope(|scope| {
            let attach_some =
                || (0..8).map(|_| attach(&OpenImage::open(&image).unwrap()).unwrap()).collect::<Vec<_>>();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(attach_some)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        let mut paths: Vec<_> = devices.iter().map(|device| device.path().to_owned()).collect();
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), 32);
    });
}

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
fn a_layer_is_mounted_before_it_is_shown_anywhere() {
    in_namespace(|folder| {
        let squashfs_image = make_image(folder, "one", &[("a", "squashfs")]);
        let erofs_image = make_erofs_image(folder, "two", &[("a", "erofs")]);
        for (name, path, kind) in
            [("s", squashfs_image, ImageKind::Squashfs), ("e", erofs_image, ImageKind::Erofs)]
        {
            let image = OpenImage::open(&path).unwrap();
            assert_eq!(image.file_system().unwrap(), kind);
            let device = attach(&image).unwrap();
            let layer = mount::layer(kind, &Backing::Loop(&device), &path).unwrap();
            drop((device, image));
            let target = make_folder(folder, name);
            layer.show_at(&target).unwrap();
            drop(layer);
            assert_eq!(fs::read_to_string(target.join("a")).unwrap(), kind.driver());
            let refused = fs::write(target.join("b"), "").unwrap_err();
            assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
        }
    });
}

#[test]
fn an_erofs_image_needs_no_device_and_a_squashfs_says_that_it_does() {
    // Not on the tmpfs: its files cannot be mounted so.
    let disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    in_namespace(move |folder| {
        let files = [("a", "a")];
        let erofs_image = make_erofs_image(disk.path(), "e", &files);
        let squashfs_image = make_image(disk.path(), "s", &files);
        let try_file =
            |kind, path: &Path| mount::layer(kind, &Backing::File(&OpenImage::open(path).unwrap()), path);
        let error = try_file(ImageKind::Squashfs, &squashfs_image).unwrap_err();
        assert!(error.is_unsupported(), "{error}: {}", error.why());
        match try_file(ImageKind::Erofs, &erofs_image) {
            Ok(layer) => {
                let target = make_folder(folder, "shown");
                layer.show_at(&target).unwrap();
                assert_eq!(fs::read_to_string(target.join("a")).unwrap(), "a");
                let error = try_file(ImageKind::Erofs, &squashfs_image).unwrap_err();
                assert!(!error.is_unsupported(), "a file that is no EROFS: {}", error.why());
            }
            // A kernel before 6.12, or one without CONFIG_EROFS_FS_BACKED_BY_FILE; a machine in a VM test has it.
            Err(error) => assert!(error.is_unsupported(), "{error}: {}", error.why()),
        }
        let on_tmpfs = make_erofs_image(folder, "e", &files);
        let error = try_file(ImageKind::Erofs, &on_tmpfs).unwrap_err();
        assert!(error.is_unsupported(), "{error}: {}", error.why());
    });
}

#[test]
fn a_mount_changes_to_writable_and_back_and_keeps_its_other_flags() {
    in_namespace(|folder| {
        let target = make_folder(folder, "medium");
        let disk = folder.join("disk");
        fs::File::create(&disk).unwrap().set_len(16 << 20).unwrap();
        let made = Command::new("mkfs.ext4").arg("-q").arg(&disk).status();
        assert!(made.expect("install e2fsprogs").success());
        let device = attach_for_writing(&disk);
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
        let mut losetup = Command::new("losetup");
        assert!(losetup.arg("-d").arg(&device).status().unwrap().success());
    });
}

/// `losetup` of the machine: ours only attaches for reading.
fn attach_for_writing(disk: &Path) -> PathBuf {
    let output = Command::new("losetup").args(["-f", "--show"]).arg(disk).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// An EROFS image with the given files, made by Debian's erofs-utils.
fn make_erofs_image(folder: &Path, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let tree = make_folder(folder, &format!("{name}.tree"));
    for (path, content) in files {
        fs::write(tree.join(path), content).unwrap();
    }
    let image = folder.join(format!("{name}.erofs"));
    let made = Command::new("mkfs.erofs").arg("--quiet").arg(&image).arg(&tree).status();
    assert!(made.expect("install erofs-utils").success());
    image
}
