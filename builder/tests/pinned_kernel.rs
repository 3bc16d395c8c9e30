//! Profiles that name their kernel, on disks and media: each starts with its own, by an initramfs that can read it.

mod program;

use std::fs;

use boot_entry::BootEntry;
use builder::store::{KernelRecord, Store};
use profiles::Name;
use profiles::resolved::{BootProfile, ImageRef};
use program::made_disk::Shop;
use program::{json, lamina, told};

const RELEASE: &str = "6.1.0-test";

/// An initramfs with nothing but this description (newc, as in the kernel's documentation), or with none.
fn initramfs(description: Option<&str>) -> Vec<u8> {
    let entry = |name: &str, data: &str| {
        let mut bytes = b"070701".to_vec();
        for place in 0..13 {
            let number = match place {
                6 => data.len(),
                11 => name.len() + 1,
                _ => 0,
            };
            bytes.extend(format!("{number:08x}").bytes());
        }
        bytes.extend(name.bytes().chain([0]));
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(data.bytes());
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    };
    let own = description.map(|text| entry("etc/lamina/initramfs.kdl", text)).unwrap_or_default();
    [own, entry("TRAILER!!!", "")].concat()
}

fn described(release: &str, format: &str) -> String {
    format!("initramfs format=1 kernel=\"{release}\"{format}\n")
}

/// A shop whose kernel is imported, with initramfs files of several kinds.
fn shop() -> Shop {
    let shop = Shop::new();
    json(shop.folder.path(), &["kernel", "import", "kernel", "--name", "linux-test", "--json"]);
    for (file, text) in [
        ("good", Some(described(RELEASE, " profile-format=2"))),
        ("of-before", Some(described(RELEASE, ""))),
        ("of-another", Some(described("6.12.0", " profile-format=2"))),
        ("silent", None),
    ] {
        fs::write(shop.path(file), initramfs(text.as_deref())).unwrap();
    }
    shop
}

/// Lets a generation of the store name the imported kernel.
fn pin(shop: &Shop, profile: &str, number: u64) {
    let store = Store::open(&shop.path("store")).unwrap();
    let KernelRecord { pin, .. } = store.kernel(&Name::parse("linux-test").unwrap()).unwrap().unwrap();
    let modules = store.modules_of(&store.kernel(&pin.name).unwrap().unwrap()).unwrap();
    let file = shop.path(&format!("store/profiles/{profile}/{number}.kdl"));
    let mut profile = BootProfile::parse("x", &fs::read(&file).unwrap()).unwrap();
    let image = ImageRef {
        name: modules.name,
        version: modules.version,
        id: Some(modules.id),
        digest: modules.digest,
        size: modules.size,
        verity: modules.verity,
    };
    profile.images.insert(0, image);
    profile.kernel = Some(pin);
    fs::write(file, profile.to_kdl()).unwrap();
}

fn other_kernel(shop: &Shop) {
    fs::create_dir_all(shop.path("other/boot")).unwrap();
    fs::write(shop.path("other/boot/vmlinuz-6.12.0"), "another kernel").unwrap();
}

