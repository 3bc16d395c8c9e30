//! An EFI system partition on which two files share clusters: each looks whole, and one of them is not.

mod program;

use std::fs;

use program::made_disk::Shop;
use program::{json, lamina, told};

/// The entries of a FAT folder, of 32 bytes each, whose short names begin so and which are of files (fatgen103), as places in the disk.
fn entries(disk: &[u8], esp: &serde_json::Value, beginning: &[u8]) -> Vec<usize> {
    let (start, size) = (esp["start"].as_u64().unwrap() as usize, esp["size"].as_u64().unwrap() as usize);
    let is_meant = |at: &usize| disk[*at..].starts_with(beginning) && disk[*at + 11] == 0x20;
    (start..start + size).step_by(32).filter(is_meant).collect()
}

#[test]
fn files_that_share_clusters_are_damage_and_nothing_is_read_of_them() {
    let shop = Shop::new();
    let found = json(shop.folder.path(), &["disk", "inspect", "disk.img", "--json"]);
    let esp = found["partitions"].as_array().unwrap().iter().find(|it| it["name"] == "lamina-esp").unwrap();
    let mut disk = fs::read(shop.path("disk.img")).unwrap();
    // Two entries of the menu: no digest tells that one of them is the other.
    let [first, second, ..] = entries(&disk, esp, b"LAMINA~")[..] else { panic!("no entries") };
    for place in [20, 21, 26, 27] {
        disk[second + place] = disk[first + place];
    }
    fs::write(shop.path("disk.img"), disk).unwrap();
    let output = lamina(shop.folder.path(), &["disk", "inspect", "disk.img"]);
    let said = told(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let line =
        said.lines().find(|it| it.contains("shares clusters with")).unwrap_or_else(|| panic!("{said}"));
    assert!(line.starts_with("damaged: loader/entries/lamina-"), "{said}");
    assert_eq!(line.matches("loader/entries/lamina-").count(), 2, "{said}");
    assert!(said.contains("    help: `fsck.vfat` gives each of them its own"), "{said}");
    for words in
        [&["list"][..], &["copy", "copy.img"], &["install", "web", "--dry-run"], &["default", "rescue"]]
    {
        let output = lamina(shop.folder.path(), &[&["system"], words, &["--disk", "disk.img"]].concat());
        let said = told(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        let is_root = rustix::process::geteuid().is_root();
        let meant =
            if words == ["default", "rescue"] && !is_root { "takes root" } else { "shares clusters with" };
        assert!(said.contains("disk.img: ") && said.contains(meant) && said.contains("\nhelp: "), "{said}");
    }
}
