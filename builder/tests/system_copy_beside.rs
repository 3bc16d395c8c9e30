//! A medium copied into the free space of a disk with another system. All of it are files: no root, no mount.

#[path = "../../crates/disk-image/tests/fat_judge/mod.rs"]
mod fat_judge;
mod program;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};

use builder::error::Error;
use builder::report::Report;
use builder::system::copy::beside::BesidePlan;
use builder::system::copy::contents;
use builder::system::installed::Installed;
use builder::system::on_disk::OpenDisk;
use builder::system::target::Target;
use disk_image::read::DiskReader;
use disk_image::{FatVolume, MIB};
use profiles::Digest;
use program::copied_disk::{copied, copy, generations, inspected, refused, run, uuids};
use program::made_disk::Shop;
use program::{lamina, told};

/// What another system's loader is.
enum Theirs {
    SystemdBoot,
    Grub,
}

/// A disk of 300 MiB with an EFI system partition, a partition of another system, and a gap behind it.
fn other_disk(path: &Path, theirs: &Theirs, conf: &str) {
    let disk = File::create(path).unwrap();
    disk.set_len(300 * MIB).unwrap();
    let mut sfdisk = Command::new("sfdisk").arg("-q").arg(path).stdin(Stdio::piped()).spawn().unwrap();
    let script = "label: gpt\nstart=2048, size=100MiB, type=U\nsize=40MiB, type=L, name=theirs\n";
    sfdisk.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(sfdisk.wait().unwrap().success());
    disk.write_all_at(&vec![0xab; 40 << 20], 101 * MIB).unwrap();
    let text = path.to_str().unwrap();
    run("mkfs.vfat", &["-F", "32", "-s", "1", "--offset", "2048", text, "102400"]);
    let volume = volume(path);
    let put = |name: &str, bytes: &[u8]| volume.write_new(name, &mut { bytes }, bytes.len() as u64).unwrap();
    match theirs {
        Theirs::SystemdBoot => {
            put("EFI/BOOT/BOOTX64.EFI", b"MZ #### LoaderInfo: systemd-boot 257 ####");
            put("loader/loader.conf", conf.as_bytes());
            put("loader/entries/debian.conf", b"title Debian\nlinux /vmlinuz\n");
            put("vmlinuz", &[5; 70_000]);
        }
        Theirs::Grub => {
            put("EFI/BOOT/BOOTX64.EFI", b"MZ a shim");
            put("EFI/debian/grubx64.efi", &[7; 100_000]);
        }
    }
}

/// The EFI system partition of that disk.
fn volume(path: &Path) -> FatVolume {
    let disk = File::options().read(true).write(true).open(path).unwrap();
    FatVolume::open(disk, MIB, 100 * MIB).unwrap()
}

/// All files of the EFI system partition.
fn files(disk: &Path) -> BTreeMap<String, Vec<u8>> {
    let reader = DiskReader::new(File::open(disk).unwrap()).unwrap().esp().unwrap();
    let (mut found, mut folders) = (BTreeMap::new(), vec![String::new()]);
    while let Some(folder) = folders.pop() {
        for name in reader.names(&folder).unwrap() {
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            match reader.length(&path).unwrap() {
                Some(_) => {
                    let mut bytes = Vec::new();
                    reader.copy(&path, &mut bytes).unwrap();
                    found.insert(path, bytes);
                }
                None => folders.push(path),
            }
        }
    }
    found
}

