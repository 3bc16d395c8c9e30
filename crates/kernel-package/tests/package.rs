//! Kernels read from a Debian package (made by dpkg-deb) and from the folder where it was unpacked.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use kernel_package::{KernelPackage, Opening};

const RELEASE: &str = "6.1.0-1-sample";

#[test]
fn a_package_and_its_unpacked_folder_are_the_same_kernel() {
    let folder = tempfile::tempdir().unwrap();
    let tree = make_kernel(folder.path(), &format!("lib/modules/{RELEASE}"));
    let package = folder.path().join("kernel.deb");
    build_package(&tree, &package);
    for path in [&package, &tree] {
        let kernel = KernelPackage::open(path).unwrap();
        assert_eq!(kernel.release(), RELEASE);
        assert_eq!(kernel.vmlinuz().unwrap(), b"the kernel");
        assert!(kernel.config_text().unwrap().starts_with("CONFIG_BLK_DEV_LOOP=m\n"));
        let names: Vec<&str> = kernel.modules().iter().map(|module| module.name.as_str()).collect();
        assert_eq!(names, ["loop", "sha256_ssse3", "squashfs"]);
        let loop_module = kernel.module("loop").unwrap();
        assert_eq!(loop_module.path, "kernel/drivers/block/loop.ko");
        assert_eq!(kernel.module_bytes(loop_module).unwrap(), b"\x7fELF loop");
        assert_eq!(kernel.module_bytes(kernel.module("squashfs").unwrap()).unwrap(), b"\x7fELF squashfs");
        assert_eq!(kernel.module("sha256-ssse3"), kernel.module("sha256_ssse3"));
        assert_eq!(kernel.builtin(), ["kernel/fs/ext4/ext4.ko", "kernel/crypto/sha256-generic.ko"]);
        assert!(kernel.is_builtin("sha256_generic") && !kernel.is_builtin("loop"));
    }
}

#[test]
fn modules_under_usr_are_found_once_though_lib_is_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let tree = make_kernel(folder.path(), &format!("usr/lib/modules/{RELEASE}"));
    symlink("usr/lib", tree.join("lib")).unwrap();
    let kernel = KernelPackage::open(&tree).unwrap();
    assert_eq!((kernel.release(), kernel.modules().len(), kernel.builtin().len()), (RELEASE, 3, 2));
}

#[test]
fn what_holds_no_kernel_says_what_was_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let message = |path: &Path| KernelPackage::open(path).unwrap_err().to_string();
    assert!(message(folder.path()).contains("it holds no kernel: neither boot/vmlinuz-RELEASE nor"));

    let tree = make_kernel(folder.path(), &format!("lib/modules/{RELEASE}"));
    fs::write(tree.join("boot/vmlinuz-6.2-other"), b"").unwrap();
    assert!(message(&tree).contains(&format!("several kernels: {RELEASE}, 6.2-other")), "{}", message(&tree));

    fs::remove_file(tree.join("boot/vmlinuz-6.2-other")).unwrap();
    fs::remove_file(tree.join(format!("boot/vmlinuz-{RELEASE}"))).unwrap();
    let error = KernelPackage::open(&tree).unwrap().vmlinuz().unwrap_err().to_string();
    assert!(
        error.contains(&format!("it has no kernel image: looked for boot/vmlinuz-{RELEASE}, ")),
        "{error}"
    );

    let text = folder.path().join("notes");
    fs::write(&text, "hello\n").unwrap();
    assert!(message(&text).contains("does not begin with the ar magic"));
    assert!(message(&folder.path().join("gone")).contains("gone: opening"));
}

