//! Names on the command line that are no files: a FIFO, a socket, a folder, a device. Each is refused at once, with object, cause and remedy.

mod program;
mod shop;

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use program::told;
use shop::shop;

/// As `program::lamina`, but what takes longer than this hangs.
const LONGEST: Duration = Duration::from_secs(60);

fn at_once(folder: &Path, arguments: &[&str]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lamina"))
        .args(arguments)
        .env("LAMINA_STORE", folder.join("store"))
        .env("LAMINA_CACHE", folder.join("cache"))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > LONGEST {
            child.kill().unwrap();
            panic!("{arguments:?} hangs: {}", told(&child.wait_with_output().unwrap()));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

fn refused(folder: &Path, arguments: &[&str], parts: &[&str]) {
    let output = at_once(folder, arguments);
    let said = told(&output);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
    for part in parts.iter().chain(&["\nhelp: "]) {
        assert!(said.contains(part), "{arguments:?}: {part}\nnot in: {said}");
    }
}

/// Each with the word for it.
fn strange(folder: &Path) -> Vec<(&'static str, &'static str)> {
    nix::unistd::mkfifo(&folder.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    drop(UnixListener::bind(folder.join("socket")).unwrap());
    fs::create_dir(folder.join("folder")).unwrap();
    symlink("fifo", folder.join("link")).unwrap();
    vec![
        ("fifo", "FIFO"),
        ("socket", "socket"),
        ("folder", "folder"),
        ("link", "FIFO"),
        ("/dev/zero", "device"),
    ]
}

#[test]
fn the_files_of_a_disk_are_files() {
    let shop = shop();
    let folder = shop.path();
    let disk = ["disk", "create", "x.img", "--profile", "web"];
    for (name, kind) in strange(folder) {
        let no_file = format!("{name}: is a {kind}, and no file");
        refused(folder, &[&disk[..], &["--kernel", "kernel", "--initramfs", name]].concat(), &[&no_file]);
        refused(folder, &[&disk[..], &["--kernel", "kernel", "--init", name]].concat(), &[&no_file]);
        let path = folder.join(name).display().to_string();
        let kernel = [&disk[..], &["--kernel", &path, "--initramfs", "initramfs"]].concat();
        refused(
            folder,
            &kernel,
            &[if kind == "folder" { "it holds no kernel" } else { "is neither a regular" }],
        );
        refused(folder, &["profile", "sign", "web", "--key", name], &[name]);
        refused(folder, &["profile", "verify", "web", "--public-key", name], &[name]);
        refused(folder, &["disk", "inspect", name], &[name]);
    }
    assert!(!folder.join("x.img").exists());
}

#[test]
fn what_is_too_large_or_empty_is_no_initramfs_and_no_kernel() {
    let shop = shop();
    let folder = shop.path();
    fs::write(folder.join("empty"), "").unwrap();
    File::create(folder.join("large")).unwrap().set_len(3 << 30).unwrap();
    let disk = ["disk", "create", "x.img", "--profile", "web"];
    let large = "large: has 3.0 GiB, and the limit is 2.0 GiB";
    for (name, cause) in [("empty", "empty: is empty"), ("large", large)] {
        refused(folder, &[&disk[..], &["--kernel", "kernel", "--initramfs", name]].concat(), &[cause]);
        refused(folder, &[&disk[..], &["--kernel", name, "--initramfs", "initramfs"]].concat(), &[cause]);
    }
}

/// Where a medium has a folder or a file of its own.
#[test]
fn what_is_strange_on_a_medium_has_a_remedy() {
    let shop = shop();
    let folder = shop.path();
    let create = ["medium", "create", "medium", "--profile", "web"];
    for (name, _) in strange(folder) {
        for inside in ["boot", "boot/a", "images", "profiles"] {
            let place = folder.join("medium").join(inside);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            symlink(folder.join(name), &place).unwrap();
            refused(folder, &create, &[inside]);
            fs::remove_dir_all(folder.join("medium")).unwrap();
        }
    }
    for inside in ["boot", "images", "profiles"] {
        fs::create_dir(folder.join("medium")).unwrap();
        fs::write(folder.join("medium").join(inside), "a file").unwrap();
        refused(folder, &create, &[inside]);
        fs::remove_dir_all(folder.join("medium")).unwrap();
    }
}

/// The same of an EFI system partition; a medium that is worked on.
#[test]
fn what_is_strange_on_an_esp_has_a_remedy() {
    let shop = shop();
    let folder = shop.path();
    fs::create_dir_all(folder.join("medium/profiles")).unwrap();
    let words = ["system", "install", "web", "--medium", "medium", "--esp", "esp"];
    let kernel = ["--kernel", "kernel", "--initramfs"];
    for inside in ["loader", "loader/entries", "loader/loader.conf", "lamina", "grub", "grub/grub.cfg"] {
        let place = folder.join("esp").join(inside);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        symlink("/nowhere", &place).unwrap();
        refused(folder, &words, &[&format!("esp/{inside}"), "a symbolic link"]);
        fs::remove_file(&place).unwrap();
        nix::unistd::mkfifo(&place, nix::sys::stat::Mode::S_IRWXU).unwrap();
        refused(folder, &words, &[&format!("esp/{inside}")]);
        fs::remove_dir_all(folder.join("esp")).unwrap();
    }
    fs::create_dir(folder.join("esp")).unwrap();
    for (name, kind) in strange(folder) {
        let no_file = format!("{name}: is a {kind}, and no file");
        refused(folder, &[&words[..], &kernel, &[name]].concat(), &[&no_file]);
    }
}