#[test]
fn a_disk_starts_each_profile_with_its_own_kernel() {
    let shop = shop();
    pin(&shop, "web", 2);
    other_kernel(&shop);
    let create = |more: &[&str]| {
        lamina(shop.folder.path(), &[&["disk", "create", "new.img", "--profile", "web"], more].concat())
    };
    let made = create(&["--profile", "rescue", "--kernel", "other", "--initramfs", "good"]);
    assert!(made.status.success(), "{}", told(&made));
    let found = json(shop.folder.path(), &["disk", "inspect", "new.img", "--json"]);
    let entries = found["entries"].as_array().unwrap();
    assert_eq!((&entries[0]["version"], &entries[1]["version"]), (&RELEASE.into(), &"6.12.0".into()));
    assert_ne!(entries[0]["linux"], entries[1]["linux"]);
    assert_eq!(entries[0]["initrd"], entries[1]["initrd"]);
    assert_eq!(found["boot_files"].as_array().unwrap().len(), 3);
    let of = |name: &str| {
        found["generations"].as_array().unwrap().iter().find(|it| it["profile"] == name).unwrap()["kernel"]
            .clone()
    };
    assert_eq!((of("web")["release"].as_str(), of("rescue").is_null()), (Some(RELEASE), true));
    // A kernel that no profile wants, and initramfs files that do not boot this one.
    let refused = |more: &[&str], parts: &[&str]| {
        let output = create(more);
        assert_eq!(output.status.code(), Some(1), "{}", told(&output));
        for part in parts {
            assert!(told(&output).contains(part), "{part}\nnot in: {}", told(&output));
        }
    };
    let both = [
        "--kernel other: is 6.12.0, and the profile web is for 6.1.0-test (linux-test)",
        "leave --kernel out",
    ];
    refused(&["--kernel", "other", "--initramfs", "good"], &both);
    let same = create(&["--kernel", "kernel", "--initramfs", "good", "--dry-run"]);
    assert!(same.status.success(), "{}", told(&same));
    for (file, why) in [
        ("of-before", "its init reads profiles up to format 1, and this one has format 2"),
        ("of-another", "it was made for kernel 6.12.0, and the profile is for 6.1.0-test (linux-test)"),
        ("silent", "it says nothing of itself, so that its init may read profiles up to format 1"),
    ] {
        refused(
            &["--initramfs", file],
            &[file, "does not boot the profile web: ", why, "leave --initramfs out"],
        );
    }
    // A damaged kernel never reaches a disk.
    let store = Store::open(&shop.path("store")).unwrap();
    let kernel = store.kernel(&Name::parse("linux-test").unwrap()).unwrap().unwrap().pin;
    fs::write(store.kernel_path(&kernel.digest), "a kernle").unwrap();
    refused(&["--initramfs", "good"], &["the file was changed or damaged", "`lamina kernel import`"]);
}

#[test]
fn an_installation_keeps_the_initramfs_that_reads_the_profile_and_refuses_one_that_does_not() {
    let shop = shop();
    shop.generation("web", 3);
    pin(&shop, "web", 3);
    // The medium starts this very kernel already, by an initramfs that says nothing of itself.
    let said = shop.refused(&["install", "web"]);
    for part in [
        "on the ESP: does not boot the profile web: it says nothing of itself",
        "`--init FILE`: a new initramfs takes its place",
    ] {
        assert!(said.contains(part), "{part}\nnot in: {said}");
    }
    assert!(!shop.path("medium/lamina/profiles/web/3.kdl").exists());
    let said = shop.refused(&["install", "web", "--kernel", "kernel", "--initramfs", "of-another"]);
    assert!(
        said.contains("--initramfs: does not boot the profile web: it was made for kernel 6.12.0"),
        "{said}"
    );
    other_kernel(&shop);
    let said = shop.refused(&["install", "web", "--kernel", "other", "--initramfs", "of-another"]);
    assert!(
        said.contains("--kernel: is 6.12.0, and the profile web is for 6.1.0-test (linux-test)"),
        "{said}"
    );
    shop.done(&["install", "web", "--kernel", "kernel", "--initramfs", "good"]);
    let entry = |number: u64| {
        let files = fs::read_dir(shop.path("esp/loader/entries")).unwrap();
        let texts = files.map(|file| fs::read(file.unwrap().path()).unwrap());
        let wanted = shop.listed();
        let is_meant = |it: &&serde_json::Value| it["generation"] == number && it["profile"] == "web";
        let digest = wanted.as_array().unwrap().iter().find(is_meant).unwrap()["digest"].clone();
        let mut entries = texts.map(|text| BootEntry::parse(&text).unwrap());
        entries.find(|it| it.boots().is_some_and(|(_, bound)| digest == bound.to_string())).unwrap()
    };
    let with_good = entry(3);
    assert_eq!(with_good.version.as_deref(), Some(RELEASE));
    // The next one finds both there.
    shop.generation("web", 4);
    pin(&shop, "web", 4);
    let plan = shop.done(&["install", "web", "--dry-run"]);
    assert!(plan.contains("check lamina/linux-") && !plan.contains("copy lamina/"), "{plan}");
    shop.done(&["install", "web"]);
    assert_eq!((&entry(4).linux, &entry(4).initrd), (&with_good.linux, &with_good.initrd));
    // One that cannot be read is not taken for one that is gone: a link that leads to itself is so for everybody.
    let initrd = shop.path("esp").join(with_good.initrd[0].trim_start_matches('/'));
    fs::rename(&initrd, shop.path("away")).unwrap();
    std::os::unix::fs::symlink(initrd.file_name().unwrap(), &initrd).unwrap();
    let said = shop.refused(&["install", "web"]);
    assert!(said.contains(&initrd.file_name().unwrap().display().to_string()), "{said}");
    assert!(said.contains("os error 40") && said.contains("help: give the init"), "{said}");
    fs::remove_file(&initrd).unwrap();
    fs::rename(shop.path("away"), &initrd).unwrap();
    // A new one takes its place where its init is named.
    let said = shop.refused(&["install", "web", "--init", "nothing"]);
    assert!(said.contains("nothing: init, which the initramfs starts, is not there"), "{said}");
    assert!(said.contains("give it with `--init FILE`"), "{said}");
}

