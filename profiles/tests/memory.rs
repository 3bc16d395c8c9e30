//! What a text costs in memory, whatever is in it: the reader is part of PID 1, in machines of 128 MiB.
//!
//! What is measured is a whole process (`VmHWM` of proc_pid_status(5)).

use std::fs;
use std::process::Command;

use profiles::resolved::BootProfile;

const LARGEST: usize = 1 << 20;
/// KiB that reading any text may take.
const MOST_KIB: u64 = 24 << 10;

fn kib(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// `piece` until the text is as long as a text may be.
fn full(before: &str, piece: &str, after: &str) -> String {
    let count = (LARGEST - before.len() - after.len()) / piece.len();
    format!("{before}{}{after}", piece.repeat(count))
}

/// `count` pieces, and a comment that makes the text as long as it may be.
fn padded(before: &str, piece: &str, count: usize) -> String {
    let text = format!("{before}{}\n", piece.repeat(count));
    format!("{text}//{}\n", "x".repeat(LARGEST - text.len() - 3))
}

fn hostile() -> Vec<(&'static str, String)> {
    let image = format!("image \"x\" version=\"1\" digest=\"sha256:{}\" size=1 b=1 c=2\n", "0".repeat(64));
    vec![
        ("arguments", full("a", " 1", "")),
        ("properties", full("a", " b=1", "")),
        ("one property again and again", padded("a", " b=\"c\"", 16_000)),
        ("nodes", full("", "a\n", "")),
        ("nodes that just pass", padded("", "a\n", 16_384)),
        ("arguments that just pass", padded("a", " \"\"", 16_383)),
        ("properties that just pass", padded("profile \"a\" format=1", " b=#true", 16_381)),
        ("blocks that just pass", padded("", "a {b;}\n", 8_192)),
        ("what is taken out", padded("", "/-a /-b /-c=1\n", 5_461)),
        ("images", padded("profile \"a\" format=1 {\n", &image, 2_000)),
        ("comments", full("", "//\n", "")),
        ("block comments", full("", "/**/", "")),
        ("lines", full("", "\n", "")),
        ("lines that go on", full("a", "\\\n", "")),
        ("one text", full("a \"", "x", "\"")),
        ("one text of escapes", full("a \"", "\\n", "\"")),
        ("a text of lines", full("a \"\"\"\n", " x\n", "\"\"\"")),
        ("one name", full("", "x", "")),
        ("names that are long", padded(&"n".repeat(500_000), " 1", 16_000)),
    ]
}

/// Which text the process of its own shall read that the test starts for each: what one text took and gave back would hide the next.
const INDEX: &str = "LAMINA_TEST_TEXT";

#[test]
fn no_text_makes_its_reader_take_much_memory() {
    let texts = hostile();
    if let Ok(index) = std::env::var(INDEX) {
        let (_, text) = &texts[index.parse::<usize>().unwrap()];
        let before = kib("VmRSS:");
        let _ = BootProfile::parse("p", text.as_bytes());
        println!("took {} KiB", kib("VmHWM:").saturating_sub(before));
        return;
    }
    for (index, (what, text)) in texts.iter().enumerate() {
        assert!(text.len() <= LARGEST, "{what}");
        let mut again = Command::new(std::env::current_exe().unwrap());
        let output = again.args(["--nocapture", "--exact", "no_text_makes_its_reader_take_much_memory"]);
        let output = output.env(INDEX, index.to_string()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let took =
            said.split_once("took ").and_then(|(_, rest)| rest.split_once(" KiB")).expect("it ended well");
        let took: u64 = took.0.parse().unwrap();
        assert!(took <= MOST_KIB, "{what}: {took} KiB, and {MOST_KIB} are the most");
        println!("{what}: {took} KiB");
    }
}