/// In a package and in a folder, empty or not.
#[test]
fn what_lies_in_the_place_of_a_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let modules = format!("lib/modules/{RELEASE}");
    let tree = make_kernel(folder.path(), &modules);
    let package = folder.path().join("kernel.deb");
    let (image, config) = (format!("boot/vmlinuz-{RELEASE}"), format!("boot/config-{RELEASE}"));
    for place in [&image, &config] {
        fs::remove_file(tree.join(place)).unwrap();
        fs::create_dir(tree.join(place)).unwrap();
    }
    for full in [false, true] {
        if full {
            [&image, &config].iter().for_each(|place| fs::write(tree.join(place).join("x"), "x").unwrap());
        }
        build_package(&tree, &package);
        for path in [&tree, &package] {
            let kernel = KernelPackage::open(path).unwrap();
            let (vmlinuz, text) = (kernel.vmlinuz().unwrap_err(), kernel.config_text().unwrap_err());
            let meant = format!("{}: it has no kernel image: {image} is a folder\nhelp: ", path.display());
            assert!(vmlinuz.to_string().starts_with(&meant), "{vmlinuz}");
            assert!(text.to_string().contains(&format!("it has no config: {config} is a folder")), "{text}");
        }
    }
    fs::remove_dir_all(tree.join(&image)).unwrap();
    symlink("gone", tree.join(&image)).unwrap();
    let error = KernelPackage::open(&tree).unwrap().vmlinuz().unwrap_err().to_string();
    assert!(error.contains(&format!("{image} leads to gone, which is not there")), "{error}");
    let builtin = tree.join(&modules).join("modules.builtin");
    fs::remove_file(&builtin).unwrap();
    fs::create_dir(&builtin).unwrap();
    let error = KernelPackage::open(&tree).unwrap_err().to_string();
    assert!(error.contains(&format!("{modules}/modules.builtin is a folder")), "{error}");
    // All that is left of a kernel.
    fs::remove_dir_all(tree.join("lib")).unwrap();
    fs::remove_file(tree.join(&image)).unwrap();
    fs::create_dir(tree.join(&image)).unwrap();
    let error = KernelPackage::open(&tree).unwrap_err().to_string();
    assert!(error.contains("it holds no kernel: ") && error.contains(&format!("; {image} is a folder")));
}

/// Firmware as distributions have it: second names, folders with two names, an alternative, and what leads out of the root or nowhere.
#[test]
fn links_of_firmware_stay_links_and_none_leads_out() {
    let folder = tempfile::tempdir().unwrap();
    let tree = make_kernel(folder.path(), &format!("usr/lib/modules/{RELEASE}"));
    fs::write(folder.path().join("outside"), "of this machine").unwrap();
    let firmware = tree.join("usr/lib/firmware");
    fs::create_dir_all(firmware.join("new")).unwrap();
    fs::create_dir_all(tree.join("etc/alternatives")).unwrap();
    fs::create_dir_all(tree.join("usr/share")).unwrap();
    fs::write(firmware.join("new/card.bin"), "card").unwrap();
    fs::write(firmware.join("db-debian"), "db").unwrap();
    fs::write(tree.join("usr/share/blob"), "blob").unwrap();
    fs::hard_link(firmware.join("new/card.bin"), firmware.join("second.bin")).unwrap();
    for (name, target) in [
        ("old", "new"),
        ("card.bin", "old/card.bin"),
        ("db", "/etc/alternatives/db"),
        ("blob", "../../share/blob"),
        ("circle", "circle"),
        ("out", "../../../../outside"),
        ("host", "/proc/version"),
        ("far", "../../share"),
    ] {
        symlink(target, firmware.join(name)).unwrap();
    }
    symlink("/usr/lib/firmware/db-debian", tree.join("etc/alternatives/db")).unwrap();
    let package = folder.path().join("kernel.deb");
    build_package(&tree, &package);
    // In a folder `lib` is a link on systems with one /usr, absolute ones too.
    symlink("/usr/lib", tree.join("lib")).unwrap();
    for (path, root) in [(&package, "usr/lib/firmware"), (&tree, "lib/firmware")] {
        let kernel = KernelPackage::open(path).unwrap();
        assert_eq!(kernel.release(), RELEASE);
        let inside = |name: &str| format!("{root}/{name}");
        let links: Vec<(String, String)> =
            kernel.links().map(|(path, to)| (path.to_owned(), to.to_owned())).collect();
        let expected = [("card.bin", "new/card.bin"), ("db", "db-debian"), ("old", "new")];
        assert_eq!(links, expected.map(|(path, to)| (inside(path), inside(to))));
        for (name, bytes) in [("new/card.bin", "card"), ("second.bin", "card"), ("blob", "blob")] {
            assert_eq!(kernel.read(&inside(name)).unwrap(), bytes.as_bytes(), "{name}");
        }
        let left_out: Vec<&str> = kernel.left_out().map(|(path, _)| path).collect();
        let names = ["circle", "far", "host", "out"].map(inside);
        assert_eq!(
            left_out.iter().filter(|it| it.starts_with(root)).collect::<Vec<_>>(),
            names.iter().collect::<Vec<_>>()
        );
        let why =
            |name: &str| kernel.left_out().find(|(path, _)| *path == inside(name)).unwrap().1.to_owned();
        assert_eq!(why("out"), "leads to ../../../../outside, which is not there");
        assert_eq!(why("far"), "leads to the folder usr/share");
    }
}

