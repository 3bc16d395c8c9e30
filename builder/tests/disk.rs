//! Images of disks: the same bytes twice, looked at, refused with a remedy.

mod program;
mod shop;

use std::fs;
use std::path::{Path, PathBuf};

use program::{json, lamina, told};
use shop::{create, shop};

fn image_of(folder: &Path) -> PathBuf {
    fs::read_dir(folder.join("store/images")).unwrap().next().unwrap().unwrap().path()
}

#[test]
fn the_same_disk_twice_and_all_of_it_is_found_again() {
    let shop = shop();
    let more = ["--profile", "rescue", "--state", "20M", "--option", "x=a b"];
    let told_of = json(shop.path(), &[&create("one.img", &more)[..], &["--json"]].concat());
    let output = lamina(shop.path(), &create("two.img", &more));
    assert!(output.status.success(), "{}", told(&output));
    let bytes = |name: &str| fs::read(shop.path().join(name)).unwrap();
    assert!(bytes("one.img") == bytes("two.img"), "two disks of one store differ");

    let found = json(shop.path(), &["disk", "inspect", "one.img", "--json"]);
    assert_eq!(found["damage"], serde_json::json!([]));
    let names: Vec<&str> =
        found["partitions"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["lamina-bios", "lamina-esp", "lamina-store", "lamina-state"]);
    let entries = found["entries"].as_array().unwrap();
    assert_eq!(entries[0]["title"], "web: Seiten für \"alle\" $5");
    assert_eq!(entries[1]["title"], "rescue");
    for (seen, meant) in entries.iter().zip(told_of["entries"].as_array().unwrap()) {
        assert_eq!((&seen["title"], &seen["options"]), (&meant["title"], &meant["options"]));
    }
    let digest = |profile: &str| {
        let generations = found["generations"].as_array().unwrap();
        generations.iter().find(|it| it["profile"] == profile).unwrap()["digest"].as_str().unwrap().to_owned()
    };
    let uuid = |at: usize| found["partitions"][at]["uuid"].as_str().unwrap();
    let line = format!(
        "lamina.profile=web@{} lamina.fallback=rescue@{} lamina.store=PARTUUID={} console=ttyS0,115200 console=tty0 x=\"a b\" \
         lamina.state=PARTUUID={}",
        digest("web"),
        digest("rescue"),
        uuid(2),
        uuid(3)
    );
    assert_eq!(entries[0]["options"], line);
    assert!(!entries[1]["options"].as_str().unwrap().contains("lamina.state="), "{entries:?}");

    let other = json(
        shop.path(),
        &[&create("three.img", &["--dry-run", "--timeout", "9"])[..], &["--json"]].concat(),
    );
    assert_ne!(other["uuid"], told_of["uuid"]);
    assert!(!shop.path().join("three.img").exists(), "--dry-run wrote");
}

#[test]
fn a_killed_command_leaves_nothing() {
    let shop = shop();
    let (here, temporary) = (shop.path().join("here"), shop.path().join("temporary"));
    fs::create_dir_all(&here).unwrap();
    fs::create_dir_all(&temporary).unwrap();
    let commands = [create("here/x.img", &["--verbose"]), create("here/x.img", &["--format", "qcow2"])];
    // Earlier and earlier from the end on: a whole run takes some hundred milliseconds.
    for (command, pause) in [(0, 400), (0, 200), (0, 100), (0, 50), (0, 20), (1, 400), (1, 300), (1, 200)] {
        let arguments: &[&str] = &commands[command];
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_lamina"))
            .args(arguments)
            .env("LAMINA_STORE", shop.path().join("store"))
            .env("LAMINA_CACHE", shop.path().join("cache"))
            .env("TMPDIR", &temporary)
            .current_dir(shop.path())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(pause));
        child.kill().unwrap();
        if child.wait().unwrap().success() {
            fs::remove_file(here.join("x.img")).unwrap();
        }
        let left = |folder: &Path| {
            fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name()).collect::<Vec<_>>()
        };
        assert_eq!(left(&here), Vec::<std::ffi::OsString>::new(), "killed after {pause} ms");
        // Both slots that count boots are made in a folder, and are all that may stay.
        let names = left(&temporary);
        assert!(names.len() <= 1 && names.iter().all(|name| !temporary.join(name).is_file()), "{names:?}");
        names.iter().for_each(|name| fs::remove_dir_all(temporary.join(name)).unwrap());
    }
}