/// What a disk that nobody mounted has is found, too: nothing is made, for there is no init to make it of.
fn the_initramfs_of_a_disk_is_found(changes: bool) {
    let shop = shop();
    let on_disk = |words: &[&str]| {
        let output = lamina(shop.folder.path(), &[words, &["--disk", "new.img"]].concat());
        assert!(output.status.success(), "{}", told(&output));
        told(&output)
    };
    pin(&shop, "web", 2);
    let create = ["disk", "create", "new.img", "--profile", "web", "--initramfs", "good"];
    let made = lamina(shop.folder.path(), &create);
    assert!(made.status.success(), "{}", told(&made));
    shop.generation("web", 3);
    pin(&shop, "web", 3);
    let _ = fs::remove_dir_all(shop.path("cache"));
    let plan = on_disk(&["system", "install", "web", "--dry-run"]);
    assert!(plan.contains("check lamina/linux-") && !plan.contains("copy lamina/"), "{plan}");
    if changes {
        on_disk(&["system", "install", "web"]);
        let found = json(shop.folder.path(), &["disk", "inspect", "new.img", "--json"]);
        assert_eq!((found["boot_files"].as_array().unwrap().len(), &found["sound"]), (2, &true.into()));
        let initrds: Vec<&serde_json::Value> =
            found["entries"].as_array().unwrap().iter().map(|it| &it["initrd"]).collect();
        assert!(initrds.len() == 2 && initrds[0] == initrds[1], "{found}");
    }
    assert!(!shop.path("cache/made").exists());
}

#[test]
fn a_plan_for_a_disk_finds_its_initramfs() {
    the_initramfs_of_a_disk_is_found(false);
}

#[test]
#[ignore = "takes root"]
fn an_installation_on_a_disk_finds_its_initramfs() {
    the_initramfs_of_a_disk_is_found(true);
}

#[test]
fn a_guest_takes_the_file_of_its_own_kernel_and_refuses_another() {
    let shop = shop();
    pin(&shop, "web", 2);
    other_kernel(&shop);
    let vm = |kernel: &str| {
        lamina(shop.folder.path(), &["vm", "web", "--kernel", kernel, "--initramfs", "good", "--dry-run"])
    };
    let same = vm("kernel");
    assert!(same.status.success(), "{}", told(&same));
    let refused = vm("other");
    let wanted = "--kernel other: is 6.12.0, and the profile web is for 6.1.0-test (linux-test)\nhelp: leave --kernel out";
    assert!(!refused.status.success() && told(&refused).contains(wanted), "{}", told(&refused));
}

#[test]
fn the_difference_of_two_generations_names_their_kernels() {
    let shop = shop();
    pin(&shop, "web", 2);
    let said = lamina(shop.folder.path(), &["system", "diff", "web/1", "web/2"]);
    assert!(told(&said).contains("kernel: nothing -> linux-test (6.1.0-test)"), "{}", told(&said));
}
