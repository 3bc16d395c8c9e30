//! Where the initramfs of each kernel of a call goes, and what is told of each.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::fixture::{Fixture, RELEASE};
use crate::machines::put_other_kernel;

/// Whether it succeeded, its standard output and its standard error.
fn run(fixture: &Fixture, arguments: &[&str]) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mkinitramfs"));
    let command = command.args(["--init", "init"]).args(arguments).current_dir(fixture.folder.path());
    let output = command.output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_word_release_becomes_that_of_the_kernel_wherever_it_stands() {
    let fixture = Fixture::new();
    fs::create_dir_all(fixture.path(&format!("MYRELEASES/{RELEASE}"))).expect("a folder");
    for arguments in [&["--kernel", "kernel"][..], &["--kernel", "kernel", "--release", RELEASE]] {
        let output = ["-o", "MYRELEASES/RELEASE/lamina_RELEASE.img"];
        let (is_success, report, error) = run(&fixture, &[arguments, &output].concat());
        let expected = format!("MYRELEASES/{RELEASE}/lamina_{RELEASE}.img");
        assert!(is_success && report.contains(&format!("{expected}: ")), "{report}{error}");
        fs::remove_file(fixture.path(&expected)).expect("it was made");
    }
}

#[test]
fn an_output_is_taken_as_it_is_where_that_is_said() {
    let fixture = Fixture::new();
    let plain = ["--kernel", "kernel", "-o", "RELEASE.img", "--output-as-is"];
    let (is_success, report, error) = run(&fixture, &plain);
    assert!(
        is_success && report.contains("\nRELEASE.img: ") && fixture.path("RELEASE.img").exists(),
        "{error}"
    );
    let (is_success, _, error) = run(&fixture, &[&plain[..], &["--release", "all"]].concat());
    assert!(!is_success && error.contains("one file\nhelp: leave --output-as-is out"), "{error}");
}

/// A folder for the first, and none for the second.
#[test]
fn what_was_made_is_told_when_a_later_one_fails() {
    let fixture = Fixture::new();
    put_other_kernel(&fixture);
    fs::create_dir(fixture.path(RELEASE)).expect("a folder");
    let all = ["--kernel", "kernel", "--release", "all", "-o", "RELEASE/out.img"];
    let (is_success, report, error) = run(&fixture, &all);
    assert!(!is_success && report.contains(&format!("\n{RELEASE}/out.img: ")), "{report}");
    assert!(!report.contains("6.2.0-other"), "{report}");
    assert!(error.contains("mkinitramfs: 6.2.0-other: cannot make a file in this folder: "), "{error}");
    let (is_success, report, error) = run(&fixture, &[&all[..], &["--json"]].concat());
    let made: Value = serde_json::from_str(&report).expect("JSON");
    let kernels: Vec<_> = made.as_array().expect("an array").iter().map(|it| &it["kernel"]).collect();
    assert!(!is_success && kernels == [RELEASE] && error.contains("6.2.0-other: cannot"), "{report}{error}");
    let written = &made[0]["written"];
    let length = fs::metadata(fixture.path(&format!("{RELEASE}/out.img"))).expect("the first is whole").len();
    assert_eq!(
        (&written["path"], &written["packed"]),
        (&format!("{RELEASE}/out.img").into(), &length.into())
    );
    assert!(!fixture.path("6.2.0-other").exists());
    // Of none that was made there is nothing to tell.
    fs::remove_dir_all(fixture.path(RELEASE)).expect("the folder");
    let (is_success, report, _) = run(&fixture, &[&all[..], &["--json"]].concat());
    assert!(!is_success && report.is_empty(), "{report}");
}

#[test]
fn json_is_an_object_for_one_kernel_and_an_array_where_several_may_be_meant() {
    let fixture = Fixture::new();
    for (arguments, is_array) in [
        (&[][..], false),
        (&["--release", RELEASE], false),
        (&["--release", "all"], true),
        (&["--release", RELEASE, "--release", RELEASE], true),
    ] {
        let plain = ["--kernel", "kernel", "--dry-run", "--json"];
        let (is_success, report, error) = run(&fixture, &[&plain[..], arguments].concat());
        assert!(is_success, "{error}");
        let told: Value = serde_json::from_str(&report).expect("JSON");
        let one = if is_array { &told[0] } else { &told };
        let array = told.as_array().map(Vec::len);
        assert_eq!((&one["kernel"], array), (&RELEASE.into(), is_array.then_some(1)), "{arguments:?}");
        assert_eq!(one["written"], Value::Null);
    }
}

#[test]
fn what_needs_no_kernel_is_judged_before_one_is_looked_for() {
    let fixture = Fixture::new();
    for (arguments, expected) in [
        (&["--dry-run", "--generic", "--host"][..], "--generic: and --host exclude each other\nhelp: "),
        (&["--generic"], "--output is missing\nhelp: "),
        (&["--dry-run", "--profile", "web"], "--profile needs --store\nhelp: "),
        (&["--dry-run", "--level", "22"], "--level 22: "),
        (
            &["-o", "MYRELEASES.img"],
            "MYRELEASES.img: several initramfs cannot be one file\nhelp: write RELEASE, ",
        ),
    ] {
        let nowhere = ["--kernel", "nowhere", "--release", "all"];
        let (is_success, _, error) = run(&fixture, &[&nowhere[..], arguments].concat());
        assert!(
            !is_success && error.starts_with(&format!("mkinitramfs: {expected}")),
            "{arguments:?}: {error}"
        );
    }
}