/// Their partition and their files are there, and Linux finds the table; of the FAT fsck.vfat says no more than `allowed`.
fn theirs_are_as_before(disk: &Path, before: &BTreeMap<String, Vec<u8>>, when: &str, allowed: &[&str]) {
    let mut bytes = vec![0; 40 << 20];
    File::open(disk).unwrap().read_exact_at(&mut bytes, 101 * MIB).unwrap();
    assert!(bytes == vec![0xab; 40 << 20], "{when}");
    let now = files(disk);
    for (path, bytes) in before {
        assert!(now.get(path) == Some(bytes), "{when}: {path}");
    }
    let table = DiskReader::new(File::open(disk).unwrap()).unwrap().table;
    let theirs: Vec<(u64, u64)> = table.partitions[..2].iter().map(|it| (it.start, it.length)).collect();
    assert_eq!(theirs, [(MIB, 100 * MIB), (101 * MIB, 40 * MIB)], "{when}");
    assert!(
        !table.damage.iter().any(|it| it.to_string().contains("first copy")),
        "{when}: {:?}",
        table.damage
    );
    let mut esp = vec![0; 100 << 20];
    File::open(disk).unwrap().read_exact_at(&mut esp, MIB).unwrap();
    let part = disk.with_extension("esp");
    fs::write(&part, esp).unwrap();
    fat_judge::fsck(&part, allowed, when);
}

#[test]
fn beside_another_system_its_menu_shows_the_copy() {
    let shop = Shop::new();
    let disk = shop.path("other.img");
    other_disk(&disk, &Theirs::SystemdBoot, "default debian.conf\ntimeout 3\n");
    let before = files(&disk);
    assert_eq!(before.len(), 4);
    let planned = copied(&shop, &["other.img", "--beside", "--dry-run"]);
    assert!(planned.contains("partition 3 lamina-store, ") && files(&disk) == before, "{planned}");
    let said = copied(&shop, &["other.img", "--beside"]);
    assert!(said.contains("the menu of the loader there shows it"), "{said}");
    theirs_are_as_before(&disk, &before, "done", &[]);
    let found = inspected(&shop, "other.img");
    assert_eq!(generations(&found), ["rescue/1", "web/2"]);
    assert_eq!(found["partitions"][2]["size"].as_u64(), Some((299 - 141 - 1) * MIB));
    assert!(!uuids(&inspected(&shop, "disk.img")).contains(&uuids(&found)[2]));
    let ours: Vec<String> = files(&disk).into_keys().filter(|it| !before.contains_key(it)).collect();
    assert!(
        ours.iter().all(|it| it.starts_with("lamina/") || it.starts_with("loader/entries/lamina-")),
        "{ours:?}"
    );
    let listed = told(&lamina(shop.folder.path(), &["system", "list", "--disk", "other.img"]));
    assert!(listed.contains("web/2 ") && !listed.contains("default"), "{listed}");
    refused(&shop, &["other.img", "--beside"], "has a partition lamina-store already");
}

/// Of a loader that cannot be read nobody knows what it shows, and what boots by itself.
#[test]
fn a_loader_of_theirs_that_cannot_be_read_is_not_taken_for_another_one() {
    let shop = Shop::new();
    let disk = shop.path("other.img");
    other_disk(&disk, &Theirs::SystemdBoot, "default debian.conf\ntimeout 3\n");
    let mut bytes = fs::read(&disk).unwrap();
    let name = bytes.windows(11).position(|it| it == b"BOOTX6~1EFI").unwrap();
    for part in [20..22, 26..28] {
        bytes[name..][part].fill(0);
    }
    fs::write(&disk, bytes).unwrap();
    refused(&shop, &["other.img", "--beside"], "EFI/BOOT/BOOTX64.EFI: ends before its length");
}

