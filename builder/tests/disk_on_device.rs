//! Disks written to devices: loop devices of files, and no other ones. Attaching and mounting them takes root:
//! `sudo -E cargo test -p builder --test disk_on_device -- --ignored`, which `make test` does.

mod program;
mod shop;

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use program::{json, lamina, told};
use shop::shop;

const MIB: u64 = 1 << 20;

/// A loop device of a file that was in use before: `0xee` everywhere.
struct Stick {
    file: PathBuf,
    node: String,
}

impl Stick {
    fn new(folder: &Path, mib: u64, options: &[&str]) -> Stick {
        assert!(
            rustix::process::geteuid().is_root(),
            "loop devices need root: run this test as its first page says"
        );
        let file = folder.join(format!("stick-{mib}"));
        let mut bytes = File::create(&file).unwrap();
        (0..mib).for_each(|_| bytes.write_all(&vec![0xee; MIB as usize]).unwrap());
        let output =
            Command::new("losetup").args(options).args(["--find", "--show"]).arg(&file).output().unwrap();
        assert!(output.status.success(), "{}", told(&output));
        Stick { node: String::from_utf8(output.stdout).unwrap().trim().to_owned(), file }
    }

    fn name(&self) -> &str {
        self.node.strip_prefix("/dev/").unwrap()
    }

    fn create(&self, shop: &Path, more: &[&str]) -> Output {
        let words =
            ["disk", "create", "--device", &self.node, "--kernel", "kernel", "--initramfs", "initramfs"];
        lamina(shop, &[&words[..], &["--profile", "web"], more].concat())
    }

    fn refused(&self, shop: &Path, more: &[&str], words: &[&str]) {
        let before = fs::metadata(&self.file).unwrap().modified().unwrap();
        let output = self.create(shop, more);
        let said = told(&output);
        assert!(!output.status.success(), "{said}");
        for word in words {
            assert!(said.contains(word), "{word}\nnot in: {said}");
        }
        assert_eq!(fs::metadata(&self.file).unwrap().modified().unwrap(), before, "it was written to");
    }

    fn bytes(&self, start: u64, length: u64) -> Vec<u8> {
        let mut bytes = vec![0; length as usize];
        let mut file = File::open(&self.file).unwrap();
        file.seek(SeekFrom::Start(start)).unwrap();
        file.read_exact(&mut bytes).unwrap();
        bytes
    }
}

impl Drop for Stick {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["--detach", &self.node]).status();
    }
}

/// Runs a story in a thread with a mount namespace of its own: its mounts end with it.
fn in_namespace(story: impl FnOnce()) {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
    story();
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", told(&output));
}

#[test]
#[ignore = "takes root"]
fn a_disk_is_written_compared_and_found_again() {
    let shop = shop();
    let stick = Stick::new(shop.path(), 300, &[]);
    stick.refused(shop.path(), &[], &["nobody is at a terminal", &format!("--erase {}", stick.name())]);
    stick.refused(shop.path(), &["--erase", "sda"], &["nothing was written: 'sda' is not "]);
    let output = stick.create(shop.path(), &["--dry-run"]);
    assert!(told(&output).contains("nothing that is known lies on it"), "{}", told(&output));

    let output = stick.create(shop.path(), &["--erase", stick.name(), "--state", "20M"]);
    let said = told(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("written and compared; it can be unplugged"), "{said}");
    let found = json(shop.path(), &["disk", "inspect", &stick.node, "--json"]);
    assert_eq!(found["damage"], serde_json::json!([]));
    run("sfdisk", &["--verify", &stick.node]);
    for at in [2, 3] {
        let start = found["partitions"][at]["start"].as_u64().unwrap();
        run("e2fsck", &["-fn", &format!("{}?offset={start}", stick.node)]);
    }
    // The store has what the others leave: most of it is the device's as it was.
    let old = (0..300).filter(|mib| stick.bytes(mib * MIB, MIB) == vec![0xee; MIB as usize]).count();
    assert!(old > 60, "{old} MiB were left out");

    // `losetup` did not ask the kernel for partitions: what lies there is told all the same, and when its first copy is gone.
    let shown = |table: &str| {
        let said = told(&stick.create(shop.path(), &["--dry-run"]));
        assert!(
            said.contains(&format!("  {}: 300.0 MiB, a partition table, of which", stick.name())),
            "{table}: {said}"
        );
    };
    shown("whole");
    File::options().write(true).open(&stick.file).unwrap().write_all(&[0; 1024]).unwrap();
    shown("its second copy");
}

#[test]
#[ignore = "takes root"]
fn what_is_in_use_or_unfit_is_left_alone() {
    let shop = shop();
    let small = Stick::new(shop.path(), 20, &[]);
    small.refused(
        shop.path(),
        &["--erase", small.name()],
        &["20971520 bytes are too few", "a device that is so large"],
    );
    let protected = Stick::new(shop.path(), 21, &["--read-only"]);
    protected.refused(shop.path(), &["--erase", protected.name()], &["is write-protected"]);
    let large = Stick::new(shop.path(), 120, &["--sector-size", "4096"]);
    large.refused(shop.path(), &["--erase", large.name()], &["has sectors of 4096 bytes"]);

    let stick = Stick::new(shop.path(), 121, &[]);
    let over = Command::new("losetup").args(["--find", "--show", &stick.node]).output().unwrap();
    let over = String::from_utf8(over.stdout).unwrap().trim().to_owned();
    stick.refused(shop.path(), &["--erase", stick.name()], &[&format!("{over} shows {}", stick.name())[5..]]);
    run("losetup", &["--detach", &over]);

    run("mke2fs", &["-q", "-F", "-L", "Größe 5", &stick.node]);
    let place = shop.path().join("place");
    fs::create_dir(&place).unwrap();
    let (mounted, seen) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            in_namespace(|| {
                mount(Some(stick.node.as_str()), &place, Some("ext4"), MsFlags::MS_RDONLY, None::<&str>)
                    .unwrap();
                let here = format!("{} is mounted at {}", stick.name(), place.display());
                stick.refused(shop.path(), &["--erase", stick.name()], &[&here, "help: `umount "]);
                mounted.wait();
                seen.wait();
            });
        });
        mounted.wait();
        // Here nothing shows that it is mounted, but the kernel knows.
        stick.refused(shop.path(), &["--erase", stick.name()], &["busy", "'Größe 5'", "a desktop mounts"]);
        seen.wait();
    });
}

