//! A running machine: read its console, type on it, wait for its end.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use vm::acceleration::Acceleration;
use vm::console::Missed;
use vm::machine::Machine;
use vm::qemu::RunningMachine;
use vm::share::VirtioFsDaemon;

use crate::acceleration;
use crate::failure::Failure;
use crate::logs;
use crate::vm_slots::{self, Slot};

/// How long one expectation may take. A boot takes 3 to 6 s under emulation on an idle computer; shared processors have
/// been seen to be ten times slower.
const PATIENCE: Duration = Duration::from_secs(150);
/// How much of the console a failure shows; the whole is in the log.
const SHOWN_LINES: usize = 30;
/// How often a machine is started whose kernel does not come to init. QEMU's emulation of several processors can lose against a
/// kernel that patches its own code (`Oops: int3` in `start_kernel`), and can lose a timer that the kernel then waits for without
/// an end ([`LOST_TIMER`]): each was seen once in some hundred boots.
const MOST_STARTS: u32 = 3;

/// What a kernel whose timer was lost says every 21 seconds (its `kernel/rcu/tree_stall.h`).
const LOST_TIMER: &str = "rcu_preempt kthread timer wakeup didn't happen";

/// A running QEMU. Dropping it kills it; the console log is kept when the story failed.
#[derive(Debug)]
pub struct Guest {
    machine: Machine,
    acceleration: Acceleration,
    starts: u32,
    running: RunningMachine,
    /// All that the guest and QEMU itself printed, byte for byte.
    log_path: PathBuf,
    failed: bool,
    /// Given back as soon as the machine is off: a story may keep the value and boot another.
    slot: Option<Slot>,
}

impl Guest {
    /// Waits for a slot and starts `machine`, on KVM where a probe guest has really booted, else emulated.
    pub fn boot(machine: &Machine) -> Result<Self, Failure> {
        Self::boot_on(machine, acceleration::best()?)
    }

    /// As [`Guest::boot`], with the acceleration named.
    pub fn boot_on(machine: &Machine, acceleration: Acceleration) -> Result<Self, Failure> {
        let slot = vm_slots::take()?;
        let log_path = logs::console(&machine.name)?;
        let running = RunningMachine::start(machine, acceleration, &log_path)?;
        Ok(Self {
            machine: machine.clone(),
            acceleration,
            starts: 1,
            running,
            log_path,
            failed: false,
            slot: Some(slot),
        })
    }

    /// Waits until `wanted` is printed after the last match, and returns what stood between the two.
    pub fn expect(&mut self, wanted: &str) -> Result<String, Failure> {
        self.expect_within(wanted, PATIENCE)
    }

    /// As [`Guest::expect`], with a timeout.
    pub fn expect_within(&mut self, wanted: &str, timeout: Duration) -> Result<String, Failure> {
        loop {
            match self.running.console.wait_for(wanted, timeout) {
                Ok(text) => return Ok(text),
                Err(_) if self.never_began() => self.start_again()?,
                Err(missed) => return Err(self.failure(&format!("{wanted:?}"), &missed, timeout)),
            }
        }
    }

    /// The process of QEMU.
    pub fn id(&self) -> u32 {
        self.running.id()
    }

    /// Waits until one of `wanted` is printed, and returns which. That none comes is no failure of the story.
    pub fn wait_for_any(&mut self, wanted: &[&str], timeout: Duration) -> Result<usize, Missed> {
        self.running.console.wait_for_any(wanted, timeout)
    }

    /// Whether the emulated kernel ended before it came to init: nothing was tried of what the story is about.
    fn never_began(&self) -> bool {
        self.starts < MOST_STARTS
            && !self.running.keeps_daemons()
            && ended_before_init(self.running.console.text())
    }

    /// Starts the machine again, and keeps the log of the first.
    fn start_again(&mut self) -> Result<(), Failure> {
        let kept = self.log_path.with_extension(format!("{}.log", self.starts));
        eprintln!(
            "guest {}: its kernel ended before init, see {}; started again",
            self.machine.name,
            kept.display()
        );
        self.running.kill()?;
        fs::rename(&self.log_path, &kept).map_err(Failure::at(&kept))?;
        self.running = RunningMachine::start(&self.machine, self.acceleration, &self.log_path)?;
        self.starts += 1;
        Ok(())
    }

    /// Keeps the daemon of a share as long as the machine.
    pub fn keep(&mut self, daemon: VirtioFsDaemon) {
        self.running.keep(daemon);
    }

    /// As [`RunningMachine::plug_in`].
    pub fn plug_in(&mut self) -> Result<(), Failure> {
        let done = self.running.plug_in();
        self.tell(done)
    }

    /// As [`RunningMachine::insert`].
    pub fn insert(&mut self, drive: &str, image: &Path) -> Result<(), Failure> {
        let done = self.running.insert(drive, image);
        self.tell(done)
    }

    /// As [`RunningMachine::take_out`].
    pub fn take_out(&mut self, drive: &str) -> Result<(), Failure> {
        let done = self.running.take_out(drive);
        self.tell(done)
    }

