//! Which kernel is taken, for which machines, and the firmware that goes along.

use std::fs;
use std::process::Command;

use crate::fixture::{Fixture, RELEASE, module, shell};
use kernel_config::Group;
use mkinitramfs::{Firmwares, Plan, Reason, Request, Source};

fn names(plan: &Plan) -> Vec<&str> {
    plan.modules.picked.iter().map(|picked| picked.name.as_str()).collect()
}

/// A second kernel beside that of the fixture, as after an update.
pub fn put_other_kernel(fixture: &Fixture) {
    put_kernel(fixture, "6.2.0-other");
}

pub fn put_kernel(fixture: &Fixture, release: &str) {
    let modules = format!("kernel/lib/modules/{release}");
    for name in ["loop", "squashfs", "overlay"] {
        fixture.put(&format!("{modules}/kernel/{name}.ko"), &module("", "", release));
    }
    fixture.put(&format!("kernel/boot/config-{release}"), b"CONFIG_BLK_DEV_LOOP=m\n");
    fixture.put(&format!("{modules}/modules.builtin"), b"kernel/fs/ext4/ext4.ko\n");
}

#[test]
fn one_of_several_installed_kernels_is_chosen() {
    let fixture = Fixture::new();
    put_other_kernel(&fixture);
    let mut request = fixture.request();
    assert_eq!(
        fixture.refusal(&request),
        format!(
            "DIR/kernel: it holds several kernels: {RELEASE}, 6.2.0-other\n\
             help: choose one: --release NAME of mkinitramfs, or its folder lib/modules/NAME as the kernel"
        )
    );
    request.release = Some("6.2.0-other".to_owned());
    assert_eq!(request.plan().expect("a plan").release, "6.2.0-other");
    let folder = Request::new(fixture.path("kernel/lib/modules/6.2.0-other"), fixture.path("init"));
    assert_eq!(folder.plan().expect("a plan").release, "6.2.0-other");
    request.release = Some("6.3".to_owned());
    assert!(fixture.refusal(&request).starts_with(&format!(
        "DIR/kernel: it holds no kernel 6.3; there is: {RELEASE}, 6.2.0-other\nhelp: name a release"
    )));
}

#[test]
fn one_call_makes_the_initramfs_of_every_kernel() {
    let fixture = Fixture::new();
    put_other_kernel(&fixture);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mkinitramfs"));
        let command = command.args(["--kernel", "kernel", "--init", "init"]).args(arguments);
        let output = command.current_dir(fixture.folder.path()).output().expect("it runs");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let (is_success, _, error) = run(&["--release", "all", "-o", "out.img"]);
    assert!(
        !is_success && error.contains("out.img: several initramfs cannot be one file\nhelp: "),
        "{error}"
    );
    let (is_success, report, error) = run(&["--release", "all", "-o", "RELEASE.img"]);
    assert!(is_success, "{error}");
    for release in [RELEASE, "6.2.0-other"] {
        assert!(report.contains(&format!("kernel {release}\n")), "{report}");
        assert!(
            shell(fixture.folder.path(), &format!("zstd -dc {release}.img | cpio -t --quiet"))
                .contains(release)
        );
    }
    let (_, report, _) = run(&["--release", "6.2.0-other", "--release", "all", "--dry-run", "--json"]);
    let reports: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    let kernels: Vec<_> = reports.as_array().expect("a list").iter().map(|it| &it["kernel"]).collect();
    assert_eq!(kernels, ["6.2.0-other", RELEASE]);
    // One that fails leaves nothing half done: all is decided first.
    fixture.put("kernel/lib/modules/6.2.0-other/kernel/loop.ko", &module("gone", "", "6.2.0-other"));
    fs::remove_file(fixture.path(&format!("{RELEASE}.img"))).expect("it was there");
    let (is_success, report, error) = run(&["--release", "all", "-o", "RELEASE.img"]);
    assert!(!is_success && report.is_empty(), "{report}");
    assert!(error.contains("kernel: the module loop needs the module gone, "), "{error}");
    assert!(!fixture.path(&format!("{RELEASE}.img")).exists());
}

