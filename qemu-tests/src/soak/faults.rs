//! Boots in which one system call of init fails, in user-mode Linux. The guest's tracer (`qemu-tests/guest`) makes it fail; init
//! itself is not changed. Whatever call it is, the boot must end in the real init or on the recovery screen, never in a
//! panic of the kernel, and never in silence.
//!
//! The first calls are not init's own: the C library and Rust's runtime make them before `main`, and end the process when they
//! fail. They are made to fail as well, and counted by themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use vm::console::Missed;

use crate::failure::Failure;
use crate::soak::fault_fixture::FaultFixture;
use crate::uml::UmlGuest;

/// The errors that are injected, in turn.
pub const ERRORS: [Errno; 6] =
    [Errno::EIO, Errno::ENOMEM, Errno::EPERM, Errno::ENOSPC, Errno::EMFILE, Errno::ENOENT];

/// Longer than the 30 s that init waits before it restarts a machine that has no console.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the tracer says when PID 1 has become the real init, and how the booted system answers.
const ARRIVED: &str = "soak: arrived";
/// What the tracer says when PID 1 is about to be killed, which is a kernel panic.
const DIES: &str = "soak: PID 1 dies";
/// What the booted system says before it arrives, when it came by all that this test is about.
const CHECKED: &str = "soak: checked by verity, attempt 1";
/// How it says that its top is the state.
const ON_STATE: &str = " top created";
/// What the tracer says at the first call of init's own.
const BEGAN: &str = "soak: init began with call ";
/// What init says when it has died of a signal that it handles.
const DIED: &str = "PID 1 died of SIG";
/// Stands in the menu of the recovery screen, whatever else does.
const MENU: &str = "[p] power off";
/// The kernel's own words for the end of the machine; user-mode Linux halts when it is told to power off.
const ENDS: [&str; 3] = ["reboot: Restarting system", "reboot: Power down", "reboot: System halted"];

/// How a boot with a failed call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The real init ran.
    Started,
    /// The recovery screen came, and a key or `panic=` ended the machine.
    Recovered,
    /// Init died, and its next life came to the recovery screen.
    Revived,
    /// The machine was restarted without a word, as when there is no console.
    Restarted,
    /// PID 1 ended before its own first call, which no program can prevent.
    NeverBegan,
    /// The kernel panicked: PID 1 ended.
    Panicked,
    /// Nothing more happened.
    Stuck,
}

impl Outcome {
    /// Whether somebody could go on from there.
    pub fn is_good(self) -> bool {
        !matches!(self, Self::Panicked | Self::Stuck)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Started => "started the system",
            Self::Recovered => "recovery screen",
            Self::Revived => "recovery screen after a death of init",
            Self::Restarted => "restarted by itself",
            Self::NeverBegan => "ended before `main`",
            Self::Panicked => "kernel panic",
            Self::Stuck => "stuck",
        }
    }
}

/// The system calls of a boot in which none fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    /// The first of init's own, after which its signal handlers stand.
    pub first: u64,
    /// The last before the real init runs.
    pub last: u64,
}

impl FaultFixture {
    /// Counts the calls of a whole boot, and makes sure that it comes by the hash tree, the boot slots and the state.
    pub fn count(&self) -> Result<Calls, Failure> {
        let (mut guest, log) = self.boot(0, Errno::UnknownErrno, 0)?;
        let failed = |what: String| Failure::new(format!("{what}: {}", log.display()));
        match guest.wait_for_any(&[ARRIVED, MENU], PATIENCE).and_then(|which| {
            // The rest of the line.
            guest.wait_for_any(&["\n"], PATIENCE).map(|_| which)
        }) {
            Ok(0) => {}
            other => return Err(failed(format!("no call failed and the boot did not arrive ({other:?})"))),
        }
        if !(guest.text().contains(CHECKED) && guest.text().contains(ON_STATE)) {
            return Err(failed("the boot went another way than this test wants".to_owned()));
        }
        let number = |after: &str, until: &str| {
            let text = guest.text().split_once(after)?.1;
            text.split_once(until)?.0.trim().parse().ok()
        };
        let calls = number("handed over after ", " calls").zip(number(BEGAN, "\n"));
        let calls = calls.map(|(last, first)| Calls { first, last });
        calls.ok_or_else(|| failed("the tracer did not say what it counted".to_owned()))
    }

    /// Boots with call `call` failing with `error`. `worker` tells apart those that boot at the same time.
    pub fn run(&self, call: u64, error: Errno, worker: usize) -> Result<Run, Failure> {
        let (mut guest, log) = self.boot(call, error, worker)?;
        let outcome = watch(&mut guest)?;
        let said = format!("call {call} system call ");
        let system_call =
            guest.text().split_once(&said).and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
        if outcome.is_good() {
            fs::remove_file(&log).map_err(Failure::at(&log))?;
        }
        Ok(Run { call, error, system_call, outcome })
    }
}

