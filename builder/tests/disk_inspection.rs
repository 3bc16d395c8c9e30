//! `lamina disk inspect` on disks that somebody has damaged: each is made whole, damaged in one place, and must say which.

mod program;
mod shop;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use disk_image::read::DiskReader;
use program::{json, lamina, told};
use serde_json::Value;
use shop::{create, shop};

/// What is done to a disk.
enum Harm<'a> {
    /// A file of the EFI system partition goes.
    Delete(&'a str),
    /// It gets other bytes, of the same length.
    Change(&'a str),
    /// It gets these.
    Replace(&'a str, &'a str),
    /// Random bytes from here on, so many.
    Random(u64, usize),
}

/// A disk that was made whole, and copies of it that are harmed.
struct Whole {
    shop: tempfile::TempDir,
    found: Value,
}

impl Whole {
    fn new(options: &[&str]) -> Whole {
        let shop = shop();
        let output = lamina(shop.path(), &create("whole.img", options));
        assert!(output.status.success(), "{}", told(&output));
        let found = json(shop.path(), &["disk", "inspect", "whole.img", "--json"]);
        assert_eq!((&found["damage"], &found["unknown"]), (&serde_json::json!([]), &serde_json::json!([])));
        Whole { shop, found }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.shop.path().join(name)
    }

    /// Start and length of a partition.
    fn partition(&self, name: &str) -> (u64, u64) {
        let all = self.found["partitions"].as_array().unwrap();
        let found = all.iter().find(|it| it["name"] == name).unwrap();
        (found["start"].as_u64().unwrap(), found["size"].as_u64().unwrap())
    }

    fn length(&self) -> u64 {
        fs::metadata(self.path("whole.img")).unwrap().len()
    }

    fn mtool(&self, program: &str, arguments: &[&str]) -> Output {
        let place = format!("harmed.img@@{}", self.partition("lamina-esp").0);
        Command::new(program)
            .args(["-i", &place])
            .args(arguments)
            .env("MTOOLS_SKIP_CHECK", "1")
            .current_dir(self.shop.path())
            .output()
            .unwrap()
    }

    /// A harmed copy of the disk, as it is inspected.
    fn harmed(&self, harms: &[Harm<'_>]) -> Output {
        fs::copy(self.path("whole.img"), self.path("harmed.img")).unwrap();
        for harm in harms {
            let done = match harm {
                Harm::Delete(path) => self.mtool("mdel", &[&format!("::/{path}")]),
                Harm::Change(path) => {
                    let mut bytes = self.mtool("mtype", &[&format!("::/{path}")]).stdout;
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 1;
                    self.replace(path, &bytes)
                }
                Harm::Replace(path, text) => self.replace(path, text.as_bytes()),
                Harm::Random(start, length) => {
                    let bytes: Vec<u8> = (0..*length).map(|at| (at * 151 + at / 256 + 17) as u8).collect();
                    let disk = File::options().write(true).open(self.path("harmed.img")).unwrap();
                    disk.write_all_at(&bytes, *start).unwrap();
                    continue;
                }
            };
            assert!(done.status.success(), "{}", told(&done));
        }
        lamina(self.shop.path(), &["disk", "inspect", "harmed.img"])
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Output {
        fs::write(self.path("bytes"), bytes).unwrap();
        self.mtool("mcopy", &["-o", "bytes", &format!("::/{path}")])
    }

    /// It must be called damaged, in these words, with a remedy.
    fn names(&self, harms: &[Harm<'_>], sentence: &str) -> String {
        let output = self.harmed(harms);
        let said = told(&output);
        assert!(said.contains(&format!("damaged: {sentence}")), "{sentence}\nnot in: {said}");
        assert!(said.contains("\n    help: "), "{said}");
        assert_eq!(output.status.code(), Some(1), "{said}");
        said
    }

    /// The only file of this folder that begins so.
    fn file(&self, field: &str, key: &str, beginning: &str) -> String {
        let all = self.found[field].as_array().unwrap();
        let found = all.iter().map(|it| it[key].as_str().unwrap()).find(|it| it.starts_with(beginning));
        found.unwrap().to_owned()
    }
}

#[test]
fn a_loader_that_is_not_what_was_written_is_named() {
    let disk = Whole::new(&["--profile", "rescue"]);
    let not_written = "is not the loader that was written: ";
    let uefi = "EFI/BOOT/BOOTX64.EFI";
    disk.names(&[Harm::Delete(uefi)], "EFI/BOOT/BOOTX64.EFI: is missing");
    disk.names(&[Harm::Change(uefi)], &format!("{uefi}: {not_written}"));
    disk.names(&[Harm::Replace(uefi, "MZ")], &format!("{uefi}: {not_written}it has 2 bytes"));
    disk.names(&[Harm::Delete("loader/loader.conf")], "loader/loader.conf: is missing");
    disk.names(&[Harm::Replace("loader/loader.conf", "\u{1}\u{2}")], "loader/loader.conf: is no text");
    disk.names(
        &[Harm::Replace("loader/loader.conf", "default lamina-mail-1.conf\n")],
        "loader/loader.conf: has lamina-mail-1 boot by itself, and there is no such entry",
    );
    disk.names(&[Harm::Delete("grub/grub.cfg")], "grub/grub.cfg: is missing");
    disk.names(&[Harm::Replace("grub/grub.cfg", "\u{0}")], "grub/grub.cfg: is no text");
    disk.names(
        &[Harm::Replace("loader/lamina.kdl", "loaders")],
        "loader/lamina.kdl: is not what was written",
    );
}

#[test]
fn the_menu_of_grub_must_be_what_its_name_says() {
    let disk = Whole::new(&["--firmware", "bios"]);
    disk.harmed(&[]);
    let listed = String::from_utf8(disk.mtool("mdir", &["-b", "::/grub"]).stdout).unwrap();
    let menu =
        listed.lines().find_map(|line| line.split("grub/").nth(1).filter(|it| it.starts_with("menu-")));
    let (menu, path) = (menu.unwrap(), format!("grub/{}", menu.unwrap()));
    disk.names(&[Harm::Change(&path)], &format!("{path}: is damaged"));
    disk.names(&[Harm::Delete(&path)], &format!("grub/grub.cfg: shows {menu}, which is missing"));
    let own = disk.harmed(&[Harm::Replace("grub/grub.cfg", "set timeout=5\n")]);
    assert!(own.status.success() && told(&own).contains("unknown: what GRUB shows: "), "{}", told(&own));
}

#[test]
fn what_a_bios_starts_must_be_what_was_written() {
    let disk = Whole::new(&[]);
    let (core, _) = disk.partition("lamina-bios");
    let in_core = "GRUB in the BIOS boot partition: is not what was written";
    for at in [core + 20, core + 0x1fe, core + 30_000] {
        disk.names(&[Harm::Random(at, 2)], in_core);
    }
    let sector = "boot code of the first sector: ";
    disk.names(&[Harm::Random(0x70, 40)], &format!("{sector}is not what was written"));
    disk.names(&[Harm::Random(0x5c, 8)], &format!("{sector}does not lead to the BIOS boot partition"));
    disk.names(&[Harm::Random(core + 0x1f4, 10)], "GRUB in the BIOS boot partition: does not lead");
}

#[test]
fn kernels_and_entries_are_checked_against_the_disk() {
    let disk = Whole::new(&["--firmware", "uefi"]);
    let kernel = disk.file("boot_files", "path", "lamina/linux-");
    let initrd = disk.file("boot_files", "path", "lamina/initrd-");
    for file in [&kernel, &initrd] {
        disk.names(&[Harm::Change(file)], &format!("{file}: is damaged: its SHA-256 is "));
        disk.names(&[Harm::Delete(file)], &format!("loader/entries/lamina-web-1.conf: /{file} is missing"));
    }
    let entry = "loader/entries/lamina-web-1.conf";
    let options = disk.found["entries"][0]["options"].as_str().unwrap();
    let replaced = |options: &str| format!("title x\nlinux /{kernel}\ninitrd /{initrd}\noptions {options}\n");
    let text = replaced(options);
    let same = disk.harmed(&[Harm::Replace(entry, &text)]);
    assert!(same.status.success(), "{}", told(&same));
    let none = replaced("quiet");
    disk.names(&[Harm::Replace(entry, &none)], &format!("{entry}: names no profile"));
    let other = "12345678-1234-8234-8234-123456789abc";
    let elsewhere = replaced(&options.replace(disk.found["partitions"][1]["uuid"].as_str().unwrap(), other));
    disk.names(
        &[Harm::Replace(entry, &elsewhere)],
        &format!("{entry}: the partition {other} is not on this disk"),
    );
}

/// What an older version made is listed, and says what nobody can tell.
#[test]
fn a_disk_without_a_record_is_no_damaged_one() {
    let disk = Whole::new(&[]);
    let record = || Harm::Delete("loader/lamina.kdl");
    let old = disk.harmed(&[record()]);
    let said = told(&old);
    assert!(old.status.success(), "{said}");
    assert!(
        said.contains("unknown: whether the loaders are what was written: there is no loader/lamina.kdl")
    );
    let program = "EFI/BOOT/BOOTX64.EFI";
    disk.names(
        &[record(), Harm::Replace(program, "no program")],
        &format!("{program}: is no program of UEFI"),
    );
    disk.names(&[record(), Harm::Delete("grub/grub.cfg")], "grub/grub.cfg: is missing");
    disk.names(&[record(), Harm::Random(0, 400)], "boot code of the first sector: does not lead");
    let newer = disk.harmed(&[Harm::Replace("loader/lamina.kdl", "loaders format=2 { seal \"x\" }")]);
    assert!(newer.status.success() && told(&newer).contains("has format 2"), "{}", told(&newer));
    let plain = Whole::new(&["--firmware", "uefi"]);
    let gone = [record(), Harm::Delete(program)];
    plain.names(&gone, &format!("{program}: is missing: nothing starts this disk"));
}

/// Each copy of the table by itself; everything is listed by the other one, and `fdisk` mends it as the help says.
#[test]
fn what_others_have_there_is_no_damage() {
    let disk = Whole::new(&[]);
    let entry = "title Debian\nlinux /debian/vmlinuz\n";
    // Its name has a digest, and nobody of us has given it.
    let notes = format!("lamina/notes-{}", "a".repeat(64));
    fs::create_dir(disk.path("debian")).unwrap();
    fs::write(disk.path("debian/vmlinuz"), "a kernel").unwrap();
    let harms = [
        Harm::Replace("loader/entries/debian.conf", entry),
        Harm::Replace("loader/entries/._lamina-web-1.conf", "\u{1}"),
        Harm::Replace("loader/loader.conf", "default lamina-web-*.conf\n"),
        Harm::Replace(&notes, "mine"),
    ];
    let said = disk.names(&harms, "loader/entries/debian.conf: /debian/vmlinuz is missing");
    assert_eq!(said.matches("damaged: ").count(), 1, "{said}");
    assert!(said.contains("unknown: what boots by itself: loader/loader.conf has a pattern"), "{said}");
    assert!(said.contains(&format!("unknown: whether {notes} is what was written: ")), "{said}");
    // Now it is there.
    let copied = disk.mtool("mcopy", &["-s", disk.path("debian").to_str().unwrap(), "::/debian"]);
    assert!(copied.status.success(), "{}", told(&copied));
    let output = lamina(disk.shop.path(), &["disk", "inspect", "harmed.img"]);
    assert!(output.status.success(), "{}", told(&output));
}

#[test]
fn one_damaged_table_hides_nothing_and_is_mended_as_it_is_said() {
    let disk = Whole::new(&[]);
    let whole = told(&lamina(disk.shop.path(), &["disk", "inspect", "whole.img"]));
    let end = disk.length();
    for (which, start, length) in [
        ("first", 512, 512),
        ("first", 512 + 60, 4),
        ("first", 1024 + 130, 40),
        ("second", end - 512, 512),
        ("second", end - 512 + 60, 4),
        ("second", end - 33 * 512 + 130, 40),
        ("second", end - 33 * 512, 32 * 512),
    ] {
        let said = disk.names(
            &[Harm::Random(start, length)],
            &format!("partition table: its {which} copy is damaged: "),
        );
        let listed: String = said
            .lines()
            .filter(|it| !it.contains("table") && !it.contains("help: "))
            .map(|it| format!("{it}\n"))
            .collect();
        assert!(said.contains("help: `echo w | fdisk DISK`"), "{said}");
        assert_eq!(listed.trim_end(), whole.trim_end(), "{which} {start}");
        assert!(mended(&disk.path("harmed.img")), "fdisk at {start}");
        assert!(fs::read(disk.path("harmed.img")).unwrap() == fs::read(disk.path("whole.img")).unwrap());
    }
    disk.names(&[Harm::Random(446, 64)], "the boot record: does not protect the partition table");
    let neither = disk.harmed(&[Harm::Random(512, 512), Harm::Random(end - 512, 512)]);
    let said = told(&neither);
    assert!(said.contains("is no GPT that can be read: of the first copy there is no header"), "{said}");
    assert!(said.contains("\nhelp: give a disk or an image that"), "{said}");
}

fn mended(disk: &Path) -> bool {
    let fdisk = disk_image::programs::find_program("fdisk", "fdisk").unwrap();
    let words = r#"echo w | "$0" "$1""#;
    Command::new("sh").args(["-c", words]).arg(fdisk).arg(disk).output().unwrap().status.success()
}

/// Of what cannot be read or listed nobody can say that it is missing.
#[test]
fn what_cannot_be_read_is_damaged_and_nothing_else_is_missing_for_it() {
    let disk = Whole::new(&["--profile", "rescue"]);
    let image = disk.file("images", "path", "/lamina/images/");
    let file = "mode 0100644";
    for (what, field) in [
        ("/lamina/images", file),
        (image.as_str(), "block[0] 0"),
        ("/lamina/profiles", file),
        ("/lamina/profiles/web", file),
        ("/lamina/profiles/web/1.kdl", "block[0] 0"),
    ] {
        disk.harmed(&[]);
        let place = format!("harmed.img?offset={}", disk.partition("lamina-store").0);
        let request = format!("set_inode_field {what} {field}");
        let debugfs = disk_image::programs::find_program("debugfs", "e2fsprogs").unwrap();
        let words = ["-w", "-R", &request, &place];
        let done = Command::new(debugfs).args(words).current_dir(disk.shop.path()).output().unwrap();
        assert!(done.status.success(), "{}", told(&done));
        let said = told(&lamina(disk.shop.path(), &["disk", "inspect", "harmed.img"]));
        assert!(said.contains(&format!("damaged: {what}: ")), "{what}\nnot in: {said}");
        assert_eq!(said.matches("damaged: ").count(), 1, "{said}");
    }
    // The same for folders of the EFI system partition.
    disk.harmed(&[]);
    for folder in ["loader/entries", "grub"] {
        fs::write(disk.path("bytes"), "a file").unwrap();
        assert!(disk.mtool("mdeltree", &[&format!("::/{folder}")]).status.success());
        assert!(disk.mtool("mcopy", &["bytes", &format!("::/{folder}")]).status.success());
    }
    let said = told(&lamina(disk.shop.path(), &["disk", "inspect", "harmed.img"]));
    assert!(said.contains("damaged: loader/entries: ") && said.contains("damaged: grub: "), "{said}");
    assert!(!said.contains("there is no such entry") && !said.contains("which is missing"), "{said}");
    // A program that cannot be read is not called another one.
    let program = "EFI/BOOT/BOOTX64.EFI";
    disk.harmed(&[Harm::Delete("loader/lamina.kdl"), Harm::Delete(program)]);
    assert!(disk.mtool("mmd", &[&format!("::/{program}")]).status.success());
    let said = told(&lamina(disk.shop.path(), &["disk", "inspect", "harmed.img"]));
    assert!(said.contains(&format!("damaged: {program}: ")) && !said.contains("is no program"), "{said}");
}

/// The sum in FSInfo is a hint, and does not take the place of a table that cannot be read.
#[test]
fn room_that_nobody_can_count_is_an_error() {
    let disk = Whole::new(&["--firmware", "uefi"]);
    let (start, _) = disk.partition("lamina-esp");
    disk.harmed(&[]);
    let file = File::options().read(true).write(true).open(disk.path("harmed.img")).unwrap();
    let esp = DiskReader::new(file.try_clone().unwrap()).unwrap().esp().unwrap();
    assert!(esp.room().unwrap().0 > 0);
    // The table begins behind 32 sectors.
    file.set_len(start + 40 * 512).unwrap();
    let error = esp.room().unwrap_err().to_string();
    assert!(error.contains("EFI system partition"), "{error}");
}

/// A power cut can tear one of the two slots that count boots, and init then goes by the other.
#[test]
fn slots_that_cannot_be_read_both_are_named() {
    let disk = Whole::new(&["--profile", "rescue"]);
    let bytes = fs::read(disk.path("whole.img")).unwrap();
    let magic = b"lamina boot ledger format=";
    let starts: Vec<u64> = (0..bytes.len())
        .step_by(512)
        .filter(|at| bytes[*at..].starts_with(magic))
        .map(|at| at as u64)
        .collect();
    let [a, b] = starts[..] else { panic!("{starts:?}") };
    let one = disk.harmed(&[Harm::Random(a, 40)]);
    assert!(one.status.success(), "{}", told(&one));
    disk.names(
        &[Harm::Random(a, 40), Harm::Random(b, 40)],
        "/lamina/boot: neither of the slots that count boots can be read",
    );
}
