//! Makes one system call of the real init fail: ptrace(2), from a process beside PID 1.
//!
//! The kernel starts this program in place of init (`rdinit=`). It starts a copy of itself, the tracer, waits until that has
//! seized PID 1, and becomes the real init, which is not changed in any way. The tracer counts the system calls of PID 1 and of
//! all its threads and children, from that execve(2) on; the one with the wanted number is not carried out (its number is
//! replaced by -1) and returns the wanted error.

use std::collections::HashMap;
use std::env;
use std::ffi::c_void;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::ITSELF;
use crate::machine::{say, switch_off};

/// The init under test.
const REAL_INIT: &str = "/init";
const PID_1: Pid = Pid::from_raw(1);
/// Signals for a fault of the process itself: init handles them.
const DEADLY: [Signal; 7] = [
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGILL,
    Signal::SIGFPE,
    Signal::SIGABRT,
    Signal::SIGSYS,
    Signal::SIGTRAP,
];
/// Init ends the machine itself when its handler has died once more.
const MOST_DEATHS: u32 = 3;
/// Settings for this program, which the real init must not see.
const SETTINGS: [&str; 3] = ["soak_role", "soak_call", "soak_errno"];

/// Calls that cannot fail in any kernel (x86-64): rt_sigreturn, sched_yield, getpid, exit, umask, getuid, getgid, geteuid,
/// getegid, getppid, gettid, exit_group.
const NEVER_FAIL: [u64; 12] = [15, 24, 39, 60, 95, 102, 104, 107, 108, 110, 186, 231];
/// futex(2), and its operations that only wake others: with an address of this process they cannot fail, and a waiter whose
/// waking was made to fail sleeps for ever, which no program can prevent.
const FUTEX: u64 = 202;
const FUTEX_WAKES: [u64; 2] = [1, 3];
/// getpid, the first call of init's own `main`: what comes before belongs to the C library and Rust's runtime.
const GETPID: u64 = 39;

/// The part of PID 1: starts the tracer and becomes the real init.
pub fn become_traced() -> Result<(), String> {
    let tracer = Command::new(ITSELF).env("soak_role", "tracer").stdout(Stdio::piped()).spawn();
    let mut tracer = tracer.map_err(|error| format!("starting the tracer: {error}"))?;
    let mut output = tracer.stdout.take().ok_or("the tracer has no output")?;
    output.read_exact(&mut [0]).map_err(|error| format!("waiting for the tracer: {error}"))?;
    drop(output);
    let mut init = Command::new(REAL_INIT);
    init.args(env::args_os().skip(1));
    for setting in SETTINGS {
        init.env_remove(setting);
    }
    Err(format!("starting {REAL_INIT}: {}", init.exec()))
}

/// The call that is to fail.
struct Fault {
    /// Counted from 1, the return of the execve(2) that starts init; 0: none, only count.
    call: u64,
    errno: Errno,
}

impl Fault {
    fn from_environment() -> Self {
        let number = |name| env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(0);
        Self {
            call: number("soak_call"),
            errno: Errno::from_raw(i32::try_from(number("soak_errno")).unwrap_or(0)),
        }
    }
}

/// What the tracer knows of one process or thread.
#[derive(Default)]
struct Tracee {
    /// Between the entry of a system call and its return.
    inside: bool,
    /// The call it is in was taken away, and returns the error.
    failing: bool,
}

struct Tracer {
    fault: Fault,
    calls: u64,
    /// The number of the first call of init's own.
    begun: Option<u64>,
    /// How often PID 1 has died since it began or began anew.
    deaths: u32,
    tracees: HashMap<Pid, Tracee>,
}

/// The part of the tracer.
pub fn trace() -> Result<(), String> {
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK;
    ptrace::seize(PID_1, options).map_err(|errno| format!("seizing PID 1: {errno}"))?;
    let mut ready = std::io::stdout();
    ready.write_all(b"+").and_then(|()| ready.flush()).map_err(|error| error.to_string())?;
    let mut tracer = Tracer {
        fault: Fault::from_environment(),
        calls: 0,
        begun: None,
        deaths: 0,
        tracees: HashMap::new(),
    };
    say("traced");
    loop {
        match waitpid(None, Some(WaitPidFlag::__WALL)) {
            Ok(status) => {
                if tracer.take(status) {
                    return Ok(());
                }
            }
            Err(Errno::EINTR) => {}
            // Nobody is left.
            Err(Errno::ECHILD) => return Ok(()),
            Err(errno) => return Err(format!("waiting for a stop: {errno}")),
        }
    }
}