/// Where `boot` has a second name for its kernel, or the kernel lies beside its modules.
#[test]
fn a_link_is_the_kernel_and_no_second_kernel() {
    let folder = tempfile::tempdir().unwrap();
    let tree = make_kernel(folder.path(), &format!("lib/modules/{RELEASE}"));
    symlink(format!("vmlinuz-{RELEASE}"), tree.join("boot/vmlinuz-old")).unwrap();
    let kernel = tree.join("boot").join(format!("vmlinuz-{RELEASE}"));
    fs::rename(&kernel, tree.join("lib/modules").join(RELEASE).join("vmlinuz")).unwrap();
    symlink(format!("../lib/modules/{RELEASE}/vmlinuz"), &kernel).unwrap();
    let kernel = KernelPackage::open(&tree).unwrap();
    assert_eq!((kernel.release(), kernel.vmlinuz().unwrap()), (RELEASE, b"the kernel".to_vec()));
}

/// As on a machine where kernels are installed.
#[test]
fn one_of_several_kernels_is_chosen_by_its_release_or_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let tree = make_kernel(folder.path(), &format!("usr/lib/modules/{RELEASE}"));
    make_kernel_of(folder.path(), "usr/lib/modules/6.2-other", "6.2-other");
    symlink("usr/lib", tree.join("lib")).unwrap();
    let error = KernelPackage::open(&tree).unwrap_err().to_string();
    let several =
        format!("{}: it holds several kernels: {RELEASE}, 6.2-other\nhelp: choose one: ", tree.display());
    assert!(error.starts_with(&several), "{error}");
    let of = |release| Opening { release: Some(release), cache: None }.open(&tree);
    let by_folder = |path: &str| KernelPackage::open(&tree.join(path)).unwrap();
    for release in [RELEASE, "6.2-other"] {
        for kernel in [
            of(release).unwrap(),
            by_folder(&format!("lib/modules/{release}")),
            by_folder(&format!("usr/lib/modules/{release}")),
        ] {
            assert_eq!((kernel.release(), kernel.modules().len()), (release, 3));
            assert!(kernel.config_text().unwrap().contains("CONFIG_OVERLAY_FS=m"));
            assert!(
                kernel.paths().all(|path| path.contains(release)),
                "{:?}",
                kernel.paths().collect::<Vec<_>>()
            );
        }
    }
    for folder in ["lib/modules", "usr/lib/modules"].map(|folder| tree.join(folder)) {
        let error = KernelPackage::open(&folder).unwrap_err().to_string();
        assert!(error.contains(&format!("it holds several kernels: {RELEASE}, 6.2-other")), "{error}");
        let chosen = Opening { release: Some("6.2-other"), cache: None }.open(&folder).unwrap();
        assert_eq!(chosen.release(), "6.2-other");
    }
    let error = of("6.3").unwrap_err().to_string();
    let none = format!("it holds no kernel 6.3; there is: {RELEASE}, 6.2-other\nhelp: name a release");
    assert!(error.contains(&none), "{error}");
    let error = Opening { release: Some("6.3"), cache: None }.open(&tree.join("lib/modules/6.2-other"));
    assert!(error.unwrap_err().to_string().contains("it holds no kernel 6.3; there is: 6.2-other"));
}

