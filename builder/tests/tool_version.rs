//! `lamina tool version`: what it prints, how it ends, and that nothing is printed when something is wrong.

mod program;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use program::{json, lamina, told};

/// Exit status, standard output and standard error.
fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    answer(lamina(folder, &[&["tool", "version"], arguments].concat()))
}

fn answer(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// `sort` with these lines on its standard input.
fn sort(input: &[u8], arguments: &[&str]) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lamina"))
        .args(["tool", "version", "sort"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It stops reading what is too long.
    let _ = child.stdin.take().unwrap().write_all(input);
    answer(child.wait_with_output().unwrap())
}

#[test]
fn compare_prints_a_sign() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| run(folder.path(), &[&["compare"], arguments].concat());
    for (line, sign) in [
        ("1.2-rc1 1.2", "<"),
        ("1.2 1.2.0", "="),
        ("1.10 1.9", ">"),
        ("1.2 1.2.0 --scheme debian", "<"),
        ("1:1.0-1 2.0-1 --scheme=debian", ">"),
        ("1.2.0-rc.1 1.2.0 --scheme semver", "<"),
        ("2024-01-31 20240131 --scheme date", "="),
        ("b a --scheme plain", ">"),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(run(&words), (0, format!("{sign}\n"), String::new()), "{line}");
    }
    for (line, expected) in [
        (
            "1..2 1",
            "lamina: '1..2' is no version of the scheme loose: nothing stands before this '.' (at byte 2)\nhelp: leave it out\n",
        ),
        (
            "1 2 --scheme semvre",
            "lamina: --scheme: 'semvre' is no scheme of versions\nhelp: did you mean 'semver'?\n",
        ),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(run(&words), (1, String::new(), expected.to_owned()), "{line}");
    }
    let value = json(folder.path(), &["tool", "version", "compare", "1", "2", "--json"]);
    assert_eq!(value, serde_json::json!({ "a": "1", "b": "2", "scheme": "loose", "order": "<" }));
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "it makes neither a store nor a cache");
}

#[test]
fn test_answers_by_its_exit_status() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| run(folder.path(), &[&["test"], arguments].concat());
    for (version, constraint, expected) in [
        ("1.10", ">=1.2, <2", 0),
        ("1.10", "~1.10", 0),
        ("2.0-rc1", "^1.2", 1),
        ("2.0-rc1", "<2.0", 1),
        ("1.2", "!=1.2.0", 1),
    ] {
        assert_eq!(
            run(&[version, constraint]),
            (expected, String::new(), String::new()),
            "{version} {constraint}"
        );
    }
    let message = "lamina: '^trixie' is no constraint of the scheme plain: '^' means nothing in the scheme plain (at byte 0)\n\
         help: write both bounds, like \">=A, <B\"\n";
    assert_eq!(run(&["sid", "^trixie", "--scheme", "plain"]), (2, String::new(), message.to_owned()));
    assert_eq!(run(&["1", "1", "--scheme", "x"]).0, 2);
    assert_eq!(run(&["1"]).0, 2);
    let value = json(folder.path(), &["tool", "version", "test", "1.5", "^1.2", "--json"]);
    let expected = serde_json::json!({
        "version": "1.5", "constraint": "^1.2", "range": ">=1.2, <2", "scheme": "loose", "meets": true
    });
    assert_eq!(value, expected);
}

#[test]
fn sort_orders_lines_and_prints_all_or_nothing() {
    let good = |text: &str| (0, text.to_owned(), String::new());
    assert_eq!(sort(b"1.10\n1.9\n1.10rc1\n", &[]), good("1.9\n1.10rc1\n1.10\n"));
    assert_eq!(sort(b"1.2\n1.10\r\n1.2.0", &["--reverse"]), good("1.10\n1.2\n1.2.0\n"));
    assert_eq!(sort(b"1.0\n1.0~rc1\n", &["--scheme", "debian"]), good("1.0~rc1\n1.0\n"));
    assert_eq!(sort(b"2\n1\n", &["--json"]), good("[\n  \"1\",\n  \"2\"\n]\n"));
    assert_eq!(sort(b"", &[]), good(""));
    assert_eq!(sort(b"", &["--json"]), good("[]\n"));
    assert_eq!(sort(b"b\na b\n", &["--by", "sort"]), good("a b\nb\n"));
    assert_eq!(sort(b"1\n2\n", &["--by", "sort", "--reverse"]), good("2\n1\n"));
    for (input, arguments, part) in [
        (
            &b"1\n1..2\n3\n"[..],
            &[][..],
            "lamina: standard input: line 2: '1..2' is no version of the scheme loose: ",
        ),
        (b"1\n\n:\n", &[], "lamina: standard input: 2 lines are no versions\n    line 2: ''"),
        (b"1\n\xff\n", &[], "lamina: standard input: line 2 is no UTF-8\nhelp: "),
        (b"1\n2\n", &["--by", "head -n 1"], "lamina: `head -n 1`: leaves out '2'\nhelp: "),
        (
            b"1\n",
            &["--by", "sort", "--scheme", "debian"],
            "lamina: --by: and --scheme exclude each other\nhelp: ",
        ),
        (
            &vec![b'1'; (16 << 20) + 1],
            &[],
            "lamina: standard input: has more than 16.0 MiB, which are the most",
        ),
    ] {
        let (code, out, err) = sort(input, arguments);
        assert_eq!((code, out.as_str()), (1, ""), "{err}");
        assert!(err.starts_with(part), "{err}");
    }
}

#[test]
fn sort_reads_a_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("list"), "2\n1\n").unwrap();
    fs::write(folder.path().join("wrong"), "2\n/\n").unwrap();
    let run = |arguments: &[&str]| run(folder.path(), &[&["sort"], arguments].concat());
    assert_eq!(run(&["list"]), (0, "1\n2\n".to_owned(), String::new()));
    let (code, out, err) = run(&["wrong"]);
    assert!(
        code == 1 && out.is_empty() && err.starts_with("lamina: wrong: line 2: '/' is no version"),
        "{err}"
    );
    for missing in ["missing", "/dev/zero", "."] {
        assert_eq!(run(&[missing]).0, 1);
    }
}

#[test]
fn schemes_are_completed() {
    let folder = tempfile::tempdir().unwrap();
    let output = lamina(folder.path(), &["__complete", "tool", "version", "sort", "--scheme", "d"]);
    assert_eq!(
        told(&output),
        "nothing\ndate\tdates: 2024-01-31, 20240131, 2024.1\ndebian\tas dpkg compares: 1:1.2~rc1-1\n"
    );
    let output = lamina(folder.path(), &["__complete", "tool", "version", "sort", ""]);
    assert_eq!(told(&output), "files\n");
}

/// The commands of docs/versions.md, in a shell, print what stands behind them.
#[test]
fn the_page_shows_what_is_printed() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/versions.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, block) = page.split_once("```console\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_lamina")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut commands = 0;
    for step in block.trim_start_matches("$ ").split("\n$ ") {
        let (line, expected) = step.split_once('\n').unwrap();
        let output = Command::new("sh").args(["-c", line]).env("PATH", &path).output().unwrap();
        assert_eq!(told(&output).trim_end(), expected.trim_end(), "{line}");
        commands += 1;
    }
    assert_eq!(commands, 4);
}