    /// As [`RunningMachine::press`].
    pub fn press(&mut self, key: &str) -> Result<(), Failure> {
        let done = self.running.press(key);
        self.tell(done)
    }

    /// As [`RunningMachine::take_picture`].
    pub fn take_picture(&mut self, file: &Path) -> Result<(), Failure> {
        let done = self.running.take_picture(file);
        self.tell(done)
    }

    /// An order that failed fails the story, with the end of the console.
    fn tell(&mut self, done: Result<(), fault::Error>) -> Result<(), Failure> {
        done.map_err(|error| self.told(&error.to_string()))
    }

    /// Types `line` and the return key.
    pub fn type_line(&mut self, line: &str) -> Result<(), Failure> {
        Ok(self.running.console.send(format!("{line}\n").as_bytes())?)
    }

    /// Types `text` without a return key.
    pub fn type_text(&mut self, text: &str) -> Result<(), Failure> {
        Ok(self.running.console.send(text.as_bytes())?)
    }

    /// Runs one line in the guest's shell and returns what it printed; a non-zero exit status is a failure.
    ///
    /// The shell echoes what is typed, so that the marks are put together by the shell and never stand in the typed line.
    pub fn run(&mut self, line: &str) -> Result<String, Failure> {
        self.type_line(&format!("echo be''gin; {line}; echo e''nd=$?."))?;
        self.expect("begin\n")?;
        let output = self.expect("end=")?;
        let status = self.expect(".")?;
        if status != "0" {
            self.failed = true;
            return Err(self.told(&format!("`{line}` ended with status {status} and printed: {output}")));
        }
        Ok(output)
    }

    /// Waits until the machine is off (powered off, or restarted: QEMU runs with `-no-reboot`).
    pub fn expect_off(&mut self) -> Result<(), Failure> {
        self.running
            .console
            .wait_for_end(PATIENCE)
            .map_err(|missed| self.failure("the machine to go off", &missed, PATIENCE))?;
        let status = self.running.wait()?;
        self.slot = None;
        if status.success() { Ok(()) } else { Err(self.told(&format!("QEMU ended with {status}"))) }
    }

    /// All that was printed so far.
    pub fn text(&self) -> &str {
        self.running.console.text()
    }

    /// All that was printed so far, byte for byte.
    pub fn bytes(&self) -> &[u8] {
        self.running.console.bytes()
    }

    /// Types bytes that no keyboard has.
    pub fn send_noise(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.running.console.send(bytes)?)
    }

    /// A failure of this guest that says `message`, the end of its console, and where the whole log is.
    pub fn told(&mut self, message: &str) -> Failure {
        self.failed = true;
        let lines: Vec<&str> = self.running.console.text().lines().collect();
        let last = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n    ");
        Failure::new(format!(
            "guest {}: {message}\n  the console ended with:\n    {last}\n  whole log: {}",
            self.machine.name,
            self.log_path.display()
        ))
    }

    fn failure(&mut self, wanted: &str, missed: &Missed, timeout: Duration) -> Failure {
        let why = match missed {
            Missed::TimedOut => format!("waited {} s for", timeout.as_secs()),
            Missed::Panicked => "the kernel panicked before".to_owned(),
            Missed::Closed => "the machine went off before".to_owned(),
        };
        self.told(&format!("{why} {wanted}"))
    }
}

/// A kernel names the process that it died in; before it has started a program that is one of its own, `swapper`.
fn ended_before_init(printed: &str) -> bool {
    let last = printed.rsplit_once(" Comm: ").map(|(_, name)| name.starts_with("swapper"));
    let died = printed.contains("Kernel panic") && last == Some(true);
    (died || printed.contains(LOST_TIMER)) && !printed.contains("lamina: ")
}

impl Drop for Guest {
    fn drop(&mut self) {
        if !self.failed && !thread::panicking() {
            let _ = fs::remove_file(&self.log_path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_kernel_that_ends_before_init_is_started_again() {
        let warning = "CPU: 0 UID: 0 PID: 0 Comm: swapper/0 Not tainted 6.12.95\n";
        let panic = "Kernel panic - not syncing: Fatal exception in interrupt\n";
        assert!(ended_before_init(&format!("{warning}{panic}")));
        assert!(!ended_before_init(warning));
        let init = "CPU: 1 PID: 1 Comm: init Not tainted 6.12.95\nKernel panic - not syncing: Attempted to kill init!\n";
        assert!(!ended_before_init(init));
        assert!(!ended_before_init(&format!("{warning}{init}")));
        assert!(!ended_before_init(&format!("lamina: kernel 6.12.95\n{warning}{panic}")));
        let stall = "rcu: rcu_preempt kthread timer wakeup didn't happen for 5251 jiffies! g-1155 f0x0\n";
        assert!(ended_before_init(stall));
        assert!(!ended_before_init(&format!("lamina: kernel 6.12.95\n{stall}")));
    }
}
