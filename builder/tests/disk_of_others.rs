//! Disks that never were Lamina's: what is said of them, and that nobody calls them damaged.

mod program;
mod shop;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use program::{lamina, told};
use serde_json::Value;
use shop::{create, shop};

fn run(folder: &Path, program: &str, arguments: &[&str], input: &str) {
    let program =
        disk_image::programs::find_program(program, "fdisk, e2fsprogs, dosfstools or xorriso").unwrap();
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{arguments:?}");
}

fn file(folder: &Path, name: &str, length: u64) {
    File::create(folder.join(name)).unwrap().set_len(length).unwrap();
}

/// Standard output, and what it says of why it failed.
fn refused(folder: &Path, arguments: &[&str]) -> (String, String) {
    let output = lamina(folder, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", told(&output));
    assert!(!told(&output).contains("damaged"), "{}", told(&output));
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// What all commands that want a system say of a disk, and what `disk inspect --json` does.
fn judged(folder: &Path, disk: &str, meant: &str) -> Value {
    for words in [&["disk", "inspect", disk][..], &["system", "list", "--disk", disk]] {
        let (_, why) = refused(folder, words);
        assert!(why.starts_with(&format!("lamina: {disk}: {meant}")), "{meant}\nnot in: {why}");
        assert!(why.contains("\nhelp: give a disk or an image that `lamina disk create` wrote"), "{why}");
    }
    let (json, why) = refused(folder, &["disk", "inspect", disk, "--json"]);
    assert_eq!(why, "");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["lamina"], false);
    json
}

#[test]
fn a_disk_of_somebody_else_is_told_as_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    file(folder, "empty", 0);
    judged(folder, "empty", "holds no Lamina system: it is empty");
    file(folder, "zeros", 8 << 20);
    judged(folder, "zeros", "holds no Lamina system: its first and its last MiB are zero");
    fs::write(folder.join("text"), "Dear disk,\n").unwrap();
    let json = judged(folder, "text", "holds no Lamina system, and nothing else that is known");
    assert!(json["holds"].is_null());
    file(folder, "plain", 8 << 20);
    run(folder, "mkfs.ext4", &["-q", "-L", "Daten", "plain"], "");
    let json = judged(folder, "plain", "holds no Lamina system, but ext4 'Daten'\n");
    assert_eq!((&json["content"]["kind"], &json["table"]), (&"ext4".into(), &Value::Null));
    file(folder, "dos", 64 << 20);
    run(folder, "sfdisk", &["-q", "dos"], "label: dos\nsize=20MiB, type=83\nsize=20MiB, type=c\n");
    let json = judged(folder, "dos", "holds no Lamina system, but a DOS partition table with 2 partitions\n");
    assert_eq!((&json["table"], json["partitions"].as_array().unwrap().len()), (&"dos".into(), 2));
    fs::create_dir(folder.join("tree")).unwrap();
    fs::write(folder.join("tree/readme"), "hello").unwrap();
    run(folder, "xorriso", &["-as", "mkisofs", "-quiet", "-R", "-V", "CD", "-o", "iso", "tree"], "");
    judged(folder, "iso", "holds no Lamina system, but iso9660 'CD'");
}

/// As Debian's images for clouds are: the root first in the table and last on the disk, what GRUB needs, and an EFI system partition.
#[test]
fn the_partitions_of_a_system_of_others_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    file(folder, "cloud", 160 << 20);
    let bios = "21686148-6449-6E6F-744E-656564454649";
    let table = format!(
        "label: gpt\nstart=262144, type=L, name=root\nstart=2048, size=3MiB, type={bios}\nstart=8192, size=64MiB, type=U\n"
    );
    run(folder, "sfdisk", &["-q", "cloud"], &table);
    run(folder, "mkfs.ext4", &["-q", "-L", "root", "-E", "offset=134217728", "cloud", "30M"], "");
    run(folder, "mkfs.vfat", &["-F", "32", "-s", "1", "--offset", "8192", "cloud", "65536"], "");
    let json = judged(folder, "cloud", "holds no Lamina system, but a GPT with 3 partitions\n");
    let kinds: Vec<&Value> =
        json["partitions"].as_array().unwrap().iter().map(|it| &it["content"]["kind"]).collect();
    assert_eq!(kinds, [&"ext4".into(), &Value::Null, &"vfat".into()]);
    let (listed, _) = refused(folder, &["disk", "inspect", "cloud"]);
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines[0].starts_with("partition 1 root at 128.0 MiB, ") && lines[0].ends_with(": ext4 'root'"));
    assert!(lines[1].ends_with(": nothing that is known") && lines[2].ends_with(": vfat"), "{listed}");
}

/// A medium on a file system of its own is no disk, and no disk of others.
#[test]
fn a_store_on_another_disk_is_not_overlooked() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir_all(folder.join("medium/lamina/profiles")).unwrap();
    run(folder, "mkfs.ext4", &["-q", "-d", "medium", "disk", "8M"], "");
    let (_, why) = refused(folder, &["disk", "inspect", "disk"]);
    assert!(
        why.contains("disk: is no disk that `lamina disk create` wrote, but ext4 with a store of Lamina\n")
    );
    assert!(why.contains("help: mount the store, and give its folder with `--medium DIR`"), "{why}");
}

/// Of what Lamina has written, what is missing is damage.
#[test]
fn a_disk_without_its_store_stays_a_disk_of_lamina() {
    let shop = shop();
    let made = lamina(shop.path(), &create("disk.img", &["--firmware", "uefi"]));
    assert!(made.status.success(), "{}", told(&made));
    run(shop.path(), "sfdisk", &["-q", "--delete", "disk.img", "2"], "");
    run(shop.path(), "sfdisk", &["-q", "--part-label", "disk.img", "1", "other"], "");
    let output = lamina(shop.path(), &["disk", "inspect", "disk.img"]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("damaged: disk: has no partition lamina-store"), "{}", told(&output));
    let json = lamina(shop.path(), &["disk", "inspect", "disk.img", "--json"]);
    assert_eq!(serde_json::from_slice::<Value>(&json.stdout).unwrap()["lamina"], true);
}
