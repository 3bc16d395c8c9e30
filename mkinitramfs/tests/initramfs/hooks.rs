//! The hooks of distributions, run as these run them, on a root of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::fixture::{Fixture, RELEASE, shell};
use crate::machines::put_kernel;
use mkinitramfs::list;

fn hooks() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("hooks")
}

/// A root with one kernel, and a configuration that names the init.
fn root() -> Fixture {
    let fixture = Fixture::new();
    let init = fixture.path("init");
    let conf = format!("OPTIONS='--init {} --level 3'\n", init.display());
    fixture.put("kernel/etc/lamina/initramfs.conf", conf.as_bytes());
    fixture
}

/// Runs a hook; `environment` is `NAME=VALUE`.
fn run(fixture: &Fixture, hook: &str, arguments: &[&str], environment: &[&str], input: &str) -> Output {
    fixture.put("input", input.as_bytes());
    let input = fs::File::open(fixture.path("input")).expect("what goes to standard input");
    Command::new("sh")
        .arg(hooks().join(hook))
        .args(arguments)
        .env("LAMINA_ROOT", fixture.path("kernel"))
        .env("LAMINA_LIB", hooks())
        .env("MKINITRAMFS", env!("CARGO_BIN_EXE_mkinitramfs"))
        .env_remove("DEB_MAINT_PARAMS")
        .envs(environment.iter().filter_map(|pair| pair.split_once('=')))
        .stdin(Stdio::from(input))
        .output()
        .expect("sh runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Where the initramfs goes when nothing else is said.
fn made(fixture: &Fixture) -> PathBuf {
    fixture.path(&format!("kernel/boot/lamina-{RELEASE}.img"))
}

#[test]
fn debian_makes_one_for_a_kernel_that_comes_and_removes_that_of_one_that_goes() {
    let fixture = root();
    let output = run(&fixture, "debian-postinst", &[RELEASE, "/boot/vmlinuz"], &[], "");
    assert!(output.status.success() && output.stdout.is_empty(), "{}", said(&output));
    assert!(list(&made(&fixture)).expect("listed").entries.iter().any(|entry| entry.path == "init"));
    // The kernel's package is only unpacked, or upgraded: nothing is to be made, nothing to be removed.
    fs::write(made(&fixture), "old").expect("an old one");
    for (hook, when) in [
        ("debian-postinst", "triggered x"),
        ("debian-postrm", "upgrade 6.2"),
        ("debian-postrm", "'upgrade' '6.2'"),
    ] {
        let output = run(&fixture, hook, &[RELEASE], &[&format!("DEB_MAINT_PARAMS={when}")], "");
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(fs::read(made(&fixture)).expect("still there"), b"old", "{hook} {when}");
    }
    let output = run(&fixture, "debian-postinst", &[RELEASE], &["DEB_MAINT_PARAMS='configure' '6.0'"], "");
    assert!(output.status.success() && list(&made(&fixture)).is_ok(), "{}", said(&output));
    let output = run(&fixture, "debian-postrm", &[RELEASE], &["DEB_MAINT_PARAMS=remove"], "");
    assert!(output.status.success() && !made(&fixture).exists(), "{}", said(&output));
    // A second time there is nothing to remove, which is fine.
    assert!(run(&fixture, "debian-postrm", &[RELEASE], &[], "").status.success());
}

#[test]
fn the_word_release_stands_for_that_of_the_kernel_wherever_it_is() {
    let fixture = root();
    let init = fixture.path("init");
    let conf =
        format!("OPTIONS='--init {}'\nOUTPUT=/MYRELEASES/RELEASE/RELEASE-RELEASE.img\n", init.display());
    fixture.put("kernel/etc/lamina/initramfs.conf", conf.as_bytes());
    let folder = fixture.path(&format!("kernel/MYRELEASES/{RELEASE}"));
    fs::create_dir_all(&folder).expect("a folder");
    let output = run(&fixture, "kernel-hook", &["add", RELEASE], &[], "");
    let made = folder.join(format!("{RELEASE}-{RELEASE}.img"));
    assert!(output.status.success() && made.exists(), "{}", said(&output));
    assert!(run(&fixture, "kernel-hook", &["remove", RELEASE], &[], "").status.success() && !made.exists());
}

/// A word in it is not the word of the path.
#[test]
fn a_release_and_a_folder_may_be_called_release() {
    let fixture = root();
    for release in ["6.1-RELEASE", "RELEASE"] {
        put_kernel(&fixture, release);
        let made = fixture.path(&format!("kernel/boot/lamina-{release}.img"));
        let output = run(&fixture, "kernel-hook", &["add", release], &[], "");
        assert!(output.status.success() && made.exists(), "{release}: {}", said(&output));
        let output = run(&fixture, "kernel-hook", &["remove", release], &[], "");
        assert!(output.status.success() && !made.exists(), "{release}: {}", said(&output));
        let staging = fixture.path(&format!("RELEASE/{release}"));
        fs::create_dir_all(&staging).expect("a folder");
        let area = format!("KERNEL_INSTALL_STAGING_AREA={}", staging.display());
        let environment = [area.as_str(), "KERNEL_INSTALL_INITRD_GENERATOR=lamina"];
        let arguments = ["add", release, "/boot/id/6.1", "/vmlinuz"];
        let output = run(&fixture, "50-lamina.install", &arguments, &environment, "");
        assert!(output.status.success() && staging.join("initrd").exists(), "{release}: {}", said(&output));
    }
}

#[test]
fn kernel_install_gets_its_initrd_where_it_was_told_that_lamina_makes_it() {
    let fixture = root();
    let staging = fixture.path("staging");
    fs::create_dir(&staging).expect("a folder");
    let area = format!("KERNEL_INSTALL_STAGING_AREA={}", staging.display());
    let lamina = "KERNEL_INSTALL_INITRD_GENERATOR=lamina";
    let plain = [RELEASE, "/boot/id/6.1", "/vmlinuz"];
    let initrd = staging.join("initrd");
    for (arguments, environment) in [
        (&["add", RELEASE, "/boot/id/6.1", "/vmlinuz"][..], &[area.as_str()][..]),
        (&["add", RELEASE, "/boot/id/6.1", "/vmlinuz"], &[&area, "KERNEL_INSTALL_INITRD_GENERATOR=dracut"]),
        (&["add", RELEASE, "/boot/id/6.1", "/vmlinuz", "/given/initrd"], &[&area, lamina]),
        (&["remove", RELEASE, "/boot/id/6.1"], &[&area, lamina]),
    ] {
        let output = run(&fixture, "50-lamina.install", arguments, environment, "");
        assert!(output.status.success() && !initrd.exists(), "{arguments:?}: {}", said(&output));
    }
    let arguments = [&["add"], &plain[..]].concat();
    let output = run(&fixture, "50-lamina.install", &arguments, &[lamina], "");
    assert!(!output.status.success() && said(&output).contains("systemd 252 or newer"), "{}", said(&output));
    let output = run(&fixture, "50-lamina.install", &arguments, &[&area, lamina], "");
    assert!(output.status.success() && list(&initrd).is_ok(), "{}", said(&output));
    assert!(!made(&fixture).exists());
}

#[test]
fn pacman_names_the_kernels_that_changed() {
    let fixture = root();
    shell(fixture.folder.path(), "cp -r kernel/lib/modules/6.1.0-test kernel/lib/modules/6.1.1-none");
    let paths = format!("usr/lib/modules/{RELEASE}/vmlinuz\nusr/lib/modules/6.9-absent/vmlinuz\n");
    let output = run(&fixture, "kernel-hook", &["changed", "add"], &[], &paths);
    // One fails, the other is made.
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("/lib/modules/6.9-absent: the kernel 6.9-absent has no modules here\nhelp: ")
    );
    assert!(list(&made(&fixture)).is_ok(), "{}", said(&output));
    let paths = format!("usr/lib/modules/{RELEASE}/vmlinuz\n");
    let output = run(&fixture, "kernel-hook", &["changed", "remove"], &[], &paths);
    assert!(output.status.success() && !made(&fixture).exists(), "{}", said(&output));
    // What pacman runs is what was run here.
    for (hook, verb) in [("90-lamina.hook", "add"), ("60-lamina-remove.hook", "remove")] {
        let text = fs::read_to_string(hooks().join(hook)).expect(hook);
        let exec = text.lines().find(|line| line.starts_with("Exec = ")).expect("what is run");
        assert!(exec.ends_with(&format!(" kernel-hook changed {verb}")), "{exec}");
    }
}

#[test]
fn what_goes_wrong_leaves_the_old_one_and_says_so() {
    let fixture = root();
    fs::write(made(&fixture), "old").expect("an old one");
    let refused = |arguments: &[&str], expected: &str| {
        let output = run(&fixture, "kernel-hook", arguments, &[], "");
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(expected), "{}", said(&output));
        assert_eq!(fs::read(made(&fixture)).expect("still there"), b"old");
    };
    for release in ["../../etc", "..", ".hidden", "a b", "a/b", "", "$(x)"] {
        refused(&["add", release], "is no release of a kernel\nhelp: ");
        refused(&["remove", release], "is no release of a kernel\nhelp: ");
    }
    refused(&["update", RELEASE], "'update 6.1.0-test' was not understood\nhelp: kernel-hook add RELEASE");
    refused(&["changed", "all"], "is neither 'changed add' nor 'changed remove'");
    fixture.put("kernel/etc/lamina/initramfs.conf", b"OPTIONS='--init /absent'\n");
    refused(
        &["add", RELEASE],
        "img: was not made; what was there before is unchanged\nhelp: see the line above",
    );
    for output in ["/boot/initrd", "/boot/MYRELEASES/initrd", "boot/RELEASE"] {
        fixture.put("kernel/etc/lamina/initramfs.conf", format!("OUTPUT={output}\n").as_bytes());
        let expected = format!("initramfs.conf: OUTPUT={output} is no path with the word RELEASE in it");
        refused(&["add", RELEASE], &expected);
    }
    // A /boot that is a file.
    let init = fixture.path("init");
    let conf = format!("OPTIONS='--init {}'\nOUTPUT=/etc/lamina/initramfs.conf/RELEASE\n", init.display());
    fixture.put("kernel/etc/lamina/initramfs.conf", conf.as_bytes());
    refused(&["add", RELEASE], "Not a directory");
}

