//! `lamina vm` up to the command line of QEMU: what a guest gets, and what is refused. Guests are started by the stories of `qemu-tests`.

mod program;
mod shop;

use std::fs;
use std::path::Path;

use program::{json, lamina, told};
use serde_json::Value;
use shop::shop;

/// The words of `lamina vm` for the shop, without starting anything.
fn vm<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["vm", "web", "--kernel", "kernel", "--initramfs", "initramfs", "--dry-run"], more].concat()
}

/// QEMU's command line, as one text.
fn command(folder: &Path, arguments: &[&str]) -> String {
    let told = json(folder, &[arguments, &["--json"]].concat());
    assert_eq!(told["kvm"], Value::Bool(false), "{told}");
    told["command"]
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap())
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn a_guest_gets_what_was_asked_for_and_its_disk_is_made_once() {
    let shop = shop();
    let plain = command(shop.path(), &vm(&[]));
    for wanted in
        ["-m 512M", "-smp 2 ", "-netdev user,id=nat ", "-display none", "-no-reboot", "-serial stdio"]
    {
        assert!(plain.contains(wanted), "{wanted}: {plain}");
    }
    let digest =
        fs::read(shop.path().join("store/profiles/web/1.kdl")).map(profiles::Digest::of_bytes).unwrap();
    assert!(plain.contains(&format!("lamina.profile=web@{digest}")), "{plain}");
    let media = || {
        fs::read_dir(shop.path().join("cache/vm")).unwrap().map(|it| it.unwrap().path()).collect::<Vec<_>>()
    };
    let [medium] = &media()[..] else { panic!("{:?}", media()) };
    assert!(
        plain.contains(&format!("file={},if=virtio,format=raw,snapshot=on", medium.display())),
        "{plain}"
    );
    let uuid = medium.file_stem().unwrap().to_string_lossy().into_owned();
    assert!(plain.contains(&format!("lamina.store=UUID={uuid}")), "{plain}");
    let made = fs::metadata(medium).unwrap().created().unwrap();
    command(shop.path(), &vm(&["--no-network"]));
    assert_eq!(media(), std::slice::from_ref(medium));
    assert_eq!(fs::metadata(medium).unwrap().created().unwrap(), made, "it was made again");
}

#[test]
fn a_guest_gets_more_where_more_is_asked_for() {
    let shop = shop();
    fs::create_dir(shop.path().join("work")).unwrap();
    fs::write(shop.path().join("stick.qcow2"), "").unwrap();
    let rich = command(
        shop.path(),
        &vm(&[
            "--memory",
            "1G",
            "--processors",
            "4",
            "--forward",
            "8080:80",
            "--forward",
            "22",
            "--share",
            "work:ro",
            "--share",
            ".",
            "--usb",
            "stick.qcow2",
            "--display",
            "--append",
            "x=\"a b\" quiet",
            "--state",
            "state",
            "--state-size",
            "64M",
        ]),
    );
    let here = fs::canonicalize(shop.path()).unwrap();
    let tag = here.file_name().unwrap().to_string_lossy().trim_start_matches('.').to_owned();
    for wanted in [
        "-m 1024M",
        "-smp 4 ",
        "hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=tcp:127.0.0.1:22-:22",
        "/work,security_model=none,readonly=on,multidevs=remap -device virtio-9p-pci,fsdev=share0,mount_tag=work ",
        "lamina.share=9p:work,ro lamina.share=9p:",
        &tag,
        "file=stick.qcow2,if=none,id=stick2,format=qcow2,snapshot=on",
        "-vga std",
        " x=\"a b\" quiet lamina.share",
        "file=state,if=virtio,format=raw,snapshot=off",
        "lamina.state=UUID=",
    ] {
        assert!(rich.contains(wanted), "{wanted}: {rich}");
    }
    let judged = std::process::Command::new("e2fsck")
        .args(["-fn", "state"])
        .current_dir(shop.path())
        .output()
        .unwrap();
    assert!(judged.status.success(), "{}", told(&judged));

    assert!(!command(shop.path(), &vm(&["--no-network"])).contains("-netdev"));
    let on_lan = command(shop.path(), &vm(&["--network", "lab"]));
    assert!(
        on_lan.contains("-netdev user,id=nat ") && on_lan.contains("-netdev socket,id=lan,mcast=239.255."),
        "{on_lan}"
    );
}