#[test]
fn damage_is_named() {
    let shop = shop();
    let output = lamina(shop.path(), &create("disk.img", &["--firmware", "uefi"]));
    assert!(output.status.success(), "{}", told(&output));
    let path = shop.path().join("disk.img");
    let mut bytes = fs::read(&path).unwrap();
    let image = fs::read(image_of(shop.path())).unwrap();
    for part in [&image[..512], b"a kernel"] {
        let at = bytes.windows(part.len()).position(|it| it == part).expect("the disk holds it");
        bytes[at] ^= 1;
    }
    // The first copy of the partition table.
    bytes[512 + 16] ^= 1;
    fs::write(&path, bytes).unwrap();
    let output = lamina(shop.path(), &["disk", "inspect", "disk.img"]);
    let said = told(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for sentence in [
        "damaged: partition table: its first copy is damaged: ",
        ".sqfs: is damaged: its SHA-256 is ",
        "damaged: lamina/linux-",
    ] {
        assert!(said.contains(sentence), "{sentence}\nnot in: {said}");
    }
}

#[test]
fn a_refusal_names_a_remedy_and_leaves_nothing() {
    let shop = shop();
    let refused = |arguments: &[&str], parts: &[&str]| {
        let output = lamina(shop.path(), arguments);
        let said = told(&output);
        assert!(!output.status.success(), "{said}");
        for part in parts {
            assert!(said.contains(part), "{part}\nnot in: {said}");
        }
        assert!(!shop.path().join("x.img").exists());
    };
    refused(
        &create("x.img", &["--profile", "mail"]),
        &["profile mail: has not been locked", "`lamina build mail`"],
    );
    refused(&create("x.img", &["--profile", "a b"]), &["'a b': ", "lamina profile list"]);
    refused(&create("x.img", &["--size", "20M"]), &["20971520 bytes are too few", "give at least `--size "]);
    refused(&create("x.img", &["--size", "big"]), &["'big' is no size"]);
    refused(&create("x.img", &["--firmware", "coreboot"]), &["none of uefi, bios, both"]);
    refused(&create("x.img", &["--option", "lamina.state=LABEL=19\" rack"]), &["double quote", "UUID="]);
    for name in ["lamina.profile", "lamina.fallback", "lamina.store"] {
        let option = format!("{name}=evil");
        refused(&create("x.img", &["--option", &option]), &["stands in each entry already"]);
    }
    refused(&create("x.img", &["--option", "x=it's"]), &["GRUB puts a backslash", "--loader systemd-boot"]);
    refused(&create("x.img", &["--init", "initramfs"]), &["--init: and --initramfs exclude each other"]);
    refused(&create("x.img", &["--device", "/dev/null"]), &["--device: and the name of an image"]);
    refused(&create("x.img", &["--format", "iso"]), &["none of raw, qcow2, vmdk, vhdx"]);
    refused(&create("x.img", &["--erase", "sdx"]), &["--erase: is for a device"]);
    refused(&["disk", "create", "--profile", "web"], &["nothing says where it goes", "--device /dev/sdX"]);
    refused(
        &["disk", "create", "--device", "/dev/null", "--profile", "web"],
        &["/dev/null: is no block device", "`lsblk` lists them"],
    );
    refused(
        &["disk", "create", "--device", "/dev/null", "--size", "1G", "--profile", "web"],
        &["--size: and --device exclude each other"],
    );
    refused(&["disk", "create", "x.img"], &["no profile is named", "--profile NAME"]);
    refused(
        &["disk", "create", "x.img", "--profile", "web", "--kernel", "./none"],
        &["./none: does not exist", "lamina kernel list"],
    );
    refused(&["disk", "inspect", "initramfs"], &["initramfs: holds no Lamina system", "lamina disk create"]);

    let image = image_of(shop.path());
    let mut bytes = fs::read(&image).unwrap();
    bytes[100] ^= 1;
    fs::write(&image, &bytes).unwrap();
    refused(&create("x.img", &[]), &["its source holds ", "`lamina store verify`"]);
    fs::write(&image, &bytes[1..]).unwrap();
    let truncated = format!("is truncated: it has {} of {} bytes", bytes.len() - 1, bytes.len());
    refused(&create("x.img", &[]), &["which profile web needs, ", &truncated, "`lamina store verify`"]);
    fs::remove_file(&image).unwrap();
    refused(&create("x.img", &[]), &["profile web needs it", "`lamina build web`"]);
}

#[test]
fn blanks_quotes_and_umlauts_are_part_of_names() {
    let shop = shop();
    let store = "Ein \"großes\" Lager";
    fs::rename(shop.path().join("store"), shop.path().join(store)).unwrap();
    let out = "Größe \"5\" $x.img";
    let words = create(out, &["--store", store, "--option", "lamina.add=a,b", "--option", "x=LABEL=Größe 5"]);
    let output = lamina(shop.path(), &words);
    assert!(output.status.success(), "{}", told(&output));
    let found = json(shop.path(), &["disk", "inspect", out, "--json"]);
    assert_eq!(found["damage"], serde_json::json!([]));
    let options = found["entries"][0]["options"].as_str().unwrap();
    assert!(options.ends_with(" lamina.add=a,b x=\"LABEL=Größe 5\""), "{options}");
}

#[test]
fn entries_are_counted_on_request() {
    let shop = shop();
    let output = lamina(shop.path(), &create("x.img", &["--profile", "rescue", "--tries", "3"]));
    assert!(output.status.success(), "{}", told(&output));
    let found = json(shop.path(), &["disk", "inspect", "x.img", "--json"]);
    let entry = |at: usize| (&found["entries"][at]["file"], &found["entries"][at]["tries"]);
    assert_eq!(entry(0), (&"lamina-web-1+3-0.conf".into(), &serde_json::json!({ "left": 3, "done": 0 })));
    assert_eq!(entry(1), (&"lamina-rescue-1.conf".into(), &serde_json::Value::Null));
    let output = lamina(shop.path(), &["disk", "inspect", "x.img"]);
    assert!(told(&output).contains("(tries: 3 left, 0 done)"), "{}", told(&output));
    // GRUB counts what boots by itself, where something could take its place.
    let by_grub = serde_json::json!({ "entry": "lamina-web-1", "left": 3 });
    for (more, counted) in [
        (&["--firmware", "bios", "--profile", "rescue"][..], &by_grub),
        (&["--loader", "grub", "--profile", "rescue"], &by_grub),
        (&["--loader", "grub"], &serde_json::Value::Null),
        (&["--firmware", "uefi", "--profile", "rescue"], &serde_json::Value::Null),
    ] {
        let output = lamina(shop.path(), &create("y.img", &[more, &["--tries", "3"]].concat()));
        assert!(output.status.success(), "{}", told(&output));
        let found = json(shop.path(), &["disk", "inspect", "y.img", "--json"]);
        assert_eq!((&found["grub_tries"], &found["damage"]), (counted, &serde_json::json!([])), "{more:?}");
        fs::remove_file(shop.path().join("y.img")).unwrap();
    }
}

/// The kernel that was taken out of its package stays in the cache, and one that was damaged there is not used.
#[test]
fn what_was_made_once_is_used_again() {
    let shop = shop();
    let made = |out: &str| {
        let output = lamina(shop.path(), &create(out, &[]));
        assert!(output.status.success(), "{}", told(&output));
        fs::read(shop.path().join(out)).unwrap()
    };
    let first = made("one.img");
    let kept = || {
        let mut names: Vec<_> =
            fs::read_dir(shop.path().join("cache/made")).unwrap().map(|it| it.unwrap().path()).collect();
        names.sort();
        names
    };
    let files = kept();
    assert_eq!(files.len(), 2, "the kernel and its release: {files:?}");
    files.iter().for_each(|file| fs::write(file, "damaged").unwrap());
    assert!(made("two.img") == first);
    assert_eq!(kept(), files);
    assert!(files.iter().all(|file| fs::read(file).unwrap() != b"damaged"));
    // Another kernel is not taken for this one.
    fs::write(shop.path().join("kernel/boot/vmlinuz-6.1.0-test"), "another kernel").unwrap();
    assert!(made("three.img") != first);
    assert_eq!(kept().len(), 4);
}

#[test]
fn machines_read_the_same_disk_in_their_formats() {
    let shop = shop();
    let made = |out: &str, format: &str| {
        let output = lamina(shop.path(), &create(out, &["--format", format]));
        assert!(output.status.success(), "{}", told(&output));
    };
    made("raw.img", "raw");
    for format in ["qcow2", "vmdk", "vhdx"] {
        let out = format!("disk.{format}");
        made(&out, format);
        let compared = std::process::Command::new("qemu-img")
            .args(["compare", "-f", "raw", "-F", format, "raw.img", &out])
            .current_dir(shop.path())
            .output()
            .unwrap();
        assert!(compared.status.success(), "{}", told(&compared));
        let held = fs::metadata(shop.path().join(&out)).unwrap();
        assert!(held.len() < fs::metadata(shop.path().join("raw.img")).unwrap().len() / 2, "{format}");
    }
    made("again.qcow2", "qcow2");
    let bytes = |name: &str| fs::read(shop.path().join(name)).unwrap();
    assert!(bytes("disk.qcow2") == bytes("again.qcow2"), "two disks of one store differ");
}

/// Before anything is written.
#[test]
fn a_missing_program_is_named_with_its_package() {
    let shop = shop();
    let path = shop.path().join("programs");
    fs::create_dir(&path).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_lamina"))
        .args(create("x.img", &["--format", "qcow2"]))
        .env("LAMINA_STORE", shop.path().join("store"))
        .env("LAMINA_CACHE", shop.path().join("cache"))
        .env("PATH", &path)
        .current_dir(shop.path())
        .output()
        .unwrap();
    let said = told(&output);
    assert!(said.contains("qemu-img: is missing\nhelp: install the Debian package qemu-utils"), "{said}");
    assert!(!shop.path().join("x.img").exists());
}
