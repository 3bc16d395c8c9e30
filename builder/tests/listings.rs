//! What the commands list and check, also when something there is damaged, and what they say while they work.

mod program;

use std::fs;
use std::process::{Command, Stdio};

use program::{json, lamina, site, told};

#[test]
fn an_empty_store_is_sound_and_lists_nothing() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(json(folder.path(), &["store", "list", "--json"]), serde_json::json!([]));
    assert!(told(&lamina(folder.path(), &["store", "verify"])).contains("there is no store here"));
    program::make_store(folder.path());
    let report = json(folder.path(), &["store", "verify", "--json"]);
    let nothing =
        serde_json::json!({"images": 0, "sources": 0, "bytes": 0, "trees": 0, "records": 0, "findings": []});
    assert_eq!(report, nothing);
}

#[test]
fn verify_fails_when_an_image_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    program::make_store(folder.path());
    let name = format!("{}.sqfs", "0".repeat(64));
    fs::write(folder.path().join("store/images").join(&name), "x").unwrap();
    let output = lamina(folder.path(), &["store", "verify"]);
    assert_eq!(output.status.code(), Some(1));
    let message = told(&output);
    assert!(
        message.contains(&format!("images/{name}: its SHA-256 is")) && message.contains("help: remove it"),
        "{message}"
    );
}

#[test]
fn verify_fails_when_a_source_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    program::make_store(folder.path());
    let name = "0".repeat(64);
    fs::write(folder.path().join("store/sources").join(&name), "x").unwrap();
    let output = lamina(folder.path(), &["store", "verify"]);
    assert_eq!(output.status.code(), Some(1));
    let message = told(&output);
    assert!(message.contains(&format!("sources/{name}: its SHA-256 is 2d711642b726b04")), "{message}");
    assert!(message.contains("help: remove it; `lamina build` fetches it again"), "{message}");
    assert!(message.contains("0 images, 1 source (1 B), 0 trees, 0 records: 1 wrong"), "{message}");
}

#[test]
fn one_damaged_record_is_named_and_the_rest_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    program::make_store(folder.path());
    let id = "ab".repeat(32);
    let sound = format!(
        "build \"hello\" format=1 {{\n version \"2\"\n id \"{id}\"\n license \"MIT\"\n target \"x\"\n \
         image digest=\"sha256:{id}\" size=5\n}}\n"
    );
    let builds = folder.path().join("store/builds");
    fs::write(builds.join(format!("{id}.kdl")), &sound).unwrap();
    assert_eq!(json(folder.path(), &["store", "list", "--json"])[0]["name"], "hello");
    fs::write(builds.join("bad.kdl"), &sound[..30]).unwrap();
    for arguments in [&["store", "list"][..], &["store", "list", "--json"], &["store", "verify"]] {
        let output = lamina(folder.path(), arguments);
        let (message, found) = (told(&output), String::from_utf8_lossy(&output.stdout));
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {message}");
        assert!(found.contains("hello"), "{arguments:?}: {message}");
        assert!(message.contains("builds/bad.kdl: line 1: "), "{arguments:?}: {message}");
        assert!(message.contains("help: remove it"), "{arguments:?}: {message}");
    }
    let output = lamina(folder.path(), &["store", "list", "--json"]);
    let listed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    // Two findings: the record, and the image that is missing.
    assert!(
        told(&lamina(folder.path(), &["store", "verify"]))
            .contains("0 images, 0 sources (0 B), 0 trees, 2 records: 2 wrong")
    );
}

#[test]
fn one_bad_profile_is_named_and_the_rest_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("packages")).unwrap();
    fs::create_dir_all(folder.path().join("profiles")).unwrap();
    let profile = |name: &str, text: &str| {
        fs::write(folder.path().join(format!("profiles/{name}.kdl")), text).unwrap();
    };
    profile("bad", "profile \"bad\" {\n    pakages {\n    }\n}\n");
    profile("good", "profile \"good\" {\n    description \"works\"\n    root writable=\"no\"\n}\n");
    for arguments in [&["profile", "list"][..], &["profile", "list", "--json"]] {
        let output = lamina(folder.path(), arguments);
        let (message, found) = (told(&output), String::from_utf8_lossy(&output.stdout));
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(found.contains("works") && !found.contains("bad"), "{message}");
        assert!(
            message.contains("profiles/bad.kdl:2:") && message.contains("did you mean 'packages'?"),
            "{message}"
        );
    }
}

#[test]
fn long_work_shows_a_line_that_moves_on_a_terminal_and_plain_lines_elsewhere() {
    let folder = site();
    let plain = lamina(folder.path(), &["image", "create", "site"]);
    let expected = "reading site\nwriting site.sqfs: 6 B\nprotecting site.sqfs: 4.0 KiB\n";
    assert_eq!(String::from_utf8_lossy(&plain.stderr), expected);
    let plain = lamina(folder.path(), &["image", "protect", "site.sqfs"]);
    // Folders carry the time at which they were made, which compresses now better and now worse.
    let without_sizes = String::from_utf8_lossy(&plain.stderr).replace(|c: char| c.is_ascii_digit(), "");
    assert_eq!(without_sizes, "checking site.sqfs: . KiB\ncopying site.sqfs:  B\nprotecting site.sqfs:  B\n");
    program::make_store(folder.path());
    let plain = lamina(folder.path(), &["store", "verify", "--json"]);
    assert_eq!(String::from_utf8_lossy(&plain.stderr), "checking 0 images and 0 sources: 0 B\n");
    // script(1) gives it a terminal; what the terminal gets comes back, with a return before each newline.
    let line = format!("{} image create site", env!("CARGO_BIN_EXE_lamina"));
    let terminal = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("TERM", "xterm")
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .expect("script runs: apt-get install bsdutils");
    let shown = told(&terminal);
    assert!(terminal.status.success(), "{shown}");
    assert!(shown.contains("\r\x1b[K\x1b[?7lwriting site.sqfs: "), "{shown:?}");
    assert!(shown.contains("% of 4.0 KiB\x1b[?7h"), "{shown:?}");
    // The line is taken away before the result.
    assert!(shown.contains("\r\x1b[Ksite.sqfs 1"), "{shown:?}");
}