#[test]
fn two_folders_of_one_release_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let tree = make_kernel(folder.path(), &format!("lib/modules/{RELEASE}"));
    make_kernel(folder.path(), &format!("usr/lib/modules/{RELEASE}"));
    let error = KernelPackage::open(&tree).unwrap_err().to_string();
    let twice = format!(
        "it holds the kernel {RELEASE} twice: lib/modules/{RELEASE} and usr/lib/modules/{RELEASE}\nhelp: remove one"
    );
    assert!(error.contains(&twice), "{error}");
}

/// As depmod(8) chooses: a module that was built on this machine goes before the kernel's own.
#[test]
fn of_two_modules_with_one_name_the_update_counts() {
    let folder = tempfile::tempdir().unwrap();
    let modules = format!("lib/modules/{RELEASE}");
    let tree = make_kernel(folder.path(), &modules);
    fs::create_dir_all(tree.join(&modules).join("updates/dkms")).unwrap();
    fs::write(tree.join(&modules).join("updates/dkms/loop.ko"), "newer").unwrap();
    let kernel = KernelPackage::open(&tree).unwrap();
    assert_eq!(kernel.module("loop").unwrap().path, "updates/dkms/loop.ko");
}

#[test]
fn a_module_that_only_modules_dep_has_is_known_as_missing() {
    let folder = tempfile::tempdir().unwrap();
    let modules = format!("lib/modules/{RELEASE}");
    let tree = make_kernel(folder.path(), &modules);
    let kernel = KernelPackage::open(&tree).unwrap();
    assert_eq!((kernel.promised("9pnet-rdma"), kernel.newer_than("modules.dep")), (None, None));
    let index = tree.join(&modules).join("modules.dep");
    fs::write(&index, "kernel/net/9p/9pnet-rdma.ko.xz: kernel/net/9p/9pnet.ko.xz\n").unwrap();
    let kernel = KernelPackage::open(&tree).unwrap();
    assert_eq!(kernel.promised("9pnet-rdma").unwrap(), "kernel/net/9p/9pnet-rdma.ko.xz");
    assert_eq!(kernel.promised("9pnet"), None, "what is needed is not what is promised");
    assert_eq!(kernel.newer_than("modules.dep"), None);
    let old = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
    fs::File::open(&index).unwrap().set_times(old).unwrap();
    assert!(KernelPackage::open(&tree).unwrap().newer_than("modules.dep").is_some());
}

#[test]
fn modules_of_every_compression_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let modules = format!("lib/modules/{RELEASE}");
    let tree = make_kernel(folder.path(), &modules);
    let at = |name: &str| tree.join(&modules).join("kernel").join(name);
    for (program, ending) in [("gzip", "gz"), ("xz", "xz"), ("zstd", "zst")] {
        fs::write(at("it.ko"), ending).unwrap();
        let packed = Command::new(program).args(["-q", "-c"]).arg(at("it.ko")).output().unwrap();
        fs::remove_file(at("it.ko")).unwrap();
        fs::write(at(&format!("{ending}.ko.{ending}")), packed.stdout).unwrap();
    }
    let kernel = KernelPackage::open(&tree).unwrap();
    for name in ["gz", "xz", "zst"] {
        assert_eq!(kernel.module_bytes(kernel.module(name).unwrap()).unwrap(), name.as_bytes());
    }
    fs::write(at("xz.ko.xz"), "no xz").unwrap();
    let kernel = KernelPackage::open(&tree).unwrap();
    let error = kernel.module_bytes(kernel.module("xz").unwrap()).unwrap_err().to_string();
    assert!(error.contains("reading the module lib/modules/6.1.0-1-sample/kernel/xz.ko.xz: "), "{error}");
    assert!(error.contains("help: the kernel is damaged"), "{error}");
}

