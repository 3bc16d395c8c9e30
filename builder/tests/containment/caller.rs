//! What whoever calls `lamina` has set for himself is not handed down: one id has one result.

use std::ffi::OsString;
use std::process::Command;

use crate::sandbox::{Way, Workshop};

/// Everything that a process inherits and can find out.
const LOOK: &str = r#"
    {
        uname -m; uname -r | cut -d. -f1; cat /proc/self/personality
        id; id -G
        grep -E '^(SigBlk|SigIgn|SigCgt):' /proc/self/status
        cat /proc/self/limits
    } > "$OUT/seen"
    "#;

/// Runs the words of a command line that ends in `lamina`'s, which must succeed.
fn run(words: Vec<OsString>) {
    let output = Command::new(&words[0]).args(&words[1..]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
}

/// One after the other, each starts the next with something that it has changed.
const CHANGERS: &[&[&str]] = &[
    &["setarch", "i686", "-R", "-B", "-3", "--uname-2.6"],
    &[
        "prlimit",
        "--stack=1048576:",
        "--nofile=300:",
        "--memlock=4096:",
        "--sigpending=100:",
        "--rss=1000000000:",
    ],
    &["sh", "-c", "trap '' INT TERM HUP USR1 CHLD; exec \"$@\"", "sh"],
    &["perl", "-e", "use POSIX; sigprocmask(SIG_BLOCK, POSIX::SigSet->new(1..31)); exec @ARGV"],
];

#[test]
fn what_the_caller_has_set_for_himself_is_not_handed_down() {
    let mut seen = Vec::new();
    for way in Workshop::ways() {
        let workshop = Workshop::new(way);
        for (name, changers) in [("plain", &[][..]), ("changed", CHANGERS)] {
            super::install(&workshop, name, LOOK);
            let mut words: Vec<OsString> = changers.concat().iter().map(OsString::from).collect();
            words.extend(workshop.words(&["build", name, "--memory", "4G", "--tmpfs", "1G"]));
            // Root gives up all groups anyway; an ordinary user has some.
            if !changers.is_empty()
                && let Some(word) = words.iter_mut().find(|word| *word == "--clear-groups")
            {
                *word = "--groups=27,100".into();
            }
            run(words);
            seen.push(workshop.read_from_image(name, "seen"));
        }
    }
    assert!(seen[0].contains("\n00000000\nuid=0") && seen[0].contains("\n0\nSigBlk:"), "{}", seen[0]);
    seen.dedup();
    assert_eq!(seen.len(), 1, "not the same for everybody: {seen:#?}");
}

/// Only root can give back what his hard limits took; of others the log says it.
#[test]
fn lowered_hard_limits_are_raised_or_told() {
    for way in Workshop::ways() {
        let workshop = Workshop::new(way);
        super::install(&workshop, "look", "ulimit -n > \"$OUT/seen\"");
        let mut words: Vec<OsString> = ["prlimit", "--nofile=300:300"].map(OsString::from).into();
        words.extend(workshop.words(&["build", "look"]));
        run(words);
        let (seen, told) = (workshop.read_from_image("look", "seen"), workshop.logs());
        let said = told.contains("lamina: sandbox: RLIMIT_NOFILE is 300");
        assert!((seen == "1024\n" && !said) || (seen == "300\n" && said), "{way:?}: {seen}{told}");
        assert!(way != Way::Ordinary || said, "an ordinary user raised a hard limit: {seen}");
    }
}

#[test]
fn a_caller_that_ignores_its_children_can_build() {
    let workshop = Workshop::new(Way::Myself);
    super::install(&workshop, "small", "echo > \"$OUT/x\"");
    let mut words: Vec<OsString> =
        ["perl", "-e", "$SIG{CHLD} = 'IGNORE'; exec @ARGV"].map(OsString::from).into();
    words.extend(workshop.words(&["build", "small"]));
    run(words);
    assert!(workshop.has_record("small"));
}
