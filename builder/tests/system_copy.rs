//! A medium copied to a disk of its own. All of it are files: no root, no mount.

mod program;

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;

use builder::system::copy::contents;
use builder::system::copy::whole::{self, WholeRequest};
use builder::system::installed::Installed;
use builder::system::target::Target;
use disk_image::FatVolume;
use disk_image::read::DiskReader;
use program::copied_disk::{copied, generations, inspected, refused, uuids};
use program::made_disk::Shop;
use program::{json, lamina, told};

#[test]
fn a_copy_is_a_disk_of_its_own() {
    let shop = Shop::new();
    let before = inspected(&shop, "disk.img");
    let planned = copied(&shop, &["copy.img", "--dry-run"]);
    assert!(planned.contains("make ext4 LAMINA\n") && !shop.path("copy.img").exists(), "{planned}");
    let said = copied(&shop, &["copy.img"]);
    assert!(
        said.contains("  1. web: web of 2") && said.contains("the state of this medium is not copied"),
        "{said}"
    );
    let found = inspected(&shop, "copy.img");
    assert_eq!(generations(&found), ["rescue/1", "web/2"]);
    assert!(uuids(&found).iter().all(|it| !uuids(&before).contains(it)), "{found}");
    // What starts it is what started the medium: `disk inspect` has compared it with the record on the copy.
    assert_eq!(
        (found["unknown"].clone(), found["partitions"].as_array().unwrap().len()),
        (serde_json::json!([]), 3)
    );
    let options = found["entries"][0]["options"].as_str().unwrap();
    assert!(options.contains(&format!("lamina.store=PARTUUID={}", uuids(&found)[2])), "{options}");
    assert!(!options.contains("lamina.state=") && options.contains("console=tty0"), "{options}");
    let listed = lamina(shop.folder.path(), &["system", "list", "--disk", "copy.img"]);
    let listed = told(&listed);
    assert!(listed.lines().any(|it| it.starts_with("web/2 ") && it.contains("default")), "{listed}");
    // A copy of the copy, from folders, with all of it and a state.
    shop.bless("web", 1);
    let folders = ["--medium", "medium", "--esp", "esp"];
    let arguments =
        [&["system", "copy", "all.img", "--all", "--state", "20M", "--size", "400M"][..], &folders].concat();
    let output = lamina(shop.folder.path(), &arguments);
    assert!(output.status.success(), "{}", told(&output));
    let why = "is a folder of no disk that is known: what a BIOS starts is not copied, and no BIOS starts the copy\nhelp: ";
    assert!(told(&output).contains(why), "{}", told(&output));
    let all = inspected(&shop, "all.img");
    assert_eq!(generations(&all), ["rescue/1", "web/2", "web/1"]);
    assert!(all["entries"][0]["options"].as_str().unwrap().contains("lamina.state=PARTUUID="), "{all}");
    let listed = told(&lamina(shop.folder.path(), &["system", "list", "--disk", "all.img"]));
    assert!(listed.lines().any(|it| it.starts_with("web/1 ") && it.contains("last good")), "{listed}");
    assert!(listed.lines().any(|it| it.starts_with("web/2 ") && it.contains("default")), "{listed}");
}

/// Of what somebody else has put beside ours, a digest in the name says nothing.
#[test]
fn a_file_of_others_is_copied_whatever_its_name_says() {
    let shop = Shop::new();
    let extra = format!("lamina/ucode-{}", "a".repeat(64));
    fs::write(shop.path("esp").join(&extra), "microcode").unwrap();
    for entry in fs::read_dir(shop.path("esp/loader/entries")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen("\ninitrd ", &format!("\ninitrd /{extra}\ninitrd "), 1)).unwrap();
    }
    shop.done(&["copy", "copy.img"]);
    let found = inspected(&shop, "copy.img");
    assert_eq!(found["boot_files"].as_array().unwrap().len(), 3, "{found}");
}

