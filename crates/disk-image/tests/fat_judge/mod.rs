//! What fsck.vfat(8) of dosfstools 4.2 says of a file system, line by line: each of its lines is one of those that are allowed, or the test
//! fails.

use std::path::Path;
use std::process::Command;

/// What an interruption may leave, all of which fsck.vfat mends without losing anything that a file has.
#[allow(dead_code, reason = "not every test interrupts something")]
pub const LOST_CLUSTERS: &[&str] = &[
    // Clusters that no file has.
    "Reclaimed # unused clusters (# bytes).",
    "Reclaimed # unused cluster (# bytes).",
    // The hint in FSInfo, which is written last.
    "Free cluster summary wrong (# vs. really #)",
    "  Auto-correcting.",
    // Between the writes of the copies. The first one counts for Linux too.
    "FATs differ but appear to be intact.",
    "  Using first FAT.",
    "Leaving filesystem unchanged.",
];

/// Looks at the file system in a file; beside nothing at all, `allowed` lines may be said, with `#` for a number.
pub fn fsck(file: &Path, allowed: &[&str], when: &str) {
    let program = disk_image::programs::find_program("fsck.vfat", "dosfstools").unwrap();
    let output = Command::new(program).arg("-n").arg(file).output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let is_usual = |line: &str| {
        line.starts_with("fsck.fat #") || line.ends_with(": # files, #/# clusters") || line.is_empty()
    };
    for line in said.lines() {
        let plain = without_numbers(line);
        assert!(is_usual(&plain) || allowed.contains(&plain.as_str()), "{when}: {plain:?} in\n{said}");
    }
    assert!(said.contains(" files, "), "{when}: {said}");
    assert!(output.status.success() || !allowed.is_empty(), "{when}: {said}");
}

/// Each number as `#`, also one with points in it.
fn without_numbers(line: &str) -> String {
    let mut plain = String::new();
    for sign in line.chars() {
        match sign {
            '0'..='9' if plain.ends_with('#') => {}
            '0'..='9' => plain.push('#'),
            sign => plain.push(sign),
        }
    }
    plain.replace("#.#", "#")
}
