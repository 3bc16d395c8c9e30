//! The first stage of a sandbox, started as `lamina` starts it: its lifeline is a descriptor of its own, and standard input is not.

use std::fs;
use std::io::{PipeWriter, Write, pipe};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{FdFlags, fcntl_setfd};
use tempfile::TempDir;

/// `nobody`, as whom root tests, too.
const ORDINARY: u32 = 65534;

/// A root with the shell of the machine, a specification, and the program where everybody finds it.
fn sandbox(policy: &str, script: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let path = |below: &str| folder.path().join(below);
    for name in ["bin", "build", "dev", "proc", "run", "tmp"] {
        fs::create_dir_all(path("tree").join(name)).unwrap();
        // A root of somebody else's is like that of a build: all in it belongs to user 0 inside, and others may enter.
        fs::set_permissions(path("tree").join(name), fs::Permissions::from_mode(0o777)).unwrap();
    }
    fs::create_dir(path("mounts")).unwrap();
    let libraries = Command::new("ldd").arg("/bin/sh").output().unwrap().stdout;
    let libraries = String::from_utf8(libraries).unwrap();
    for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
        let copy = path("tree").join(library.trim_start_matches('/'));
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(library, copy).unwrap();
    }
    fs::copy("/bin/sh", path("tree/bin/sh")).unwrap();
    copy_program(env!("CARGO_BIN_EXE_lamina"), &path("lamina"));
    let spec = serde_json::json!({
        "layers": [path("tree")], "mounts": path("mounts"), "environment": [["PATH", "/bin"]], "policy": policy,
        "variation": {"other_order": false, "build_in_memory": false}, "binds": [],
        "steps": [{"name": "shell", "work": {"Script": {"text": script, "arguments": [], "folder": "/tmp"}}}],
        "bounds": {"processes": 100, "memory": 1_u64 << 30, "tmpfs": 1 << 20}
    });
    fs::write(path("spec"), spec.to_string()).unwrap();
    folder
}

/// By another process: what this one has open for writing is open, too, in the programs that other tests are starting, and cannot be
/// executed meanwhile (ETXTBSY of execve(2)).
fn copy_program(from: &str, to: &Path) {
    assert!(Command::new("cp").arg(from).arg(to).status().unwrap().success());
}

/// Runs it with these words on standard input. `keep` says what becomes of the other end of the lifeline.
fn run(folder: &Path, ordinary: bool, keep: impl FnOnce(PipeWriter) -> Option<PipeWriter>) -> Output {
    let (reader, writer) = pipe().unwrap();
    fcntl_setfd(&reader, FdFlags::empty()).unwrap();
    let kept = keep(writer);
    if kept.is_none() {
        // A program that another test is starting has a copy of the other end until its execve(2).
        let mut ends = [PollFd::new(&reader, PollFlags::empty())];
        poll(&mut ends, None).unwrap();
    }
    let mut command = Command::new(folder.join("lamina"));
    command.arg("sandbox-stage").arg(folder.join("spec")).arg(reader.as_raw_fd().to_string());
    if ordinary {
        command.uid(ORDINARY).gid(ORDINARY);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Nobody may be there to read it.
    let _ = child.stdin.take().unwrap().write_all(b"from outside\n");
    let output = child.wait_with_output().unwrap();
    drop(kept);
    output
}

const READ: &str = "read -r word || word=nothing; echo \"read: $word\"";

#[test]
fn standard_input_belongs_to_a_person_and_builds_have_an_empty_one() {
    let ways = if rustix::process::geteuid().is_root() { vec![false, true] } else { vec![false] };
    for ordinary in ways {
        for (policy, seen) in [("Shell", "read: from outside\n"), ("Step", "read: nothing\n")] {
            let folder = sandbox(policy, READ);
            if ordinary {
                own(folder.path());
            }
            let output = run(folder.path(), ordinary, Some);
            let text = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && text.ends_with(seen), "{policy}, {ordinary}: {text}{errors}");
        }
    }
}

#[test]
fn a_stage_whose_starter_is_gone_runs_nothing() {
    let folder = sandbox("Step", READ);
    let output = run(folder.path(), false, |_| None);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{errors}");
    assert!(errors.contains("the process that asked for it is gone"), "{errors}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_stage_without_a_lifeline_runs_nothing() {
    let folder = sandbox("Step", READ);
    for lifeline in [None, Some("0"), Some("9"), Some("word")] {
        let output = Command::new(folder.path().join("lamina"))
            .arg("sandbox-stage")
            .arg(folder.path().join("spec"))
            .args(lifeline)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{lifeline:?}: {errors}");
        assert!(output.stdout.is_empty());
    }
}

fn own(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            own(&entry.path());
        }
        chown(entry.path(), Some(ORDINARY), Some(ORDINARY)).unwrap();
    }
}
