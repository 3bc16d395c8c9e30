//! Kernels whose files have names that no kernel's have: what is said names the package and its file, and no place where things are made.

mod kernel;
mod program;
#[allow(dead_code, reason = "other tests look at records")]
mod record;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use program::{lamina, told};

const RELEASE: &str = "6.1.0-test";

/// What the import of the folder `kernel` says, and that of a package with the same files.
fn refused(shop: &Path) -> [String; 2] {
    let control = shop.join("kernel/DEBIAN");
    fs::create_dir_all(&control).unwrap();
    let text = "Package: k\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: k\n";
    fs::write(control.join("control"), text).unwrap();
    let mut build = Command::new("dpkg-deb");
    build.args(["--build", "kernel", "k.deb"]).current_dir(shop).stdout(Stdio::null());
    assert!(build.status().unwrap().success());
    fs::remove_dir_all(control).unwrap();
    ["kernel", "k.deb"].map(|source| {
        let output = lamina(shop, &["kernel", "import", source, "--name", "linux-test"]);
        let said = told(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("\nhelp: ") && !said.contains("store/tmp"), "{said}");
        assert!(!shop.join("store/kernels").exists(), "{said}");
        said.replace("lamina: ", "")
    })
}

#[test]
fn a_name_that_no_kernel_has_is_told_with_the_package() {
    let shop = tempfile::tempdir().unwrap();
    let modules = format!("lib/modules/{RELEASE}");
    let long = format!("{modules}/{}", ["x"; 8].map(|it| it.repeat(200)).join("/"));
    for (path, why) in [
        (format!("{modules}/kernel/a b.ko"), "has a name that no file of a kernel has"),
        (format!("{modules}/kernel/a\u{1b}b.ko"), "has a name that no file of a kernel has"),
        ("lib/firmware/a\tb".to_owned(), "has a name that no file of a kernel has"),
        (format!("{modules}/modules.dep/x"), "cannot lie in modules.dep of the modules, which is a file"),
        (format!("{modules}/modules.order/x"), "cannot lie in modules.order of the modules, which is a file"),
        (format!("{modules}/kernel/lib/low.ko"), "is there twice: another file becomes usr/lib/modules/"),
        (long, "is longer than a file of a kernel is called: 255 bytes of a name and 1024 of its path"),
    ] {
        let _ = fs::remove_dir_all(shop.path().join("kernel"));
        kernel::folder(&shop.path().join("kernel"), RELEASE);
        let place = shop.path().join("kernel").join(&path);
        if path.ends_with("low.ko") {
            // The one that is there is compressed, and comes behind it.
            fs::write(&place, "x").unwrap();
        } else {
            let _ = fs::remove_file(place.parent().unwrap());
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(&place, "x").unwrap();
        }
        for (source, said) in ["kernel", "k.deb"].iter().zip(refused(shop.path())) {
            let object = path.replace("low.ko", "low.ko.xz").escape_debug().to_string();
            assert!(said.contains(&format!("{source}: {object}: {why}")), "{said}");
        }
    }
}

#[test]
fn a_release_that_depmod_does_not_take_is_told_as_the_release() {
    for (release, why) in [
        ("site", "its release 'site': it begins with no two numbers"),
        ("6.x", "its release '6.x': it begins with no two numbers"),
        ("6.1 x", "its release '6.1 x': the name holds ' '"),
    ] {
        let shop = tempfile::tempdir().unwrap();
        kernel::folder(&shop.path().join("kernel"), release);
        let [folder, package] = refused(shop.path());
        assert!(folder.contains(&format!("kernel: {why}")) && package.contains(&format!("k.deb: {why}")));
        assert!(!folder.contains("depmod"), "{folder}");
    }
}

#[test]
fn what_depmod_refuses_is_told_with_the_package_and_its_file() {
    let shop = tempfile::tempdir().unwrap();
    kernel::folder(&shop.path().join("kernel"), RELEASE);
    let folder = shop.path().join(format!("kernel/lib/modules/{RELEASE}/kernel/lib"));
    fs::write(folder.join("one.ko"), kernel::module("one", "one_symbol", Some("two_symbol"))).unwrap();
    fs::write(folder.join("two.ko"), kernel::module("two", "two_symbol", Some("one_symbol"))).unwrap();
    let [folder, package] = refused(shop.path());
    assert!(folder.contains("kernel: depmod: exit status: 1: depmod: ERROR: "), "{folder}");
    assert!(package.contains("k.deb: depmod: "), "{package}");
}