/// Debian 13, Ubuntu, Fedora and Arch have them compressed, each in its way.
#[test]
fn an_installed_kernel_with_compressed_modules_gives_the_same_bytes() {
    let (plain, packed) = (Fixture::new(), Fixture::new());
    let modules = format!("kernel/lib/modules/{RELEASE}");
    shell(
        &packed.path(&modules),
        "xz kernel/fs/squashfs.ko; zstd -q --rm kernel/lib/lib-a.ko; gzip kernel/lib/lib-b.ko",
    );
    let write = |fixture: &Fixture| {
        let request = Request::new(fixture.path(&modules), fixture.path("init"));
        request.plan().expect("a plan").write(3, &fixture.path("out.img")).expect("written");
        fs::read(fixture.path("out.img")).expect("the file")
    };
    assert_eq!(write(&plain), write(&packed));
}

#[test]
fn a_module_that_modules_dep_promises_must_be_there() {
    let fixture = Fixture::new();
    fixture
        .put_module("modules.dep", b"kernel/fs/fat/vfat.ko: kernel/fs/fat/fat.ko\nkernel/fs/fat/fat.ko:\n");
    let refusal = fixture.refusal(&fixture.request());
    assert_eq!(
        refusal,
        "DIR/kernel: modules.dep names the module kernel/fs/fat/vfat.ko, which is not there\n\
         help: the kernel is incomplete: install its package again; if it shall be without the module, run 'depmod 6.1.0-test'"
    );
    fixture.put_module("modules.dep", b"kernel/drivers/gone.ko:\n");
    fixture.request().plan().expect("one that nothing wants may be missing");
}

#[test]
fn a_truncated_package_and_a_dynamic_busybox_are_refused() {
    let fixture = Fixture::new();
    fixture.put(
        "kernel/DEBIAN/control",
        b"Package: k\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: k\n",
    );
    shell(fixture.folder.path(), "dpkg-deb -Zxz -b kernel k.deb >/dev/null; truncate -s -100 k.deb");
    let refusal = fixture.refusal(&Request::new(fixture.path("k.deb"), fixture.path("init")));
    assert!(
        refusal.starts_with("DIR/k.deb: not a usable Debian package: it is cut short: member "),
        "{refusal}"
    );
    assert!(refusal.ends_with("\nhelp: fetch the package again"), "{refusal}");
    let mut request = fixture.request();
    request.busybox = Some(std::env::current_exe().expect("this test, which is dynamic"));
    let refusal = fixture.refusal(&request);
    assert!(refusal.contains(": is linked dynamically, against /lib"), "{refusal}");
    assert!(
        refusal.contains("help: give a static busybox: the package busybox-static of Debian"),
        "{refusal}"
    );
}

/// Drivers of three machines, with the devices that they are for.
fn with_drivers(fixture: &Fixture) {
    for (path, depends, alias) in [
        ("kernel/drivers/ata/ahci.ko", "libahci", "alias=pci:v*d*sv*sd*bc01sc06i01*\0"),
        ("kernel/drivers/ata/libahci.ko", "", ""),
        ("kernel/drivers/scsi/megaraid_sas.ko", "", "alias=pci:v00001000d00000060sv*sd*bc*sc*i*\0"),
        (
            "kernel/drivers/net/card.ko",
            "",
            "alias=pci:v00008086d0000100Esv*sd*bc*sc*i*\0firmware=card/a.fw\0firmware=card/gone.fw\0",
        ),
        ("kernel/sound/snd-card.ko", "", "alias=pci:v00008086d00002668sv*sd*bc*sc*i*\0"),
        ("kernel/fs/fat/vfat.ko", "", "alias=fs-vfat\0"),
        ("kernel/drivers/gpu/drm/i915/i915.ko", "", "firmware=i915/dmc.bin\0"),
    ] {
        fixture.put_module(path, &module(depends, alias, RELEASE));
    }
}

/// What another machine's devices say they are.
fn with_machine(fixture: &Fixture, devices: &[&str]) {
    for (number, modalias) in devices.iter().enumerate() {
        fixture.put(&format!("sys/devices/pci0000:00/{number}/modalias"), format!("{modalias}\n").as_bytes());
    }
}

const SATA: &str = "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01";
const CARD: &str = "pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00";
const SOUND: &str = "pci:v00008086d00002668sv00001AF4sd00001100bc04sc03i00";