#[test]
fn beside_another_system_an_own_loader_is_said() {
    let shop = Shop::new();
    let disk = shop.path("other.img");
    other_disk(&disk, &Theirs::Grub, "");
    let before = files(&disk);
    let said = copied(&shop, &["other.img", "--beside", "--size", "60M"]);
    assert!(said.contains(r"--part 1 --label Lamina --loader '\EFI\lamina\systemd-bootx64.efi'"), "{said}");
    theirs_are_as_before(&disk, &before, "done", &[]);
    let now = files(&disk);
    assert_eq!(now["EFI/BOOT/BOOTX64.EFI"], b"MZ a shim");
    let mut own = Vec::new();
    File::open(shop.path("esp/EFI/BOOT/BOOTX64.EFI")).unwrap().read_to_end(&mut own).unwrap();
    assert!(now["EFI/lamina/systemd-bootx64.efi"] == own);
    let listed = told(&lamina(shop.folder.path(), &["system", "list", "--disk", "other.img"]));
    assert!(listed.lines().any(|it| it.starts_with("web/2 ") && it.contains("default")), "{listed}");
    assert_eq!(inspected(&shop, "other.img")["partitions"][2]["size"].as_u64(), Some(60 * MIB));
}

#[test]
fn what_another_system_has_no_place_for_is_refused() {
    let shop = Shop::new();
    let disk = shop.path("other.img");
    let refused_and_same = |arguments: &[&str], words: &str| {
        let before = fs::read(&disk).unwrap();
        refused(&shop, &[&["other.img", "--beside"], arguments].concat(), words);
        assert!(fs::read(&disk).unwrap() == before);
    };
    other_disk(&disk, &Theirs::SystemdBoot, "timeout 3\n");
    refused_and_same(&[], "names no default");
    other_disk(&disk, &Theirs::SystemdBoot, "default gone.conf\n");
    refused_and_same(&[], "names no default that is there");
    // Its entries may lie on an extended boot partition.
    other_disk(&disk, &Theirs::SystemdBoot, "timeout 3\n");
    volume(&disk).remove("loader/entries/debian.conf").unwrap();
    run("sfdisk", &["--part-type", disk.to_str().unwrap(), "2", "BC13C2FF-59E6-4262-A352-B275FD6F7172"]);
    refused_and_same(&[], "names no default that is there");
    // A kernel under the name of another one.
    other_disk(&disk, &Theirs::SystemdBoot, "default debian.conf\n");
    let kernel = Digest::of(&b"a kernel"[..]).unwrap().0.hex();
    volume(&disk).write_new(&format!("lamina/linux-{kernel}"), &mut &b"a kernem"[..], 8).unwrap();
    refused_and_same(&[], "is not what its name says");
    run("mkfs.vfat", &["-F", "32", "-s", "8", "--offset", "2048", disk.to_str().unwrap(), "102400"]);
    refused_and_same(&[], "its EFI system partition cannot be written: has 25");
    let few = DiskReader::new(File::open(&disk).unwrap()).unwrap().esp().err().unwrap().to_string();
    assert!(
        few.contains("and a FAT32 has at least 65525") && few.contains("\nhelp: save its files"),
        "{few}"
    );
    run("mkfs.vfat", &["-F", "16", "-s", "8", "--offset", "2048", disk.to_str().unwrap(), "102400"]);
    refused_and_same(&[], "its EFI system partition cannot be written");
    other_disk(&disk, &Theirs::Grub, "");
    refused_and_same(&["--size", "200M"], "its largest gap has 157 MiB, and 200 are needed");
    refused_and_same(&["--size", "1M"], "are needed");
    let volume = volume(&disk);
    // What a kill leaves there: the sum of free clusters is a hint.
    let hint = MIB + 512 + 488;
    let file = File::options().write(true).open(&disk).unwrap();
    file.write_all_at(&0_u32.to_le_bytes(), hint).unwrap();
    copied(&shop, &["other.img", "--beside", "--dry-run"]);
    file.write_all_at(&190_000_u32.to_le_bytes(), hint).unwrap();
    let room = volume.room().unwrap().0 - 4096;
    volume.write_new("full", &mut std::io::repeat(1), room).unwrap();
    refused_and_same(&[], "the EFI system partition: has ");
}