#[test]
fn what_cannot_be_copied_is_refused() {
    let shop = Shop::new();
    refused(&shop, &[], "nothing says where it goes");
    refused(&shop, &["copy.img", "--size", "20M"], "are too few");
    refused(&shop, &["copy.img", "--beside", "--state", "20M"], "exclude each other");
    refused(&shop, &["copy.img", "--beside"], "copy.img: ");
    refused(&shop, &["--device", "/dev/null"], "is no block device");
    let before = fs::read(shop.path("disk.img")).unwrap();
    std::os::unix::fs::symlink("disk.img", shop.path("same.img")).unwrap();
    for same in ["disk.img", "same.img"] {
        refused(&shop, &[same], ".img: is the disk that is copied");
    }
    assert!(fs::read(shop.path("disk.img")).unwrap() == before);
    // An entry of a disk of somebody, whose kernel lies in a folder of this machine.
    let outside = shop.path("outside");
    fs::write(&outside, "mine").unwrap();
    let found = json(shop.folder.path(), &["disk", "inspect", "disk.img", "--json"]);
    let esp = found["partitions"].as_array().unwrap().iter().find(|it| it["name"] == "lamina-esp").unwrap();
    let file = File::options().read(true).write(true).open(shop.path("disk.img")).unwrap();
    let volume =
        FatVolume::open(file, esp["start"].as_u64().unwrap(), esp["size"].as_u64().unwrap()).unwrap();
    for entry in found["entries"].as_array().unwrap() {
        let path = format!("loader/entries/{}", entry["file"].as_str().unwrap());
        let mut text = String::new();
        volume.open_file(&path).unwrap().read_to_string(&mut text).unwrap();
        let line = text.lines().find(|it| it.starts_with("linux ")).unwrap().to_owned();
        let hostile = text.replace(&line, &format!("linux /../../../../../../..{}", outside.display()));
        volume.replace(&path, &mut hostile.as_bytes(), hostile.len() as u64).unwrap();
    }
    drop(volume);
    refused(&shop, &["copy.img"], "leads out of its partition");
    assert_eq!(fs::read_to_string(&outside).unwrap(), "mine");
    let folders = ["system", "copy", "copy.img", "--medium", "medium", "--esp", "esp"];
    for image in fs::read_dir(shop.path("medium/lamina/images")).unwrap() {
        fs::remove_file(image.unwrap().path()).unwrap();
    }
    let output = lamina(shop.folder.path(), &folders);
    assert!(told(&output).contains("web/2: cannot be copied"), "{}", told(&output));
    assert!(!shop.path("copy.img").exists());
}

/// A copy that no BIOS starts, of a disk that one may have started, is none in silence.
#[test]
fn what_a_bios_starts_is_copied_or_said_to_be_left_out() {
    let shop = Shop::new();
    let file = File::options().read(true).write(true).open(shop.path("disk.img")).unwrap();
    let mut sector = [0; 8];
    file.read_exact_at(&mut sector, 0x5c).unwrap();
    file.write_all_at(&[7; 8], 0x5c).unwrap();
    let said = copied(&shop, &["copy.img"]);
    let why = "boot code of the first sector does not lead to the BIOS boot partition: what a BIOS starts is not copied";
    assert!(
        said.contains("warning: disk.img: ") && said.contains(why) && said.contains("\nhelp: "),
        "{said}"
    );
    let found = json(shop.folder.path(), &["disk", "inspect", "copy.img", "--json"]);
    assert_eq!(found["partitions"].as_array().unwrap().len(), 2);
    file.write_all_at(&sector, 0x5c).unwrap();
    // Somebody else's menu for GRUB says nothing of the copy.
    let esp = DiskReader::new(file.try_clone().unwrap()).unwrap();
    let esp = esp.table.partitions.iter().find(|it| it.is_esp).unwrap().clone();
    let volume = FatVolume::open(file, esp.start, esp.length).unwrap();
    volume.replace("grub/grub.cfg", &mut b"set a=b\n".as_slice(), 8).unwrap();
    let said = copied(&shop, &["other.img"]);
    assert!(
        said.contains("was written by somebody else and says nothing of the copy: what a BIOS"),
        "{said}"
    );
    // A disk that may not be looked at is no disk without a BIOS.
    let mut target = Target::mounted(&shop.path("medium"), &shop.path("esp")).unwrap();
    let installed = Installed::read(&target).unwrap();
    let chosen = contents::choose(&installed, false).unwrap();
    target.disk = Some(shop.path("missing"));
    let error = whole::plan(&target, &installed, &chosen, WholeRequest::default()).unwrap_err().to_string();
    assert!(error.contains("missing: what a BIOS starts cannot be read: "), "{error}");
    fs::write(shop.path("esp/grub/grub.cfg"), "set a=b\n").unwrap();
    let shown_by_others = Installed::read(&target).unwrap();
    let chosen_there = contents::choose(&shown_by_others, false).unwrap();
    let planned = whole::plan(&target, &shown_by_others, &chosen_there, WholeRequest::default()).unwrap();
    let left_out = planned.left_out.unwrap().to_string();
    assert!(left_out.contains("missing: nobody knows whether a BIOS starts it: No such file"), "{left_out}");
    // Nothing else starts this one.
    target.disk = None;
    fs::remove_file(shop.path("esp/EFI/BOOT/BOOTX64.EFI")).unwrap();
    let error = whole::plan(&target, &installed, &chosen, WholeRequest::default()).unwrap_err().to_string();
    assert!(error.contains("is a folder of no disk that is known") && error.contains("\nhelp: "), "{error}");
}