#[test]
fn a_machine_gets_what_its_devices_ask_for() {
    let fixture = Fixture::new();
    with_drivers(&fixture);
    with_machine(&fixture, &[SATA, CARD, SOUND]);
    let mut request = fixture.request();
    (request.groups, request.host) = (Request::HOST.to_vec(), Some(fixture.path("sys")));
    let plan = request.plan().expect("a plan");
    let picked = names(&plan);
    for name in ["loop", "squashfs", "overlay", "vfat", "ext4", "libahci", "ahci", "card"] {
        assert!(picked.contains(&name), "{name}: {picked:?}");
    }
    for name in ["megaraid_sas", "snd_card", "i915"] {
        assert!(!picked.contains(&name), "{name}: {picked:?}");
    }
    let ahci = plan.modules.picked.iter().find(|picked| picked.name == "ahci").expect("it");
    assert_eq!(ahci.reason, Reason::Device { modalias: SATA.to_owned() });
    let report = plan.to_string();
    assert!(report.contains("not for a boot: sound: snd_card\n"), "{report}");
    assert!(report.contains(&format!("asked for by the device {SATA}")), "{report}");
}

/// depmod's table says the same as the modules, as long as it is no older.
#[test]
fn the_table_of_depmod_is_taken_when_it_is_no_older_than_the_modules() {
    let fixture = Fixture::new();
    with_drivers(&fixture);
    with_machine(&fixture, &[CARD]);
    let mut request = fixture.request();
    (request.groups, request.host) = (Request::HOST.to_vec(), Some(fixture.path("sys")));
    let of_modules = names(&request.plan().expect("a plan")).join(" ");
    fixture.put_module("modules.alias", b"alias pci:v00008086d0000100Esv*sd*bc*sc*i* card\n");
    assert_eq!(names(&request.plan().expect("a plan")).join(" "), of_modules);
    let table = fixture.path(&format!("kernel/lib/modules/{RELEASE}/modules.alias"));
    let old = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
    fs::File::open(table).and_then(|table| table.set_times(old)).expect("made old");
    let refusal = fixture.refusal(&request);
    assert!(
        refusal.starts_with("DIR/kernel: modules.alias is older than the module lib/modules/6.1.0-test/"),
        "{refusal}"
    );
    assert!(refusal.contains("help: run 'depmod 6.1.0-test'"), "{refusal}");
}

#[test]
fn any_machine_gets_the_drives_of_all_and_no_large_graphics() {
    let fixture = Fixture::new();
    with_drivers(&fixture);
    let mut request = fixture.request();
    let usual = request.plan().expect("a plan");
    assert!(!names(&usual).contains(&"megaraid_sas") && names(&usual).contains(&"ahci"), "{usual}");
    request.groups = Request::GENERIC.to_vec();
    let plan = request.plan().expect("a plan");
    assert!(names(&plan).contains(&"megaraid_sas") && !names(&plan).contains(&"i915"), "{plan}");
    request.groups.push(Group::Graphics);
    assert!(names(&request.plan().expect("a plan")).contains(&"i915"));
}

/// Plain and compressed; what the kernel looks for first goes before; nothing is fatal.
#[test]
fn firmware_goes_where_the_kernel_looks_and_what_is_missing_is_said_once() {
    let fixture = Fixture::new();
    fixture.put_module(
        "kernel/drivers/odd.ko",
        &module(
            "",
            "firmware=b.fw\0firmware=odd/*.bin\0firmware=../../init\0firmware=gone.fw\0firmware=x/c.fw\0",
            RELEASE,
        ),
    );
    let mut request = fixture.request();
    request.modules.push("odd".to_owned());
    request.firmware = Firmwares::Of(fixture.path("fw"));
    assert!(
        fixture.refusal(&request).starts_with("DIR/fw: is not a folder\nhelp: --firmware takes a folder")
    );
    fixture.put("fw/b.fw", b"plain");
    fixture.put("fw/updates/b.fw", b"newer");
    fixture.put("fw/odd/one.bin", b"one");
    fixture.put("fw/odd/two.bin", b"two");
    fixture.put("fw/odd/other.fw", b"other");
    fixture.put("fw/x/c.fw", b"three");
    shell(&fixture.path("fw"), "xz odd/two.bin; zstd -q --rm x/c.fw");
    let plan = request.plan().expect("a plan");
    let firmware: Vec<(&str, &[u8])> = plan
        .contents
        .iter()
        .filter_map(|(path, entry)| match (path.strip_prefix("lib/firmware/"), &entry.source) {
            (Some(name), Source::Bytes(bytes)) => Some((name, &bytes[..])),
            _ => None,
        })
        .collect();
    assert_eq!(
        firmware,
        [("b.fw", &b"newer"[..]), ("odd/one.bin", b"one"), ("odd/two.bin", b"two"), ("x/c.fw", b"three")]
    );
    let report = plan.to_string();
    let warning =
        format!("warning: firmware is not in {}: gone.fw, named by odd; ", fixture.path("fw").display());
    assert!(report.contains(&warning) && report.contains("firmware of odd"), "{report}");
    // That of the system which the kernel is from, not of this machine.
    fixture.put("kernel/lib/firmware/gone.fw", b"found");
    request.firmware = Firmwares::OfItsSystem;
    let plan = request.plan().expect("a plan");
    assert_eq!(plan.firmware, [("lib/firmware/gone.fw".to_owned(), "odd".to_owned())]);
    request.firmware = Firmwares::None;
    let plan = request.plan().expect("a plan");
    assert!(plan.firmware.is_empty() && plan.warnings.is_empty(), "{plan}");
}