#[test]
fn the_example_of_the_configuration_has_the_defaults() {
    let example = fs::read_to_string(hooks().join("initramfs.conf")).expect("the example");
    let hook = fs::read_to_string(hooks().join("kernel-hook")).expect("the hook");
    for line in example.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        assert!(hook.lines().any(|other| other == line), "{line}");
    }
}

/// In a mount namespace of its own, so that nothing is left mounted.
#[test]
#[ignore = "takes root"]
fn a_full_boot_keeps_the_old_one() {
    let fixture = root();
    fixture.put("big", &vec![7; 20_000]);
    let line = format!(
        "unshare -m sh -ec 'mount -t tmpfs -o size=32k none kernel/boot; cp big kernel/boot/lamina-{RELEASE}.img; \
         LAMINA_ROOT=$PWD/kernel MKINITRAMFS=$0 sh $1 add {RELEASE} 2>said && exit 9; \
         cmp big kernel/boot/lamina-{RELEASE}.img; ls -A kernel/boot' {} {}; cat said",
        env!("CARGO_BIN_EXE_mkinitramfs"),
        hooks().join("kernel-hook").display()
    );
    // Noise, so that it does not fit in when it is compressed.
    shell(
        fixture.folder.path(),
        "head -c 200000 /dev/urandom >> kernel/lib/modules/6.1.0-test/kernel/drivers/block/loop.ko",
    );
    let told = shell(fixture.folder.path(), &line);
    assert!(told.starts_with(&format!("lamina-{RELEASE}.img\n")), "{told}");
    assert!(
        told.contains("No space left on device") && told.contains("help: make room on its file system"),
        "{told}"
    );
    assert!(told.contains("was not made; what was there before is unchanged"), "{told}");
}