fn watch(guest: &mut UmlGuest) -> Result<Outcome, Failure> {
    let [restart, off, halt] = ENDS;
    let seen = guest.wait_for_any(&[ARRIVED, MENU, DIES, restart, off, halt], PATIENCE);
    let ended = if guest.text().contains(BEGAN) { Outcome::Panicked } else { Outcome::NeverBegan };
    let outcome = |missed| match missed {
        Missed::Panicked => ended,
        Missed::TimedOut | Missed::Closed => Outcome::Stuck,
    };
    match seen {
        Ok(0) => return Ok(Outcome::Started),
        Ok(1) => {}
        Ok(2) => return Ok(ended),
        Ok(_) => return Ok(Outcome::Restarted),
        Err(missed) => return Ok(outcome(missed)),
    }
    let screen = if guest.text().contains(DIED) { Outcome::Revived } else { Outcome::Recovered };
    guest.press("p")?;
    Ok(guest.wait_for_any(&ENDS, PATIENCE).map_or_else(outcome, |_| screen))
}

/// One boot and its outcome.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Which call failed.
    pub call: u64,
    /// With what.
    pub error: Errno,
    /// The kernel's number of what was called; `None` when the boot made fewer calls.
    pub system_call: Option<u64>,
    /// What came of it.
    pub outcome: Outcome,
}

/// All that a soak run found.
#[derive(Debug)]
pub struct Summary {
    calls: Calls,
    took: Duration,
    runs: Vec<Run>,
}

impl Summary {
    /// The boots that ended badly.
    pub fn bad(&self) -> Vec<Run> {
        self.runs.iter().filter(|run| !run.outcome.is_good()).copied().collect()
    }

    /// A Markdown section.
    pub fn to_markdown(&self) -> String {
        let Calls { first, last } = self.calls;
        let boots = self.runs.len();
        let reached = self.runs.iter().filter(|run| run.system_call.is_some());
        let failed: BTreeSet<u64> = reached.map(|run| run.call).collect();
        let mut text = format!(
            "## System calls that fail\n\nA whole boot, of an image under dm-verity, from a medium that counts boots, with its \
             state on ext4, makes {last} system calls.\nThe first {} belong to the C library and Rust's runtime, before `main`.\n\
             {boots} boots in {} s, each with one failed call; {} calls have failed at least once (a boot makes some more or \
             fewer, as its devices come):\n\n| outcome |",
            first - 1,
            self.took.as_secs(),
            failed.len()
        );
        for error in ERRORS {
            text += &format!(" {error:?} |");
        }
        text += &format!("\n|---|{}\n", "---|".repeat(ERRORS.len()));
        let mut table: BTreeMap<Outcome, BTreeMap<i32, usize>> = BTreeMap::new();
        for run in &self.runs {
            *table.entry(run.outcome).or_default().entry(run.error as i32).or_default() += 1;
        }
        for (outcome, counts) in &table {
            text += &format!("| {} |", outcome.name());
            for error in ERRORS {
                text += &format!(" {} |", counts.get(&(error as i32)).unwrap_or(&0));
            }
            text += "\n";
        }
        text += &self.before_main();
        text += &format!("\nKernel panics or silence, from `main` on: **{}**.\n", self.bad().len());
        for run in self.bad() {
            text += &format!(
                "- {}: `soak faults --call {} --error {:?}`\n",
                run.outcome.name(),
                run.call,
                run.error
            );
        }
        text
    }

    /// The calls that end PID 1 because init's own code has not begun.
    fn before_main(&self) -> String {
        let mut deaths: BTreeMap<(u64, u64), Vec<String>> = BTreeMap::new();
        for run in self.runs.iter().filter(|run| run.outcome == Outcome::NeverBegan) {
            let names = deaths.entry((run.call, run.system_call.unwrap_or_default())).or_default();
            names.push(format!("{:?}", run.error));
        }
        let tried = self.runs.iter().filter(|run| run.call < self.calls.first).count();
        if tried == 0 {
            return String::new();
        }
        let mut text = format!(
            "\nBefore `main`, of {tried} boots, these ended PID 1, which is a kernel panic and out of init's reach; the others \
             went on:\n"
        );
        for ((call, number), errors) in deaths {
            text += &format!("- call {call}, {}: {}\n", name(number), errors.join(", "));
        }
        text
    }
}

