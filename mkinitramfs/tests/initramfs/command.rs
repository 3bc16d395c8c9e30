//! The command: what it prints, what it refuses, and what a killed one leaves behind.

use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::fixture::{Fixture, shell};
use sha2::{Digest, Sha256};

fn command(fixture: &Fixture, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mkinitramfs"));
    command.args(arguments).current_dir(fixture.folder.path());
    command
}

/// What it gave: everything, its standard output, and its standard error without the lines of progress.
fn run(fixture: &Fixture, arguments: &[&str]) -> (Output, String, String) {
    let output = command(fixture, arguments).output().expect("mkinitramfs runs");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    let told = text(&output.stderr);
    let is_progress =
        |line: &&str| ["reading ", "checking ", "writing "].iter().any(|it| line.starts_with(it));
    let errors = told.lines().filter(|line| !is_progress(line)).map(|line| format!("{line}\n")).collect();
    (output.clone(), text(&output.stdout), errors)
}

const PLAIN: [&str; 4] = ["--kernel", "kernel", "--init", "init"];

#[test]
fn writes_reports_and_lists() {
    let fixture = Fixture::new();
    let (output, report, _) = run(&fixture, &[&PLAIN[..], &["--output", "out.img"]].concat());
    assert!(output.status.success());
    assert!(report.contains("needed by squashfs") && report.contains("out.img: "), "{report}");
    let (_, list, _) = run(&fixture, &["list", "out.img"]);
    assert!(list.lines().any(|line| line.starts_with("-rwxr-xr-x") && line.ends_with(" init")), "{list}");
    // Its older spelling, and an option before the command.
    assert_eq!(run(&fixture, &["--list", "out.img"]).1, list);
    assert_eq!(run(&fixture, &["--list=out.img"]).1, list);
    let (_, list, _) = run(&fixture, &["list", "out.img", "--json"]);
    assert_eq!(run(&fixture, &["--json", "--list", "out.img"]).1, list);
    let list: serde_json::Value = serde_json::from_str(&list).expect("JSON");
    assert!(
        list.as_array().is_some_and(|all| all.iter().any(|one| one["device"] == serde_json::json!([5, 1]))),
        "{list}"
    );
}

#[test]
fn json_says_what_went_in_and_why() {
    let fixture = Fixture::new();
    let (_, report, _) = run(&fixture, &[&PLAIN[..], &["--output", "out.img", "--json"]].concat());
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["kernel"], "6.1.0-test");
    assert_eq!(report["modules"][0]["reason"]["symbol"], "BLK_DEV_LOOP");
    assert_eq!(report["written"]["packed"], fs::metadata(fixture.path("out.img")).expect("the file").len());
}

#[test]
fn a_dry_run_writes_nothing() {
    let fixture = Fixture::new();
    let (output, report, _) = run(&fixture, &[&PLAIN[..], &["--output", "out.img", "--dry-run"]].concat());
    assert!(output.status.success() && report.ends_with("nothing was written: --dry-run\n"), "{report}");
    assert!(!fixture.path("out.img").exists());
}