/// Stopped before each step: whatever that was, the other system is as it was; and when what is left is removed as the messages say, the same
/// command brings all of it.
fn every_step_can_be_the_last(theirs: &Theirs) {
    let shop = Shop::new();
    let target = Target::mounted(&shop.path("medium"), &shop.path("esp")).unwrap();
    let installed = Installed::read(&target).unwrap();
    let chosen = contents::choose(&installed, false).unwrap();
    let fresh = shop.path("fresh.img");
    other_disk(&fresh, theirs, "default debian.conf\n");
    let before = files(&fresh);
    let disk = shop.path("other.img");
    for stopped in 1.. {
        run("cp", &["--sparse=always", fresh.to_str().unwrap(), disk.to_str().unwrap()]);
        let open = OpenDisk::open(&disk, &Report::default()).unwrap();
        let plan = BesidePlan::make((&target, &installed), &chosen, &open, Some(40 * MIB)).unwrap();
        let (mut steps, mut last) = (0, String::new());
        let done = plan.carry_out(&open, &Report::default(), &mut |step| {
            steps += 1;
            last = step.to_owned();
            if steps >= stopped { Err(Error::new("test", "stopped")) } else { Ok(()) }
        });
        drop((plan, open));
        assert!(done.is_err());
        theirs_are_as_before(&disk, &before, &format!("before {last}"), &[]);
        if last == "end" {
            assert!(stopped > 10, "{stopped}");
            break;
        }
        taken_up_again(&shop, &last);
        theirs_are_as_before(&disk, &before, &format!("again after {last}"), &[]);
        let found = inspected(&shop, "other.img");
        assert_eq!(generations(&found), ["rescue/1", "web/2"], "{last}");
        assert_eq!(found["partitions"].as_array().unwrap().len(), 3, "{last}");
    }
    assert_eq!(generations(&inspected(&shop, "other.img")), ["rescue/1", "web/2"]);
}

/// Does what each refusal says.
fn taken_up_again(shop: &Shop, when: &str) {
    let disk = shop.path("other.img");
    for _ in 0..3 {
        let output = copy(shop, &["other.img", "--beside", "--size", "40M"]);
        let said = told(&output);
        if output.status.success() {
            return;
        }
        if said.contains("`sfdisk --delete other.img 3` removes what a copy has left") {
            run("sfdisk", &["--delete", disk.to_str().unwrap(), "3"]);
        } else if said.contains("remove the entries `lamina-…` of `loader/entries` there") {
            let volume = volume(&disk);
            let ours = |path: &&String| path.starts_with("loader/entries/lamina-");
            files(&disk).keys().filter(ours).for_each(|path| volume.remove(path).unwrap());
        } else {
            panic!("{when}: {said}");
        }
    }
    panic!("{when}: it is refused again and again");
}

#[test]
fn an_interrupted_copy_leaves_a_system_with_systemd_boot() {
    every_step_can_be_the_last(&Theirs::SystemdBoot);
}

#[test]
fn an_interrupted_copy_leaves_a_system_with_grub() {
    every_step_can_be_the_last(&Theirs::Grub);
}

/// The settings of a loader of our own that a copy of earlier has left name none of what comes.
#[test]
fn what_an_older_copy_has_left_chooses_nothing() {
    let shop = Shop::new();
    let disk = shop.path("other.img");
    other_disk(&disk, &Theirs::Grub, "");
    let left = b"timeout 9\ndefault lamina-old-7.conf\nconsole-mode max\n";
    volume(&disk).write_new("loader/loader.conf", &mut left.as_slice(), left.len() as u64).unwrap();
    copied(&shop, &["other.img", "--beside"]);
    let conf = String::from_utf8(files(&disk)["loader/loader.conf"].clone()).unwrap();
    assert!(conf.contains("default lamina-web-2.conf\n") && conf.contains("console-mode max\n"), "{conf}");
    let listed = told(&lamina(shop.folder.path(), &["system", "list", "--disk", "other.img"]));
    assert!(listed.lines().any(|it| it.starts_with("web/2 ") && it.contains("default")), "{listed}");
}