/// The names of those that stand before `main` (x86-64; `arch/x86/entry/syscalls/syscall_64.tbl` of the kernel).
fn name(system_call: u64) -> String {
    let known = [
        (7, "poll"),
        (9, "mmap"),
        (10, "mprotect"),
        (12, "brk"),
        (13, "rt_sigaction"),
        (14, "rt_sigprocmask"),
        (72, "fcntl"),
        (131, "sigaltstack"),
        (158, "arch_prctl"),
        (218, "set_tid_address"),
    ];
    let name = known.iter().find(|(number, _)| *number == system_call).map(|(_, name)| (*name).to_owned());
    name.unwrap_or_else(|| format!("system call {system_call}"))
}

/// How much of it is done.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// How many errors are tried on each call.
    pub rounds: u64,
    /// 1 takes all calls, 2 every other, and so on.
    pub step: u64,
    /// How many guests run at once at most.
    pub guests: usize,
    /// No boot begins later.
    pub deadline: Instant,
}

impl Extent {
    /// What is done, in order: every call once, with the errors in turn, then every call with the next error.
    fn plan(self, last: u64) -> impl Iterator<Item = (u64, Errno)> {
        let step = self.step.max(1);
        (0..self.rounds).flat_map(move |round| {
            // Another phase each round, so that the rounds of a sample do not take the same calls.
            let calls = (1 + round % step..=last).step_by(usize::try_from(step).unwrap_or(1));
            calls.map(move |call| (call, error_of(call / step + round)))
        })
    }
}

fn error_of(number: u64) -> Errno {
    let count = ERRORS.len();
    ERRORS[usize::try_from(number).unwrap_or_default() % count]
}

/// Boots again and again. `told` hears of each boot.
pub fn all(fixture: &FaultFixture, extent: Extent, told: &mut dyn FnMut(&Run)) -> Result<Summary, Failure> {
    let began = Instant::now();
    let calls = fixture.count()?;
    let plan = Mutex::new(extent.plan(calls.last));
    let next = |first: bool| {
        while !first && is_busy() && Instant::now() < extent.deadline {
            thread::sleep(Duration::from_secs(5));
        }
        let mut plan = plan.lock().ok()?;
        (Instant::now() < extent.deadline).then(|| plan.next())?
    };
    let mut runs = Vec::new();
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for worker in 0..extent.guests.max(1) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while let Some((call, error)) = next(worker == 0) {
                    // The receiver goes when a boot could not even begin.
                    if sender.send(fixture.run(call, error, worker)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for run in receiver {
            let run = run?;
            told(&run);
            runs.push(run);
        }
        Ok::<(), Failure>(())
    })?;
    Ok(Summary { calls, took: began.elapsed(), runs })
}

/// Whether others want the processors, so that a second guest would only make the first one slower: the load of the last
/// minute (proc(5)), of which the guests here are a part.
fn is_busy() -> bool {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = load.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default();
    let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    load > processors as f64 + 0.5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_comes_before_any_comes_again_and_then_with_another_error() {
        let extent = Extent { rounds: 6, step: 1, guests: 1, deadline: Instant::now() };
        let last = 641;
        let plan: Vec<(u64, Errno)> = extent.plan(last).collect();
        assert_eq!(plan.len(), 6 * 641);
        assert!((1..=last).eq(plan[..641].iter().map(|(call, _)| *call)));
        for call in [1, 2, last] {
            let errors: BTreeSet<i32> =
                plan.iter().filter(|run| run.0 == call).map(|run| run.1 as i32).collect();
            assert_eq!(errors.len(), ERRORS.len(), "call {call}");
        }
    }

    #[test]
    fn a_sample_tries_every_error_too() {
        let extent = Extent { rounds: 1, step: 60, guests: 1, deadline: Instant::now() };
        let errors: BTreeSet<i32> = extent.plan(641).map(|(_, error)| error as i32).collect();
        assert_eq!(errors.len(), ERRORS.len());
    }

    #[test]
    fn a_death_before_main_is_told_and_is_no_bad_run() {
        let run = |call, outcome| Run { call, error: Errno::EIO, system_call: Some(158), outcome };
        let mut summary = Summary {
            calls: Calls { first: 14, last: 20 },
            took: Duration::from_secs(61),
            runs: vec![run(1, Outcome::NeverBegan), run(14, Outcome::Started)],
        };
        assert!(summary.bad().is_empty());
        let text = summary.to_markdown();
        assert!(text.contains("- call 1, arch_prctl: EIO\n") && text.contains("2 boots in 61 s"), "{text}");
        summary.runs.push(run(15, Outcome::Panicked));
        assert_eq!(summary.bad().len(), 1);
        assert!(summary.to_markdown().contains("from `main` on: **1**"));
    }
}