#[test]
fn refusals_name_the_object_and_the_remedy() {
    let fixture = Fixture::new();
    fixture.put("script", b"#!/bin/sh\n");
    fixture.put("noise", &[0xff; 99]);
    for (arguments, expected) in [
        (
            &PLAIN[..],
            "mkinitramfs: --output is missing\nhelp: say where to write, or --dry-run to see what would go in\n",
        ),
        (
            &["--kernel", "kernel", "--init", "script", "--output", "x"],
            "mkinitramfs: script: is not a 64-bit ELF program; the initramfs has no libraries\nhelp: 'make init' makes out/init\n",
        ),
        (
            &["--kernel", "kernel", "--init", "init", "--output", "x", "--profile", "web"],
            "mkinitramfs: --profile needs --store\nhelp: name the store that has the profile\n",
        ),
        (
            &["--kernel", "kernel", "--init", "init", "--output", "x", "--key", "noise"],
            "mkinitramfs: noise: is no public key: it is not text\nhelp: --public-key takes a public key, which 'lamina key create' or 'minisign -G' writes to a file .pub\n",
        ),
        (
            &["--kernel", "kernel", "--init", "init", "--output", "no/x"],
            "mkinitramfs: no: cannot make a file in this folder: No such file or directory (os error 2)\nhelp: choose a folder that exists and that you may write to\n",
        ),
        (
            &["--kernel", "kernel", "--init", "init", "--output", "x", "--level", "22"],
            "mkinitramfs: --level 22: zstd levels here are 1 to 19\nhelp: leave it out for 10, or give one of them\n",
        ),
    ] {
        let (output, _, error) = run(&fixture, arguments);
        assert_eq!((output.status.code(), error.as_str()), (Some(1), expected), "{arguments:?}");
    }
    for (arguments, part) in [
        (&["--group", "netwrok"][..], "did you mean 'network'?"),
        (&["--lsit", "x"], "mkinitramfs: there is no option '--lsit'\nhelp: did you mean 'list'?"),
        (&["--compeltions", "x"], "help: did you mean 'completions'?"),
        (&["lsit", "x"], "mkinitramfs: there is no command 'lsit'\nhelp: did you mean 'list'?"),
        (&["--list"], "mkinitramfs list: FILE is missing\nhelp: for example: mkinitramfs list "),
        (&["--list", "x", "--man", "y"], "mkinitramfs list: 'man' is one word too many\nhelp: "),
        (&["--outptu", "x"], "mkinitramfs: there is no option '--outptu'\nhelp: did you mean '--output'?"),
        (&[], "mkinitramfs: --output is missing\nhelp: `mkinitramfs --help` shows examples"),
        (&["--make-file-system", "xsf"], "did you mean 'xfs'?"),
        (&["--make-file-system", "xfs="], "'xfs=' names no file after the ="),
    ] {
        let (output, _, error) = run(&fixture, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(error.contains(part), "{error}");
    }
    let (output, help, _) = run(&fixture, &["--help"]);
    assert!(output.status.success() && help.contains("Examples:"), "{help}");
}

#[test]
fn a_full_disk_is_told_of_the_output() {
    let fixture = Fixture::new();
    let before = fs::read_dir(fixture.path("")).expect("the folder").count();
    // No file may grow beyond 0 bytes, as on a full disk (the shell's ulimit; setrlimit(2), RLIMIT_FSIZE).
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$0\" --kernel kernel --init init --output out.img";
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_mkinitramfs")])
        .current_dir(fixture.path(""))
        .output()
        .expect("a shell");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("mkinitramfs: out.img: File too large"), "{error}");
    assert!(error.contains("help: make room on its file system"), "{error}");
    assert_eq!(fs::read_dir(fixture.path("")).expect("the folder").count(), before);
}