#[test]
fn the_command_takes_the_choices_and_refuses_two_of_them() {
    let fixture = Fixture::new();
    with_drivers(&fixture);
    with_machine(&fixture, &[CARD]);
    fixture.put("fw/card/a.fw", b"firmware");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mkinitramfs"));
        command
            .args(["--kernel", "kernel", "--init", "init"])
            .args(arguments)
            .current_dir(fixture.folder.path());
        let output = command.output().expect("mkinitramfs runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    for (arguments, first, second) in [
        (&["--generic", "--host"][..], "--generic", "--host"),
        (&["--host", "--group", "core"], "--host", "--group"),
        (&["--generic", "--group", "core"], "--generic", "--group"),
    ] {
        let (status, _, error) = run(&[arguments, &["--dry-run"]].concat());
        let expected = format!(
            "mkinitramfs: {first}: and {second} exclude each other\nhelp: give one of them; --add-group "
        );
        assert!(status == Some(1) && error.starts_with(&expected), "{error}");
    }
    let (status, _, error) = run(&["--sysfs", "sys", "--dry-run"]);
    assert!(status == Some(1) && error.starts_with("mkinitramfs: --sysfs needs --host\nhelp: "), "{error}");
    let (_, report, _) = run(&["--host", "--sysfs", "sys", "--firmware", "fw", "--output", "out.img"]);
    assert!(report.contains("asked for by the device pci:v00008086d0000100E"), "{report}");
    assert!(
        report.contains("lib/firmware/card/a.fw ")
            && report.contains("not in fw: card/gone.fw, named by card;"),
        "{report}"
    );
    let (_, report, _) =
        run(&["--generic", "--add-group", "graphics", "--firmware", "fw", "--dry-run", "--json"]);
    assert!(report.contains("\"i915\"") && report.contains("\"megaraid_sas\""), "{report}");
    let (_, report, _) = run(&["--release", RELEASE, "--dry-run"]);
    assert!(report.starts_with("kernel 6.1.0-test\n") && !report.contains("megaraid_sas"), "{report}");
}

/// As `make install` puts them: `bin/mkinitramfs` and `lib/lamina/init`.
#[test]
fn the_init_of_the_installation_goes_in_when_none_is_named() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.path("bin")).expect("a folder");
    // By another process: what this one has open for writing while another test starts something, nobody can start (ETXTBSY).
    shell(fixture.folder.path(), concat!("cp '", env!("CARGO_BIN_EXE_mkinitramfs"), "' bin/mkinitramfs"));
    let run = |arguments: &[&str]| {
        let mut command = Command::new(fixture.path("bin/mkinitramfs"));
        let output = command.args(arguments).current_dir(fixture.folder.path()).output().expect("it runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let arguments = ["--kernel", "kernel", "-o", "out.img"];
    let (_, error) = run(&arguments);
    assert_eq!(
        error,
        "mkinitramfs: init: lies neither in ../lib/lamina nor beside this program\n\
         help: `make init` makes out/init; name it with --init FILE\n"
    );
    fixture.put("lib/lamina/init", &fs::read(fixture.path("init")).expect("the init"));
    let (is_success, error) = run(&arguments);
    assert!(is_success && fixture.path("out.img").exists(), "{error}");
    // Of a release that nobody has: the folder is named, and what helps.
    let (is_success, error) = run(&["--release", "0.0-nobody", "-o", "out.img"]);
    let expected = "mkinitramfs: /lib/modules/0.0-nobody: there is no such folder: no kernel of this release is installed\nhelp: ";
    assert!(!is_success && error.starts_with(expected), "{error}");
}
