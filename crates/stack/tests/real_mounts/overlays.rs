//! Layers joined by overlayfs.

use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use block_probe::image_kind::ImageKind;
use nix::mount::{MsFlags, mount as old_mount};
use rustix::fs::{StatVfsMountFlags, statvfs};
use stack::image::OpenImage;
use stack::loop_device::attach;
use stack::mount::{self, Backing, MountedLayer, protect};
use stack::overlay::{Features, Overlay, Rung};

use super::{in_namespace, make_folder, make_image, mount_image, writable};

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

/// As the sandbox of a build does it, which may not search the folders above.
#[test]
fn a_target_may_be_named_by_its_descriptor() {
    let release = nix::sys::utsname::uname().unwrap().release().to_string_lossy().into_owned();
    in_namespace(move |folder| {
        let lower = vec![make_folder(folder, "lower")];
        let root = make_folder(folder, "root");
        let overlay =
            Overlay { lower, upper: Some(writable(folder)), userxattr: false, features: Features::default() };
        let open = fs::File::open(&root).unwrap();
        let target = format!("/proc/self/fd/{}", open.as_raw_fd());
        overlay.mount_on(Rung::best_of(&release), Path::new(&target)).unwrap();
        fs::write(root.join("new"), "").unwrap();
        assert!(folder.join("upper/new").exists());
    });
}

/// As init does it. The places that stand for the layers are not there: whoever asked for a name would fail.
#[test]
fn layers_are_told_by_the_descriptors_of_their_mounts() {
    let release = nix::sys::utsname::uname().unwrap().release().to_string_lossy().into_owned();
    if Rung::best_of(&release) < Rung::Descriptors {
        println!(
            "Linux {release} takes no descriptors: the stories of virtual machines are about such kernels"
        );
        return;
    }
    in_namespace(|folder| {
        let mounted: Vec<MountedLayer> = ["low", "high"]
            .iter()
            .map(|name| {
                let image = make_image(folder, name, &[("who", name), (name, name)]);
                let device = attach(&OpenImage::open(&image).unwrap()).unwrap();
                mount::layer(ImageKind::Squashfs, &Backing::Loop(&device), &image).unwrap()
            })
            .collect();
        let mounts: Vec<_> = mounted.iter().map(AsFd::as_fd).collect();
        let lower = ["low", "high"].map(|name| folder.join("nowhere").join(name)).to_vec();
        let (root, upper) = (make_folder(folder, "root"), Some(writable(folder)));
        let overlay = Overlay { lower, upper, userxattr: false, features: Features::KernelDefault };
        overlay.mount_open(&mounts, &root).unwrap();
        let read = |name| fs::read_to_string(root.join(name)).unwrap();
        assert_eq!([read("who"), read("low"), read("high")], ["high", "low", "high"]);
        drop(mounted);
        fs::write(root.join("low"), "changed").unwrap();
        assert_eq!(read("low"), "changed");
        // By their names they cannot be had.
        let other = make_folder(folder, "other");
        assert!(overlay.mount(&other).is_err());
    });
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
