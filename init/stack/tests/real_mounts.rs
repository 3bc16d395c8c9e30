//! Real loop devices, real squashfs, real overlays, on the kernel of this machine, in a mount namespace of their own.
//!
//! They need root and `mksquashfs`; without them they fail and say so.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use stack::image::OpenImage;
use stack::loop_device::{Caching, attach, attach_with};
use stack::mount::{Attributes, Filesystem, detach, protect, squashfs};
use stack::overlay::{Overlay, Upper};

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
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
        mount(Some("test"), folder.path(), Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
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

fn mount_image(image: &Path, folder: &Path, name: &str) -> PathBuf {
    let target = folder.join(name);
    fs::create_dir(&target).unwrap();
    squashfs(&attach(&OpenImage::open(image).unwrap()).unwrap(), &target).unwrap();
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
        let overlay = Overlay { lower: lower.clone(), upper: Some(writable(folder)), userxattr: false };
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
        let overlay = Overlay { lower: vec![lower], upper: Some(writable(folder)), userxattr: false };
        overlay.mount(&target).unwrap();
        protect(&target).unwrap();
        let refused = fs::write(target.join("file"), "").unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
        // As mount(8) does it for `remount,rw`.
        mount(None::<&str>, &target, None::<&str>, MsFlags::MS_REMOUNT, None::<&str>).unwrap();
        fs::write(target.join("file"), "").unwrap();
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
            Overlay { lower, upper: None, userxattr: false }.mount(&root).unwrap();
            assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "a");
            let error = fs::write(root.join("new"), "").unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
        }
    });
}

#[test]
fn the_most_layers_the_kernel_joins() {
    in_namespace(|folder| {
        // Names far longer than 255 bytes in all, with the separators of the option string in them.
        let deep = folder.join(format!("a:b,c\\{}", "x".repeat(200))).join("y".repeat(100));
        fs::create_dir_all(&deep).unwrap();
        let lower: Vec<PathBuf> = (0..500).map(|number| deep.join(number.to_string())).collect();
        for (number, layer) in lower.iter().enumerate() {
            fs::create_dir(layer).unwrap();
            fs::write(layer.join("top"), number.to_string()).unwrap();
        }
        let root = folder.join("root");
        fs::create_dir(&root).unwrap();
        Overlay { lower, upper: None, userxattr: false }.mount(&root).unwrap();
        assert_eq!(fs::read_to_string(root.join("top")).unwrap(), "499");
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
        squashfs(&device, &target).unwrap();
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
        let device = attach(&OpenImage::open(&garbage).unwrap()).unwrap();
        let error = squashfs(&device, folder).unwrap_err();
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
fn superblocks_made_by_the_usual_tools_are_read_as_blkid_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str, command: &[&str]| {
        let path = folder.path().join(name);
        fs::File::create(&path).unwrap().set_len(16 << 20).unwrap();
        let made = Command::new(command[0]).args(&command[1..]).arg(&path).output();
        let made = made.unwrap_or_else(|_| panic!("install the package that has {}", command[0]));
        assert!(made.status.success(), "{}: {}", command[0], String::from_utf8_lossy(&made.stderr));
        stack::superblock::probe(&fs::File::open(&path).unwrap())
            .unwrap_or_else(|| panic!("{name} is unknown"))
    };
    let uuid = "6e2f3a10-0b7c-4d7e-9a51-2f7f1c9d8e01";
    let ext4 = make("a", &["mkfs.ext4", "-q", "-F", "-L", "store", "-U", uuid]);
    assert_eq!((ext4.kind, ext4.label.as_deref(), ext4.uuid.as_deref()), ("ext4", Some("store"), Some(uuid)));
    for bits in ["12", "16", "32"] {
        let vfat = make(bits, &["mkfs.vfat", "-F", bits, "-n", "STORE", "-i", "1234abcd"]);
        let read = (vfat.kind, vfat.label.as_deref(), vfat.uuid.as_deref());
        assert_eq!(read, ("vfat", Some("STORE"), Some("1234-ABCD")));
    }
}