#[test]
#[ignore = "takes root"]
fn a_device_that_cannot_be_read_is_not_called_empty() {
    let shop = shop();
    let stick = Stick::new(shop.path(), 122, &[]);
    // A loop device answers EIO behind the end of its file.
    File::options().write(true).open(&stick.file).unwrap().set_len(0).unwrap();
    run("blockdev", &["--flushbufs", &stick.node]);
    let said = told(&stick.create(shop.path(), &["--dry-run"]));
    let words =
        format!("\n  {}: 122.0 MiB, nobody knows what: it cannot be read: Input/output error", stick.name());
    assert!(said.contains(&words) && !said.contains("nothing that is known"), "{said}");
}

#[test]
#[ignore = "takes root"]
fn a_full_file_system_is_named_and_nothing_is_left() {
    let shop = shop();
    let place = shop.path().join("small");
    fs::create_dir(&place).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            in_namespace(|| {
                mount(Some("test"), &place, Some("tmpfs"), MsFlags::empty(), Some("size=1m")).unwrap();
                for format in ["raw", "qcow2"] {
                    let output = lamina(shop.path(), &shop::create("small/x.img", &["--format", format]));
                    let said = told(&output);
                    assert!(!output.status.success(), "{said}");
                    assert!(
                        said.contains("\nhelp: the file system that the image is made on is full"),
                        "{said}"
                    );
                    assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
                }
            });
        });
    });
}

/// bootctl takes only the root of a file system for an EFI system partition; which one it is does not matter to its reader of entries.
#[test]
#[ignore = "takes root"]
fn bootctl_reads_the_menu() {
    let shop = shop();
    let output = lamina(shop.path(), &shop::create("x.img", &["--profile", "rescue", "--tries", "3"]));
    assert!(output.status.success(), "{}", told(&output));
    let found = json(shop.path(), &["disk", "inspect", "x.img", "--json"]);
    let start = found["partitions"].as_array().unwrap().iter().find(|it| it["name"] == "lamina-esp").unwrap();
    let image = format!("x.img@@{}", start["start"]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let bootctl = Command::new(root.join(".ci/bootctl")).output().unwrap();
    assert!(bootctl.status.success(), "{}", told(&bootctl));
    let bootctl = String::from_utf8(bootctl.stdout).unwrap();
    let place = shop.path().join("esp");
    fs::create_dir(&place).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            in_namespace(|| {
                mount(Some("test"), &place, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
                let mut mcopy = Command::new("mcopy");
                mcopy
                    .args(["-s", "-i", &image, "::/loader", "::/lamina"])
                    .arg(&place)
                    .current_dir(shop.path());
                assert!(mcopy.status().unwrap().success());
                let mut list = Command::new(bootctl.trim());
                list.args(["list", "--no-pager", "--esp-path"])
                    .arg(&place)
                    .env("SYSTEMD_RELAX_ESP_CHECKS", "1");
                let output = list.output().unwrap();
                let said = told(&output);
                assert!(output.status.success(), "{said}");
                let (web, rescue) = said.split_once("\n\n").unwrap();
                for words in ["title: web: Seiten für \"alle\" $5 ", "tries: 3 left; 0 done", "(default)"] {
                    assert!(web.contains(words), "{words}\nnot in: {said}");
                }
                assert!(rescue.contains("title: rescue ") && !rescue.contains("tries:"), "{said}");
                for entry in found["entries"].as_array().unwrap() {
                    let options = format!("options: {}\n", entry["options"].as_str().unwrap());
                    assert!(said.contains(&options), "{options}\nnot in: {said}");
                }
            });
        });
    });
}

#[test]
#[ignore = "takes root"]
fn a_guest_starts_from_a_device_and_writes_to_none_that_is_in_use() {
    let shop = shop();
    let stick = Stick::new(shop.path(), 22, &[]);
    let vm = |more: &[&str]| {
        let words = ["vm", "--disk", &stick.node, "--firmware", "bios", "--dry-run"];
        lamina(shop.path(), &[&words[..], more].concat())
    };
    let wanted = |keeps: &str| format!("file={},if=virtio,format=raw,snapshot={keeps}", stick.node);
    for (more, keeps) in [(&[][..], "on"), (&["--keep"], "off")] {
        let output = vm(more);
        assert!(String::from_utf8_lossy(&output.stdout).contains(&wanted(keeps)), "{}", told(&output));
    }
    run("mke2fs", &["-q", "-F", &stick.node]);
    let place = shop.path().join("place");
    fs::create_dir(&place).unwrap();
    in_namespace(|| {
        mount(Some(stick.node.as_str()), &place, Some("ext4"), MsFlags::MS_RDONLY, None::<&str>).unwrap();
        assert!(vm(&[]).status.success(), "what the guest writes is forgotten");
        let refused = vm(&["--keep"]);
        let cause = format!("{} is mounted at {}", stick.name(), place.display());
        assert!(!refused.status.success() && told(&refused).contains(&cause), "{}", told(&refused));
    });
}
