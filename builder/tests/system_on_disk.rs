//! Generations on a disk that nobody mounts: the image of one, and a device. Looking takes no root; changing does:
//! `sudo -E cargo test -p builder --test system_on_disk -- --ignored`, which `make test` does.

#[path = "../../crates/disk-image/tests/fat_judge/mod.rs"]
mod fat_judge;
mod program;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use program::made_disk::Shop;
use program::{json, lamina, told};

fn system(shop: &Shop, arguments: &[&str]) -> Output {
    lamina(shop.folder.path(), &[&["system"], arguments, &["--disk", "disk.img"]].concat())
}

fn done(shop: &Shop, arguments: &[&str]) -> String {
    let output = system(shop, arguments);
    assert!(output.status.success(), "{}", told(&output));
    told(&output)
}

fn refused(shop: &Shop, arguments: &[&str], words: &[&str]) {
    let output = system(shop, arguments);
    let said = told(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for word in words.iter().chain(&["\nhelp: "]) {
        assert!(said.contains(word), "{word}\nnot in: {said}");
    }
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", told(&output));
}

/// What independent programs and `disk inspect` say of the disk.
fn judge(folder: &Path, disk: &str, was_killed: bool) {
    let path = folder.join(disk);
    let path = path.to_str().unwrap();
    run("sfdisk", &["--verify", path]);
    let found = json(folder, &["disk", "inspect", disk, "--json"]);
    assert_eq!(found["damage"], serde_json::json!([]), "{found}");
    for partition in found["partitions"].as_array().unwrap() {
        let (start, size) = (partition["start"].as_u64().unwrap(), partition["size"].as_u64().unwrap());
        match partition["name"].as_str().unwrap() {
            "lamina-store" | "lamina-state" => run("e2fsck", &["-fn", &format!("{path}?offset={start}")]),
            "lamina-esp" => {
                let mut bytes = vec![0; size as usize];
                File::open(path).unwrap().read_exact_at(&mut bytes, start).unwrap();
                let part = folder.join("part");
                fs::write(&part, bytes).unwrap();
                // A kill can lose clusters that no file has, and nothing else.
                let allowed = if was_killed { fat_judge::LOST_CLUSTERS } else { &[] };
                fat_judge::fsck(&part, allowed, disk);
            }
            _ => {}
        }
    }
}

fn no_loop_device_shows(file: &Path) -> bool {
    let output = Command::new("losetup").arg("-j").arg(file).output().unwrap();
    output.status.success() && output.stdout.is_empty()
}

#[test]
fn a_disk_is_looked_at_without_a_mount() {
    let shop = Shop::new();
    let before = fs::metadata(shop.path("disk.img")).unwrap().modified().unwrap();
    let listed: serde_json::Value =
        serde_json::from_slice(&system(&shop, &["list", "--json"]).stdout).unwrap();
    assert_eq!(listed, shop.listed());
    shop.generation("web", 3);
    // The same plan as for the folders, room apart.
    let install = ["install", "web", "--keep", "2", "--dry-run"];
    assert_eq!(done(&shop, &install), shop.done(&install));
    assert_eq!(done(&shop, &["rollback", "--dry-run"]), shop.done(&["rollback", "--dry-run"]));
    let diff = ["diff", "web/1", "web/2", "--files"];
    assert_eq!(done(&shop, &diff), shop.done(&diff));
    // What it compares is on the disk alone.
    fs::rename(shop.path("store/images"), shop.path("images")).unwrap();
    fs::create_dir(shop.path("store/images")).unwrap();
    assert!(done(&shop, &diff).contains("~ /who: "), "{}", done(&shop, &diff));
    assert_eq!(fs::metadata(shop.path("disk.img")).unwrap().modified().unwrap(), before);
}

#[test]
fn what_a_disk_has_no_room_for_is_refused_before_it_is_opened() {
    let shop = Shop::new();
    let arguments = ["install", "web", "--dry-run", "--kernel", "kernel", "--initramfs", "large"];
    fs::write(shop.path("large"), vec![7; 80 << 20]).unwrap();
    shop.generation("web", 3);
    refused(&shop, &arguments, &["the EFI system partition: has ", "are needed"]);
}

#[test]
fn what_is_no_disk_is_refused() {
    let shop = Shop::new();
    let list = |disk: &str| {
        let output = lamina(shop.folder.path(), &["system", "list", "--disk", disk]);
        assert_eq!(output.status.code(), Some(1), "{}", told(&output));
        let said = told(&output);
        assert!(said.contains("\nhelp: "), "{said}");
        said
    };
    fs::write(shop.path("x.qcow2"), [b"QFI\xfb".as_slice(), &[0; 1024]].concat()).unwrap();
    assert!(list("x.qcow2").contains("x.qcow2: is a qcow2: "));
    assert!(list("/dev/null").contains("is neither a file nor a block device"));
    assert!(list("initramfs").contains("initramfs: "));
    assert!(list("missing").contains("missing: "));
    refused(&shop, &["list", "--medium", "medium"], &["--disk: and --medium exclude each other"]);
}

#[test]
#[ignore = "takes root"]
fn a_disk_gets_generations_and_goes_back() {
    let shop = Shop::new();
    shop.generation("web", 3);
    let said = done(&shop, &["install", "web"]);
    assert!(said.contains("disk.img: web/3, "), "{said}");
    judge(shop.folder.path(), "disk.img", false);
    let list = done(&shop, &["list"]);
    assert!(list.lines().any(|line| line.starts_with("web/3 ") && line.contains("default")), "{list}");
    assert!(done(&shop, &["rollback"]).contains("web/2 boots by itself"));
    done(&shop, &["keep", "web/1"]);
    done(&shop, &["default", "web/3"]);
    done(&shop, &["gc", "--keep", "1"]);
    let list = done(&shop, &["list"]);
    assert!(list.contains("web/3 ") && list.contains("web/1 ") && !list.contains("web/2 "), "{list}");
    judge(shop.folder.path(), "disk.img", false);
    assert!(no_loop_device_shows(&shop.path("disk.img")));
}

#[test]
#[ignore = "takes root"]
fn a_disk_that_others_use_is_left_alone() {
    let shop = Shop::new();
    shop.generation("web", 3);
    let disk = File::options().read(true).write(true).open(shop.path("disk.img")).unwrap();
    // As QEMU does, whose locks are shared ones on single bytes.
    let lock = libc::flock {
        l_type: libc::F_RDLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 101,
        l_len: 1,
        l_pid: 0,
    };
    fcntl(&disk, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
    refused(&shop, &["install", "web"], &["is in use by another program, such as a virtual machine"]);
    drop(disk);
    let output =
        Command::new("losetup").args(["--find", "--show"]).arg(shop.path("disk.img")).output().unwrap();
    let device = String::from_utf8(output.stdout).unwrap();
    refused(&shop, &["install", "web"], &["disk.img: is shown by the loop device loop"]);
    // The device itself can be worked on.
    let output = lamina(shop.folder.path(), &["system", "install", "web", "--disk", device.trim()]);
    assert!(output.status.success(), "{}", told(&output));
    run("losetup", &["--detach", device.trim()]);
    judge(shop.folder.path(), "disk.img", false);
    assert!(done(&shop, &["list"]).contains("web/3 "));
}

/// Killed at some moment, often before it began or after it ended: whatever that was, the disk is whole, and the next command goes on.
#[test]
#[ignore = "takes root"]
fn a_killed_command_leaves_a_disk_that_boots_and_no_loop_device() {
    let shop = Shop::new();
    for number in 3..12 {
        shop.generation("web", number);
        let mut command = Command::new(env!("CARGO_BIN_EXE_lamina"));
        command.args(["system", "install", "web", "--keep", "2", "--disk", "disk.img"]);
        command.env("LAMINA_STORE", shop.path("store")).current_dir(shop.folder.path());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(20 * (number - 2)));
        child.kill().unwrap();
        child.wait().unwrap();
        // The kernel unmounts what nobody has open any more.
        let mut patience = 100;
        while !no_loop_device_shows(&shop.path("disk.img")) && patience > 0 {
            std::thread::sleep(Duration::from_millis(100));
            patience -= 1;
        }
        assert!(no_loop_device_shows(&shop.path("disk.img")), "killed at {number}");
        let found = json(shop.folder.path(), &["disk", "inspect", "disk.img", "--json"]);
        assert_eq!(found["damage"], serde_json::json!([]), "killed at {number}");
    }
    done(&shop, &["install", "web", "--keep", "2"]);
    judge(shop.folder.path(), "disk.img", true);
    assert!(done(&shop, &["list"]).contains("web/11 "));
}

/// Both forms of a copy, onto loop devices of files that were in use before.
#[test]
#[ignore = "takes root"]
fn a_medium_is_copied_onto_devices() {
    let shop = Shop::new();
    let attached = |file: &str, more: &[&str]| {
        let mut losetup = Command::new("losetup");
        let output = losetup.args(["--find", "--show"]).args(more).arg(shop.path(file)).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let copy = |device: &str, more: &[&str]| {
        let words = ["system", "copy", "--disk", "disk.img", "--device", device];
        lamina(shop.folder.path(), &[&words[..], more].concat())
    };
    fs::write(shop.path("whole.img"), vec![0xee; 300 << 20]).unwrap();
    let device = attached("whole.img", &[]);
    let said = told(&copy(&device, &[]));
    assert!(said.contains("nobody is at a terminal who could confirm that it is erased"), "{said}");
    let name = device.strip_prefix("/dev/").unwrap();
    let output = copy(&device, &["--erase", name]);
    let said = told(&output);
    assert!(
        output.status.success() && said.contains("starts from it once the stick is taken away"),
        "{said}"
    );
    run("losetup", &["--detach", &device]);
    judge(shop.folder.path(), "whole.img", false);

    fs::write(shop.path("other.img"), vec![0xee; 300 << 20]).unwrap();
    let script = shop.path("script");
    fs::write(&script, "label: gpt\nsize=100MiB, type=U\nsize=40MiB, type=L\n").unwrap();
    let path = shop.path("other.img");
    let mut sfdisk = Command::new("sfdisk");
    let status = sfdisk.arg("-q").arg(&path).stdin(File::open(&script).unwrap()).status().unwrap();
    assert!(status.success());
    run("mkfs.vfat", &["-F", "32", "-s", "1", "--offset", "2048", path.to_str().unwrap(), "102400"]);
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let volume = disk_image::FatVolume::open(file, 1 << 20, 100 << 20).unwrap();
    volume.write_new("EFI/BOOT/BOOTX64.EFI", &mut b"MZ a shim".as_slice(), 9).unwrap();
    let device = attached("other.img", &["--partscan"]);
    let output = copy(&device, &["--beside"]);
    assert!(output.status.success() && told(&output).contains("--part 1"), "{}", told(&output));
    // Nothing of this command has the device open any more then.
    assert!(!told(&output).contains("has not read its partition table"), "{}", told(&output));
    run("losetup", &["--detach", &device]);
    judge(shop.folder.path(), "other.img", false);
    // What came there can be brought up to date.
    shop.generation("web", 3);
    let output = lamina(shop.folder.path(), &["system", "install", "web", "--disk", "other.img"]);
    assert!(output.status.success(), "{}", told(&output));
    judge(shop.folder.path(), "other.img", false);
}

/// The loop device of one has the image for a moment after it has ended.
#[test]
#[ignore = "takes root"]
fn commands_wait_for_each_other() {
    let shop = Shop::new();
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for verb in [&["default", "rescue"][..], &["default", "web/2"], &["keep", "web/1"]] {
                    done(&shop, verb);
                }
            });
        }
    });
    judge(shop.folder.path(), "disk.img", false);
    assert!(no_loop_device_shows(&shop.path("disk.img")));
}

#[test]
#[ignore = "takes root"]
fn a_full_folder_of_copies_is_not_called_the_disk() {
    let shop = Shop::new();
    let place = shop.path("small");
    fs::create_dir(&place).unwrap();
    let in_small = |words: &str| {
        let script = format!(
            "mount -t tmpfs -o size=12k test {0} && TMPDIR={0} exec {1} {words}",
            place.display(),
            env!("CARGO_BIN_EXE_lamina")
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script]).current_dir(shop.folder.path());
        command.env("LAMINA_STORE", shop.path("store")).output().unwrap()
    };
    for words in
        ["diff web/1 web/2 --files --disk disk.img", "copy copy.img --disk disk.img", "list --disk disk.img"]
    {
        let output = in_small(&format!("system {words}"));
        let said = told(&output);
        assert!(!output.status.success(), "{said}");
        assert!(said.contains(&format!("{}: ", place.display())) && said.contains("set TMPDIR"), "{said}");
        assert!(!said.contains("--store"), "{said}");
    }
}
