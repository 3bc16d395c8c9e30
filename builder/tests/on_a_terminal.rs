//! What `lamina build` shows while a build runs: one moving line on a terminal, plain lines elsewhere.

#[allow(dead_code)]
mod sandbox;

use std::fs::File;
use std::io::Read;
use std::process::Stdio;

use nix::pty::openpty;
use sandbox::Workshop;

/// A build that says things for some seconds, and tries to rule the terminal.
fn chatty(workshop: &Workshop) {
    let steps = "step \"make\" #\"\"\"\n\
        for i in 1 2 3 4 5 6 7 8 9; do printf 'CC file%s.c \\033[2J\\007\\n' $i; sleep 0.3; done\n\
        \"\"\"#\nstep \"install\" \"sleep 1; echo > $OUT/x\"";
    workshop.recipe("chatty", steps);
}

#[test]
fn a_terminal_shows_what_runs_since_when_and_the_last_line() {
    let workshop = Workshop::new(Workshop::ways()[0]);
    chatty(&workshop);
    let pty = openpty(None, None).unwrap();
    let mut command = workshop.command(&["build", "chatty"]);
    let mut child = command.env("TERM", "xterm").stdout(Stdio::null()).stderr(pty.slave).spawn().unwrap();
    // It holds the other side too.
    drop(command);
    let mut shown = Vec::new();
    let mut master = File::from(pty.master);
    let mut buffer = [0; 4096];
    // The last close of the other side is an I/O error on Linux (pty(7)).
    while let Ok(read @ 1..) = master.read(&mut buffer) {
        shown.extend_from_slice(&buffer[..read]);
    }
    assert!(child.wait().unwrap().success());
    let shown = String::from_utf8(shown).unwrap();
    // Each text of the moving line stands between a return and the next.
    let lines: Vec<&str> = shown.split(['\r', '\n']).filter(|line| line.contains("build chatty ")).collect();
    let about = |step: &str| lines.iter().filter(|line| line.contains(step)).count();
    assert!(about(" s: make: CC file") >= 2, "{shown:?}");
    assert!(about(" s: install") >= 1, "{shown:?}");
    let mut seconds: Vec<&str> =
        lines.iter().filter_map(|line| line.split("chatty ").nth(1)?.split(" s:").next()).collect();
    seconds.dedup();
    assert!(seconds.len() >= 2, "the time moves: {seconds:?} in {shown:?}");
    assert!(!shown.contains("\x1b[2J") && !shown.contains('\x07'), "{shown:?}");
    let last = shown.rsplit("\x1b[K").next().unwrap();
    assert!(last.starts_with("built chatty 1: "), "the line is gone in the end: {shown:?}");
}

#[test]
fn a_log_gets_plain_lines() {
    let workshop = Workshop::new(Workshop::ways()[0]);
    workshop.recipe("slow", "step \"install\" \"echo the last line; sleep 14; echo > $OUT/x\"");
    let told = workshop.succeed(&["build", "slow"]);
    let line = |line: &str| line.starts_with("build slow 1") && line.ends_with(" s: install: the last line");
    assert!(told.lines().any(line), "{told:?}");
    assert!(!told.contains(|c: char| c.is_control() && c != '\n'), "{told:?}");
}