/// At the default level, and at 15, for which zstd's own tables would have 64 MiB alone.
#[test]
fn it_needs_little_memory() {
    let fixture = Fixture::new();
    for level in ["", "--level 15"] {
        // In KiB, of memory that can be written to (setrlimit(2), RLIMIT_DATA), with the stacks of the threads.
        let script =
            format!("ulimit -d 98304; exec \"$0\" --kernel kernel --init init --output out.img {level}");
        let output = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_mkinitramfs")])
            .current_dir(fixture.path(""))
            .output()
            .expect("a shell");
        assert!(output.status.success(), "{level}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn what_may_never_end_is_refused_at_once() {
    let fixture = Fixture::new();
    shell(&fixture.path(""), "mkfifo fifo");
    for option in ["--init", "--busybox", "--key", "--public-key", "list"] {
        for file in ["fifo", "/dev/zero"] {
            let kept = match option {
                "--init" => &["--kernel", "kernel", "--output", "x"][..],
                "list" => &[],
                _ => &["--kernel", "kernel", "--init", "init", "--output", "x"],
            };
            let (output, _, error) = run(&fixture, &[kept, &[option, file]].concat());
            assert_eq!(output.status.code(), Some(1), "{option} {file}");
            assert!(error.starts_with(&format!("mkinitramfs: {file}: is not a regular file")), "{error}");
        }
    }
    for file in ["fifo", "/dev/zero"] {
        let (output, _, error) = run(&fixture, &["--kernel", file, "--init", "init", "--output", "x"]);
        assert_eq!(output.status.code(), Some(1), "{file}");
        let expected = format!(
            "mkinitramfs: {file}: is neither a regular file nor a folder\nhelp: give a kernel package"
        );
        assert!(error.starts_with(&expected), "{error}");
    }
}

#[test]
fn options_that_exclude_each_other_are_refused() {
    let fixture = Fixture::new();
    for (arguments, first, second) in [
        (&["list", "x", "--output", "y"][..], "list", "--output"),
        (&["--list", "x", "--dry-run"], "list", "--dry-run"),
        (&["list", "x", "--key", "y"], "list", "--public-key"),
        (&["completions", "bash", "--kernel", "kernel"], "completions", "--kernel"),
        (&["--man", "x", "--json"], "man", "--json"),
    ] {
        let (output, _, error) = run(&fixture, arguments);
        let expected =
            format!("mkinitramfs: {first}: and {second} exclude each other\nhelp: give one of them\n");
        assert_eq!((output.status.code(), error), (Some(1), expected), "{arguments:?}");
    }
    assert!(!fixture.path("y").exists() && !fixture.path("x").exists());
}

#[test]
fn progress_is_plain_lines_without_a_terminal() {
    let fixture = Fixture::new();
    let output = command(&fixture, &[&PLAIN[..], &["--output=out.img"]].concat()).output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr);
    let mut lines = told.lines();
    assert_eq!(lines.next(), Some("reading kernel"), "{told}");
    assert!(lines.next().is_some_and(|line| line.starts_with("writing out.img: ")), "{told}");
    assert_eq!(lines.next(), None, "{told}");
}

#[test]
fn completions_and_the_manual_page_name_every_option() {
    let fixture = Fixture::new();
    let (_, help, _) = run(&fixture, &["--help"]);
    let (_, listed) = help.split_once("\nOptions:\n").expect("options");
    let (listed, _) = listed.split_once("\n\n").expect("an end of them");
    let first = |line: &'_ str| {
        let line = line.strip_prefix("  ")?;
        // `-o, --output`
        let line = if line.as_bytes().get(2) == Some(&b',') { line.get(4..)? } else { line };
        line.strip_prefix("--").map(|rest| rest.split([',', ' ']).next().unwrap_or(rest).to_owned())
    };
    let options: Vec<String> = listed.lines().filter_map(first).map(|name| format!("--{name}")).collect();
    assert!(
        ["--kernel", "--public-key"].iter().all(|name| options.iter().any(|it| it == name)),
        "{options:?}"
    );
    let (output, _, error) = run(&fixture, &["man", "share/man1"]);
    assert!(output.status.success(), "{error}");
    let page = fs::read_to_string(fixture.path("share/man1/mkinitramfs.1")).expect("the page");
    for shell in ["bash", "zsh", "fish"] {
        let (output, script, error) = run(&fixture, &["completions", shell]);
        assert!(output.status.success(), "{error}");
        for option in &options {
            let name = if shell == "fish" { option.trim_start_matches("--") } else { option.as_str() };
            assert!(script.contains(name), "{shell}: {option}");
            assert!(page.contains(&option.replace('-', "\\-")), "the page: {option}");
        }
    }
    let (output, _, error) = run(&fixture, &["completions", "bsah"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains("shell 'bsah': ") && error.contains("did you mean 'bash'?"), "{error}");
}

#[test]
fn a_killed_run_leaves_nothing() {
    let fixture = Fixture::new();
    let mut numbers = 1u64;
    let image: Vec<u8> = std::iter::repeat_with(|| {
        numbers = numbers.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (numbers >> 56) as u8
    })
    .take(24 << 20)
    .collect();
    let digest: String = Sha256::digest(&image).iter().map(|byte| format!("{byte:02x}")).collect();
    fixture.put(&format!("store/images/{digest}.sqfs"), &image);
    let profile = format!(
        "profile \"p\" format=1 {{\n image \"a\" version=\"1\" digest=\"{digest}\" size={}\n root writable=\"no\"\n verify \"none\"\n init \"/i\"\n}}",
        image.len()
    );
    fixture.put("store/profiles/p/1.kdl", profile.as_bytes());
    fs::create_dir(fixture.path("out")).expect("a folder");
    let arguments = [&PLAIN[..], &["--store", "store", "--level", "19", "--output", "out/out.img"]].concat();
    let mut child = command(&fixture, &arguments).stdout(Stdio::null()).spawn().expect("mkinitramfs runs");
    // It is writing as soon as it has a nameless file of some length open.
    let writing = || {
        let open = fs::read_dir(format!("/proc/{}/fd", child.id())).into_iter().flatten().flatten();
        let names = open.filter_map(|entry| Some((entry.path(), fs::read_link(entry.path()).ok()?)));
        names.into_iter().any(|(path, name)| {
            name.to_string_lossy().contains("/out/")
                && fs::metadata(path).is_ok_and(|found| found.len() > 1 << 20)
        })
    };
    let start = Instant::now();
    while !writing() {
        assert!(start.elapsed() < Duration::from_secs(60), "it never started to write");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("SIGKILL");
    assert!(!child.wait().expect("its end").success(), "it was killed before its end");
    assert_eq!(fs::read_dir(fixture.path("out")).expect("the folder").count(), 0);
}

#[test]
fn an_initramfs_goes_through_a_fifo_and_standard_output_and_its_report_goes_elsewhere() {
    let fixture = Fixture::new();
    let path = |name: &str| fixture.folder.path().join(name);
    run(&fixture, &[&PLAIN[..], &["--output", "out.img"]].concat());
    let expected = fs::read(path("out.img")).expect("written");
    for name in ["-", "/dev/stdout"] {
        let output =
            command(&fixture, &[&PLAIN[..], &["--output", name]].concat()).output().expect("it runs");
        let report = String::from_utf8_lossy(&output.stderr);
        let (found, length) = (output.stdout.len(), expected.len());
        assert!(output.status.success(), "{name}: {}, {found} bytes of {length}: {report}", output.status);
        assert!(output.stdout == expected, "{name}: {found} bytes, and not the {length} of the file");
        assert!(report.contains("PID 1") && report.contains(" compressed\n"), "{report}");
    }
    shell(fixture.folder.path(), "mkfifo fifo");
    let reader = std::thread::spawn({
        let fifo = path("fifo");
        move || fs::read(fifo).expect("read to its end")
    });
    let (output, report, _) = run(&fixture, &[&PLAIN[..], &["--output", "fifo"]].concat());
    assert!(output.status.success() && report.contains("fifo: "), "{report}");
    assert_eq!(reader.join().expect("no panic"), expected);
    let still = fs::symlink_metadata(path("fifo")).expect("it stays");
    assert!(std::os::unix::fs::FileTypeExt::is_fifo(&still.file_type()));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = command(&fixture, &[&PLAIN[..], &["--output", "-"]].concat()).stdout(writer).output();
    let output = output.expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("-: Broken pipe") && told.contains("help: the program that reads it"), "{told}");
}

#[test]
fn the_usual_letters_are_understood() {
    let fixture = Fixture::new();
    let (output, help, _) = run(&fixture, &["-h"]);
    assert!(output.status.success() && help.contains("\n  -n, --dry-run"), "{help}");
    assert_eq!(run(&fixture, &["--help"]).1, help);
    let listed = run(&fixture, &["list", "-h"]).1;
    assert!(
        listed.starts_with("Usage: mkinitramfs list ") && run(&fixture, &["help", "list"]).1 == listed,
        "{listed}"
    );
    for spelling in [&["-V"][..], &["--version"], &["list", "-V"]] {
        let version = format!("mkinitramfs {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(run(&fixture, spelling).1, version, "{spelling:?}");
    }
    let (_, report, said) = run(&fixture, &[&PLAIN[..], &["-nvo", "out.img"]].concat());
    assert!(report.ends_with("nothing was written: --dry-run\n"), "{report}");
    assert!(said.starts_with("groups of modules: core, ") && said.ends_with("; zstd level 10\n"), "{said}");
    let (output, ..) = run(&fixture, &[&PLAIN[..], &["-oout.img"]].concat());
    assert!(output.status.success() && fixture.path("out.img").exists());
}