/// Whether no kernel refuses this call. `second` is its second argument: the operation of futex(2), with flags from 128 up.
fn cannot_fail(call: u64, second: u64) -> bool {
    NEVER_FAIL.contains(&call) || call == FUTEX && FUTEX_WAKES.contains(&(second & 127))
}

/// The name under which a process that has just called execve(2) was started: its stack begins with the number of arguments and
/// their addresses (System V ABI for x86-64, "Initial Stack and Register State").
fn program(pid: Pid) -> Option<String> {
    let read = |address: u64| {
        let word = ptrace::read(pid, std::ptr::without_provenance_mut::<c_void>(address.try_into().ok()?));
        word.ok().map(i64::cast_unsigned)
    };
    let mut address = read(ptrace::getregs(pid).ok()?.rsp + 8)?;
    let mut name = Vec::new();
    while name.len() < 256 {
        let bytes = read(address)?.to_le_bytes();
        name.extend(bytes.iter().take_while(|byte| **byte != 0));
        if bytes.contains(&0) {
            break;
        }
        address += 8;
    }
    String::from_utf8(name).ok()
}

impl Tracer {
    /// Deals with one stop; true when PID 1 has become the real init, which is let go.
    fn take(&mut self, status: WaitStatus) -> bool {
        match status {
            WaitStatus::PtraceEvent(pid, _, event) => {
                let exec = event == ptrace::Event::PTRACE_EVENT_EXEC as i32;
                if exec && pid == PID_1 {
                    self.deaths = 0;
                    // Init runs itself anew when a key asks for it, and when it has died.
                    if program(pid).as_deref() != Some(REAL_INIT) {
                        say(&format!("handed over after {} calls", self.calls));
                        let _ = ptrace::detach(pid, None);
                        return true;
                    }
                }
                if exec {
                    // The return of execve(2) is still to come.
                    self.tracees.insert(pid, Tracee { inside: true, failing: false });
                }
                self.resume(pid, None);
            }
            WaitStatus::PtraceSyscall(pid) => {
                self.at_call(pid);
                self.resume(pid, None);
            }
            // A new thread of a seized process begins with a stop that is no signal of its own.
            WaitStatus::Stopped(pid, Signal::SIGSTOP) => self.resume(pid, None),
            WaitStatus::Stopped(pid, signal) if DEADLY.contains(&signal) => {
                self.deaths += 1;
                // The kernel would panic now. A traced PID 1 is spared instead, and would fail at the same place for ever.
                if self.begun.is_none() || self.deaths > MOST_DEATHS {
                    say(&format!("PID 1 dies of {signal}"));
                    switch_off();
                }
                self.resume(pid, Some(signal));
            }
            WaitStatus::Stopped(pid, signal) => self.resume(pid, Some(signal)),
            WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..) => drop(self.tracees.remove(&pid)),
            _ => {}
        }
        false
    }

    fn resume(&self, pid: Pid, signal: Option<Signal>) {
        let done = self.fault.call != 0 && self.calls > self.fault.call;
        let unfinished = self.tracees.values().any(|tracee| tracee.failing);
        // ESRCH: it was killed meanwhile.
        let _ = if done && !unfinished { ptrace::cont(pid, signal) } else { ptrace::syscall(pid, signal) };
    }

    fn at_call(&mut self, pid: Pid) {
        let tracee = self.tracees.entry(pid).or_default();
        tracee.inside = !tracee.inside;
        let Ok(mut registers) = ptrace::getregs(pid) else { return };
        if !tracee.inside {
            if std::mem::take(&mut tracee.failing) {
                registers.rax = i64::from(-(self.fault.errno as i32)).cast_unsigned();
                let _ = ptrace::setregs(pid, registers);
            }
            return;
        }
        self.calls += 1;
        if registers.orig_rax == GETPID && self.begun.is_none() {
            self.begun = Some(self.calls);
            say(&format!("init began with call {}", self.calls));
        }
        if self.calls == self.fault.call {
            let possible = !cannot_fail(registers.orig_rax, registers.rsi);
            let verb = if possible { "fails" } else { "cannot fail" };
            say(&format!(
                "call {} system call {} {verb} with {:?}",
                self.calls, registers.orig_rax, self.fault.errno
            ));
            if possible {
                registers.orig_rax = u64::MAX;
                tracee.failing = ptrace::setregs(pid, registers).is_ok();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waking_cannot_fail_and_waiting_can() {
        const PRIVATE: u64 = 128;
        assert!(cannot_fail(FUTEX, 1 | PRIVATE) && cannot_fail(FUTEX, 3) && cannot_fail(GETPID, 0));
        assert!(!cannot_fail(FUTEX, PRIVATE) && !cannot_fail(FUTEX, 9 | PRIVATE) && !cannot_fail(0, 1));
    }
}