#[test]
fn words_for_the_real_init_stay_behind_all_that_is_inits() {
    let shop = shop();
    let line = command(shop.path(), &vm(&["--share", ".:ro", "--append", "quiet -- single"]));
    let (before, behind) = line.split_once(" -- single").unwrap();
    assert!(before.contains(" quiet lamina.share=9p:") && !behind.contains("lamina.share"), "{line}");
}

#[test]
fn a_disk_is_started_by_its_firmware() {
    let shop = shop();
    fs::write(shop.path().join("disk.img"), "").unwrap();
    let bios = command(shop.path(), &["vm", "--disk", "disk.img", "--firmware", "bios", "--dry-run"]);
    assert!(bios.contains("file=disk.img,if=virtio,format=raw,snapshot=on"), "{bios}");
    assert!(!bios.contains("-kernel") && !bios.contains("-no-reboot"), "{bios}");
    let kept =
        command(shop.path(), &["vm", "--disk", "disk.img", "--firmware", "bios", "--keep", "--dry-run"]);
    assert!(kept.contains("snapshot=off"), "{kept}");
}

#[test]
fn where_there_is_no_guest_the_tests_of_an_earlier_one_do_not_stay_passed() {
    let shop = shop();
    fs::write(shop.path().join("test"), "#!/bin/sh\n").unwrap();
    let test = ["--test", "test"];
    for (profile, more, why) in [
        ("nobody", &[][..], "profile nobody"),
        // Before any guest is thought of.
        ("web", &["--test", "none"], "none: No such file"),
        ("web", &["--run", "true"], "--run: and --test exclude each other"),
        ("web", &["--screenshot", "a.jpg"], "--screenshot a.jpg: ends neither"),
        ("web", &["--report", "-"], "--report: cannot be standard output"),
        ("web", &["--snapshot", "--tpm"], "--snapshot: and --tpm exclude each other"),
    ] {
        fs::write(shop.path().join("junit.xml"), "all is well").unwrap();
        let words = [&["vm", profile, "--junit", "junit.xml"], &test[..], more].concat();
        let output = lamina(shop.path(), &words);
        assert_eq!(output.status.code(), Some(125), "{}", told(&output));
        let xml = fs::read_to_string(shop.path().join("junit.xml")).unwrap();
        let case = format!(r#"<testcase name="test" classname="{profile}""#);
        assert!(xml.contains(&case) && xml.contains(why), "{words:?}: {xml}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_what_helps() {
    let shop = shop();
    let refused = |arguments: &[&str], wanted: &[&str]| {
        let output = lamina(shop.path(), arguments);
        let told = told(&output);
        assert!(!output.status.success(), "{arguments:?}");
        wanted.iter().for_each(|it| assert!(told.contains(it), "{arguments:?}: {it:?} is not in {told}"));
    };
    fs::write(shop.path().join("disk.img"), "").unwrap();
    refused(&["vm"], &["boots one thing", "`--disk IMAGE`"]);
    refused(&vm(&["--disk", "disk.img"]), &["boots one thing"]);
    refused(&["vm", "--disk", "none.img"], &["none.img: "]);
    refused(&["vm", "--disk", "."], &["is a folder"]);
    refused(&["vm", "--disk", "disk.img", "--append", "x"], &["--append: is for a profile"]);
    refused(&["vm", "--disk", "disk.img", "--state", "x"], &["--state: is for a profile"]);
    refused(&["vm", "--disk", "disk.img", "--firmware", "coreboot"], &["none of uefi, bios"]);
    refused(&vm(&["--firmware", "uefi"]), &["--firmware: is for a disk", "lamina disk create"]);
    refused(&vm(&["--keep"]), &["--keep: is for a disk"]);
    refused(&vm(&["--no-network", "--forward", "80"]), &["--no-network: and --forward exclude each other"]);
    refused(&vm(&["--forward", "80:0"]), &["'0' is no port"]);
    refused(&vm(&["--memory", "1M"]), &["--memory: 1 MiB", "from 64M"]);
    refused(&vm(&["--processors", "0"]), &["'0' is no number from 1 to 255"]);
    refused(&vm(&["--share", "disk.img"]), &["--share disk.img: is no folder"]);
    refused(
        &vm(&["--state", "disk.img"]),
        &["disk.img: holds no file system", "a name that is not there yet"],
    );
    refused(&vm(&["--state", "new", "--state-size", "1M"]), &["16 MiB", "--state-size"]);
    refused(
        &["vm", "nobody", "--dry-run"],
        &["profile nobody: has not been locked", "`lamina build nobody`"],
    );
    refused(
        &["vm", "web", "--kernel", "6.11", "--dry-run"],
        &["kernel 6.11: is not in the list", "did you mean '6.1", "lamina kernel list"],
    );
    refused(&["vm", "web", "--kernel", "nope", "--dry-run"], &["known here: 6.1, ", "lamina kernel list"]);
    refused(&vm(&["--backing"]), &["--backing: is for images of --disk and --usb"]);
    refused(&["vm", "../x", "--dry-run"], &["../x", "lamina profile list"]);
    refused(&["vm", "web", "--kernel", "./none", "--dry-run"], &["./none: does not exist"]);
    assert!(!shop.path().join("new").exists());

    let path = shop.path().join("store/profiles/web/1.kdl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("root writable=\"tmpfs\"", "root writable=\"no\"")).unwrap();
    refused(
        &vm(&["--state", "new", "--state-size", "64M"]),
        &["profile web: has no writable top", "leave --state out"],
    );
    assert!(!shop.path().join("new").exists(), "a state was made for nobody");
    fs::write(&path, text.replace("    root writable=", "    sealed\n    root writable=")).unwrap();
    refused(
        &vm(&["--share", "."]),
        &["profile web: is sealed, and so takes no folders", "leave --share out"],
    );
}

#[test]
fn a_guest_that_nobody_sits_at_is_refused_where_it_makes_no_sense() {
    let shop = shop();
    fs::write(shop.path().join("disk.img"), "").unwrap();
    fs::write(shop.path().join("empty"), "").unwrap();
    let refused = |arguments: &[&str], status: i32, wanted: &str| {
        let output = lamina(shop.path(), arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", told(&output));
        assert!(told(&output).contains(wanted), "{arguments:?}: {wanted:?} is not in {}", told(&output));
        assert!(output.stdout.is_empty());
    };
    let web = ["vm", "web", "--kernel", "kernel", "--initramfs", "initramfs"];
    let with = |more: &[&'static str]| [&web[..], more].concat();
    refused(&with(&["--run", "true", "--test", "empty"]), 125, "--run: and --test exclude each other");
    refused(&with(&["--run", "true", "--dry-run"]), 125, "--run: and --dry-run exclude each other");
    refused(&["vm", "--disk", "disk.img", "--run", "true"], 125, "--run: needs a profile");
    refused(&with(&["--test", "none"]), 125, "none: ");
    refused(&with(&["--test", "empty"]), 125, "empty: is empty");
    refused(&with(&["--test", "."]), 125, "is a folder");
    refused(&with(&["--run", "true", "--timeout", "0"]), 2, "'0' is no number of seconds");
    refused(&with(&["--screenshot", "a.jpg"]), 125, "--screenshot a.jpg: ends neither in .png nor in .ppm");
    refused(&["vm", "--disk", "disk.img", "--screenshot", "a.png"], 125, "--screenshot: needs a profile");
    refused(&with(&["--tpm", "--dry-run"]), 1, "--tpm: and --dry-run exclude each other");
    refused(&with(&["--network", "a b", "--dry-run"]), 1, "--network a b: is no name for a network");
    for other in [
        &["--state", "state"][..],
        &["--share", "."],
        &["--usb", "disk.img"],
        &["--network", "lab"],
        &["--tpm"],
    ] {
        let cause = format!("--snapshot: and {} exclude each other", other[0]);
        refused(&[&web[..], &["--run", "true", "--snapshot"], other].concat(), 125, &cause);
    }
    refused(&with(&["--run", "true", "--junit", "-"]), 125, "--junit: cannot be standard output");
    refused(
        &with(&["--display", "--screenshot", "a.png"]),
        125,
        "--display: and --screenshot exclude each other",
    );
    refused(&with(&["--json"]), 1, "--json: is for a guest that nobody sits at");
    refused(&with(&["--dry-run", "--state-size", "64M"]), 1, "--state-size: is for a --state");
    refused(&with(&["--snapshot"]), 1, "--snapshot: is for a guest that nobody sits at");
    refused(&with(&["--junit", "junit.xml"]), 1, "--junit: is for a guest that nobody sits at");
    refused(&with(&["--log", "log"]), 1, "--log: is for a guest that nobody sits at");
    refused(&with(&["--run", "true", "--report", "none/report.json"]), 125, "none");
    let other = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    let words = [&web[..], &["--run", "true", "--forward", &port]].concat();
    refused(&words, 125, &format!("--forward {port}:{port}: port {port} of this machine is in use"));
    assert!(!shop.path().join("junit.xml").exists());
}