/// The second time, what was read the first time needs no unpacking: here nothing that could be unpacked is there any more.
#[test]
fn what_was_read_of_a_package_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let tree = make_kernel(folder.path(), &format!("lib/modules/{RELEASE}"));
    let (package, cache) = (folder.path().join("kernel.deb"), folder.path().join("cache"));
    build_package(&tree, &package);
    let open = || Opening { release: None, cache: Some(&cache) }.open(&package).unwrap();
    let squashfs = |kernel: &KernelPackage| kernel.module_bytes(kernel.module("squashfs").unwrap()).unwrap();
    let first = open();
    let (paths, bytes) = (first.paths().map(str::to_owned).collect::<Vec<_>>(), squashfs(&first));
    first.keep().unwrap();
    let kept: Vec<PathBuf> = fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path()).collect();
    let length = fs::metadata(&kept[0]).unwrap().len();
    let second = open();
    fs::rename(&package, folder.path().join("gone")).unwrap();
    assert_eq!(
        (second.paths().collect::<Vec<_>>(), squashfs(&second)),
        (paths.iter().map(String::as_str).collect(), bytes)
    );
    let loop_module = second.module("loop").unwrap();
    assert!(second.module_bytes(loop_module).is_err(), "this one was not read the first time");
    fs::rename(folder.path().join("gone"), &package).unwrap();
    assert_eq!(second.module_bytes(loop_module).unwrap(), b"\x7fELF loop");
    second.keep().unwrap();
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 1);
    assert!(fs::metadata(&kept[0]).unwrap().len() > length);
    // A cache that was damaged is as good as none.
    fs::write(&kept[0], "rubbish").unwrap();
    assert_eq!(squashfs(&open()), b"\x7fELF squashfs");
}

fn make_kernel(folder: &Path, modules: &str) -> PathBuf {
    make_kernel_of(folder, modules, RELEASE)
}

fn make_kernel_of(folder: &Path, modules: &str, release: &str) -> PathBuf {
    let tree = folder.join("tree");
    let write = |path: String, bytes: &[u8]| {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    write(
        "DEBIAN/control".into(),
        b"Package: kernel\nVersion: 1\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: x\n",
    );
    write(format!("boot/vmlinuz-{release}"), b"the kernel");
    write(format!("boot/config-{release}"), b"CONFIG_BLK_DEV_LOOP=m\nCONFIG_OVERLAY_FS=m\n");
    write(format!("{modules}/modules.builtin"), b"kernel/fs/ext4/ext4.ko\nkernel/crypto/sha256-generic.ko\n");
    write(format!("{modules}/kernel/drivers/block/loop.ko"), b"\x7fELF loop");
    write(format!("{modules}/kernel/crypto/sha256-ssse3.ko"), b"\x7fELF sha");
    write(
        format!("{modules}/kernel/fs/squashfs.ko.zst"),
        &zstd::encode_all(&b"\x7fELF squashfs"[..], 1).unwrap(),
    );
    // Headers packages put links to source trees there; they lead anywhere.
    symlink("/", tree.join(modules).join("build")).unwrap();
    tree
}

fn build_package(tree: &Path, package: &Path) {
    let status = Command::new("dpkg-deb")
        .args(["--root-owner-group", "-Zxz", "--build"])
        .args([tree, package])
        .stdout(std::process::Stdio::null())
        .status()
        .expect("dpkg-deb makes the package of this test: apt-get install dpkg");
    assert!(status.success());
}
