//! Images of disks: the same bytes twice, looked at, refused with a remedy.

mod program;

use std::fs;
use std::path::{Path, PathBuf};

use program::{json, lamina, told};

/// A store with a locked profile, and a kernel with an initramfs that nobody starts.
fn shop() -> tempfile::TempDir {
    let folder = program::site();
    program::make_store(folder.path());
    let path = |inside: &str| folder.path().join(inside);
    let made = json(folder.path(), &["image", "create", "site", "-o", "image", "--time", "0", "--json"]);
    let (digest, verity) = (made["digest"].as_str().unwrap(), &made["verity"]);
    fs::rename(path("image"), path(&format!("store/images/{}.sqfs", &digest["sha256:".len()..]))).unwrap();
    for (name, description) in [("web", r#"Seiten für \"alle\" $5"#), ("rescue", "")] {
        let text = format!(
            "profile \"{name}\" format=1 {{\n    description \"{description}\"\n    image \"site\" version=\"1\" digest=\"{digest}\" \
             size={} root-hash={} salt={} data-blocks={} fec-roots={}\n    root writable=\"tmpfs\"\n    verify \"verity\"\n    \
             init \"/init\"\n}}\n",
            made["size"], verity["root_hash"], verity["salt"], verity["data_blocks"], verity["fec_roots"]
        );
        fs::create_dir_all(path(&format!("store/profiles/{name}"))).unwrap();
        fs::write(path(&format!("store/profiles/{name}/1.kdl")), text).unwrap();
    }
    fs::create_dir_all(path("kernel/boot")).unwrap();
    fs::create_dir_all(path("kernel/lib/modules/6.1.0-test")).unwrap();
    fs::write(path("kernel/boot/vmlinuz-6.1.0-test"), "a kernel").unwrap();
    fs::write(path("kernel/lib/modules/6.1.0-test/modules.builtin"), "").unwrap();
    fs::write(path("initramfs"), "an initramfs").unwrap();
    folder
}

fn create<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let always =
        ["disk", "create", out, "--kernel", "kernel", "--initramfs", "initramfs", "--profile", "web"];
    [&always, more].concat()
}

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
    let mut arguments = create("here/x.img", &[]);
    arguments.push("--verbose");
    // Earlier and earlier from the end on: a whole run takes some hundred milliseconds.
    for pause in [400, 200, 100, 50, 20] {
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_lamina"))
            .args(&arguments)
            .env("LAMINA_STORE", shop.path().join("store"))
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
        "damaged: the first copy of the partition table is broken",
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
    refused(&create("x.img", &["--option", "lamina.store=LABEL=19\" rack"]), &["double quote", "UUID="]);
    refused(&create("x.img", &["--option", "x=it's"]), &["GRUB puts a backslash", "--loader systemd-boot"]);
    refused(&create("x.img", &["--init", "initramfs"]), &["--init: and --initramfs exclude each other"]);
    refused(&["disk", "create", "x.img"], &["no profile is named", "--profile NAME"]);
    refused(
        &["disk", "create", "x.img", "--profile", "web", "--kernel", "./none"],
        &["./none: does not exist", "lamina kernel list"],
    );
    refused(&["disk", "inspect", "initramfs"], &["initramfs: is no GPT", "lamina disk create"]);

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
