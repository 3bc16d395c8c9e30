//! Processes that really die, each of a signal: another life must follow, with the same arguments, and only one.
//!
//! Each test starts this test program again, with the name of the test `the_part_of_the_child` and the way to die in its
//! environment. The last tests do it as PID 1 of a namespace, which needs root.

#![expect(unsafe_code, reason = "a fault in memory is what some of the children die of")]

use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

use nix::sys::signal::{SigSet, Signal, raise};
use stack::last_resort::{self, DIED};

/// How the child dies; absent in the process that tests.
const WAY: &str = "LAST_RESORT_WAY";

fn child(program: &str, before: &[&str], way: &str) -> Output {
    let itself = std::env::current_exe().unwrap();
    let mut command = Command::new(program);
    command.args(before);
    if !before.is_empty() {
        command.arg(&itself);
    }
    command.args(["--exact", "the_part_of_the_child", "--nocapture", "--test-threads=1"]).env(WAY, way);
    command.output().unwrap()
}

/// What the child said on both of its outputs, after a life that ended well.
fn lives(way: &str) -> String {
    let output = child(std::env::current_exe().unwrap().to_str().unwrap(), &[], way);
    let text = text(&output);
    assert!(output.status.success(), "{way}: {}\n{text}", output.status);
    text
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn the_part_of_the_child() {
    let Ok(way) = std::env::var(WAY) else { return };
    last_resort::install();
    last_resort::keep(std::env::args_os(), std::env::vars_os());
    last_resort::wait_as(Some(-1));
    if let Ok(died) = std::env::var(DIED) {
        let blocked = SigSet::thread_get_mask().unwrap().iter().count();
        println!("a second life after {died}, {} arguments, {blocked} blocked", std::env::args().count());
        if !way.starts_with("twice ") {
            return;
        }
    }
    die(way.strip_prefix("twice ").unwrap_or(&way));
}

fn die(way: &str) {
    match way {
        "abort" => std::process::abort(),
        "null" => {
            // SAFETY: none: the fault is what is wanted.
            unsafe { black_box(std::ptr::null_mut::<u8>()).write_volatile(1) };
        }
        "overflow" => drop(overflow(0)),
        "overflow of a thread" => drop(std::thread::spawn(|| overflow(0)).join()),
        "thread" => drop(std::thread::spawn(|| std::process::abort()).join()),
        "allocation" => std::alloc::handle_alloc_error(std::alloc::Layout::new::<u64>()),
        "blocked" => {
            SigSet::all().thread_block().unwrap();
            last_resort::install();
            die("null");
        }
        "forked" => forked(),
        signal => raise(signal.parse().unwrap()).unwrap(),
    }
}

fn overflow(depth: u64) -> u64 {
    let room = black_box([depth; 512]);
    if depth == u64::MAX { 0 } else { overflow(depth + 1).wrapping_add(room[511]) }
}

/// A child that has not become another program dies as any process does, and does not run init again.
fn forked() {
    // SAFETY: the child only raises a signal.
    match unsafe { nix::unistd::fork() }.unwrap() {
        nix::unistd::ForkResult::Child => raise(Signal::SIGABRT).unwrap(),
        nix::unistd::ForkResult::Parent { child } => {
            println!("{:?}", nix::sys::wait::waitpid(child, None).unwrap());
        }
    }
}

#[test]
fn after_each_signal_another_life_knows_of_which() {
    for signal in ["SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT", "SIGSYS", "SIGTRAP"] {
        let text = lives(signal);
        assert!(text.contains(&format!("lamina: PID 1 died of {signal}; starting it anew\n")), "{text}");
        assert!(text.contains(&format!("a second life after {signal}, 5 arguments, 0 blocked")), "{text}");
    }
}

#[test]
fn faults_are_survived_whatever_and_wherever_they_are() {
    for (way, signal) in [
        ("abort", "SIGABRT"),
        ("null", "SIGSEGV"),
        ("blocked", "SIGSEGV"),
        ("allocation", "SIGABRT"),
        ("thread", "SIGABRT"),
        ("overflow", "SIGSEGV (stack overflow)"),
        ("overflow of a thread", "SIGSEGV (stack overflow)"),
    ] {
        let text = lives(way);
        assert!(text.contains(&format!("a second life after {signal}, 5 arguments")), "{way}: {text}");
    }
}

#[test]
fn children_die_as_any_process_does() {
    let text = lives("forked");
    assert!(text.contains("Signaled(Pid(") && text.contains("SIGABRT"), "{text}");
    assert!(!text.contains("second life"), "{text}");
}

#[test]
fn a_second_death_is_the_last() {
    for way in ["twice abort", "twice null", "twice overflow"] {
        let output = child(std::env::current_exe().unwrap().to_str().unwrap(), &[], way);
        let text = text(&output);
        assert_eq!(text.matches("a second life").count(), 1, "{text}");
        assert!(text.contains(" and cannot go on; rebooting in 0 s\n"), "{text}");
        // In place of reboot(2), outside of a namespace of processes.
        assert_eq!(output.status.signal(), Some(Signal::SIGKILL as i32), "{text}");
    }
}

/// There the kernel protects it from signals that it does not handle, and takes that away for a fault.
#[test]
fn pid_1_lives_again_and_restarts_its_machine_in_the_end() {
    assert!(rustix::process::geteuid().is_root(), "this test makes a PID 1: run it as root");
    let unshare = ["--pid", "--fork", "--kill-child"];
    for way in ["abort", "null", "overflow", "SIGSEGV"] {
        let output = child("unshare", &unshare, way);
        assert!(
            output.status.success() && text(&output).contains("a second life after"),
            "{}",
            text(&output)
        );
    }
    // reboot_pid_ns() of the kernel's kernel/pid_namespace.c: PID 1 of the namespace ends with SIGHUP for a restart.
    let output = child("unshare", &unshare, "twice null");
    assert_eq!(output.status.signal(), Some(Signal::SIGHUP as i32), "{}: {}", output.status, text(&output));
}
