//! Boots in which one system call of init fails, in user-mode Linux. The guest's tracer (`qemu-tests/guest`) makes it fail; init
//! itself is not changed. Whatever call it is, the boot must end in the real init or on the recovery screen, never in a
//! panic of the kernel, and never in silence.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use tempfile::TempDir;

use crate::artifacts;
use crate::console::Missed;
use crate::failure::Failure;
use crate::medium::{self, FileSystem};
use crate::scene::DISK;
use crate::soak::log_folder;
use crate::store::{Layer, ProfileText, TestStore};
use crate::uml::{Archive, Uml, UmlGuest};

/// The errors that are injected, in turn.
pub const ERRORS: [Errno; 6] =
    [Errno::EIO, Errno::ENOMEM, Errno::EPERM, Errno::ENOSPC, Errno::EMFILE, Errno::ENOENT];

/// Longer than the 30 s that init waits before it restarts a machine that has no console.
const PATIENCE: Duration = Duration::from_secs(60);
const MODULES: [&str; 6] = ["loop", "squashfs", "overlay", "dm_mod", "dm_bufio", "dm_verity"];
/// What the tracer says when PID 1 has become the real init, and how the booted system answers.
const ARRIVED: &str = "soak: arrived";
/// What the tracer says when PID 1 is about to be killed, which is a kernel panic.
const DIES: &str = "soak: PID 1 dies";
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
            Self::Panicked => "kernel panic",
            Self::Stuck => "stuck",
        }
    }
}

/// The system calls of a boot in which none fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    /// The first of init's own, after which its signal handlers stand. Those before are the C library's and Rust's runtime,
    /// which end the process when they fail.
    pub first: u64,
    /// The last before the real init runs.
    pub last: u64,
}

/// What the boots need, made once.
#[derive(Debug)]
pub struct Stage {
    folder: TempDir,
    initramfs: PathBuf,
    disk: PathBuf,
    parameters: String,
}

impl Stage {
    /// A disk with a system of one image, and an initramfs with init and its tracer.
    pub fn prepare() -> Result<Self, Failure> {
        let folder = tempfile::tempdir().map_err(Failure::about("a temporary folder"))?;
        let read = |path: PathBuf| fs::read(&path).map_err(Failure::at(&path));
        let (init, guest) = (read(artifacts::init()?)?, read(artifacts::soak_guest()?)?);
        let medium_folder = folder.path().join("medium");
        let store = TestStore::create(&medium_folder.join("lamina"))?;
        let image = store.add(&system(&guest)?)?;
        store.profile(&ProfileText::new("soak", &[image]).init("/sbin/soak-arrived"))?;
        let disk = folder.path().join("base.img");
        medium::write(FileSystem::Ext4, DISK, &medium_folder, &disk)?;
        let initramfs = folder.path().join("initramfs");
        Archive::new()
            .program("init", init)
            .program("soak-guest", guest)
            .modules(&MODULES)?
            .write(&initramfs)?;
        let parameters = format!(
            "rdinit=/soak-guest soak_role=faults lamina.store=LABEL={} lamina.profile=soak lamina.timeout=5 panic=2",
            DISK.label
        );
        Ok(Self { folder, initramfs, disk, parameters })
    }

    /// Counts the calls of a whole boot.
    pub fn count(&self) -> Result<Calls, Failure> {
        let log = log_folder()?.join("faults-count.log");
        let mut guest = self.boot(0, Errno::UnknownErrno, &log)?;
        match guest.wait_for_any(&[ARRIVED, MENU], PATIENCE) {
            Ok(0) => {}
            other => {
                return Err(Failure::new(format!(
                    "no call failed and the boot did not arrive ({other:?}): {}",
                    log.display()
                )));
            }
        }
        let number = |after: &str, until: &str| {
            let text = guest.text().split_once(after)?.1;
            text.split_once(until)?.0.trim().parse().ok()
        };
        let calls = number("handed over after ", " calls")
            .zip(number("init began with call ", "\n"))
            .map(|(last, first)| Calls { first, last });
        calls
            .ok_or_else(|| Failure::new(format!("the tracer did not say what it counted: {}", log.display())))
    }

    /// Boots with call `call` failing with `error`.
    pub fn run(&self, call: u64, error: Errno) -> Result<Outcome, Failure> {
        let log = log_folder()?.join(format!("fault-{call}-{error:?}.log"));
        let mut guest = self.boot(call, error, &log)?;
        let outcome = watch(&mut guest)?;
        if outcome.is_good() {
            fs::remove_file(&log).map_err(Failure::at(&log))?;
        }
        Ok(outcome)
    }

    fn boot(&self, call: u64, error: Errno, log: &Path) -> Result<UmlGuest, Failure> {
        // Init writes to the disk.
        let disk = self.folder.path().join("disk.img");
        fs::copy(&self.disk, &disk).map_err(Failure::at(&disk))?;
        let fault = format!("soak_call={call} soak_errno={}", error as i32);
        Uml::new(&self.initramfs).disk(&disk).parameters(&self.parameters).parameters(&fault).boot(log)
    }
}

/// The image of a system that only says that it runs.
fn system(guest: &[u8]) -> Result<Layer, Failure> {
    let mut layer = Layer::new("soak-system").program("/sbin/soak-arrived", guest.to_vec())?;
    for folder in ["/dev", "/proc", "/run", "/sys", "/tmp"] {
        layer = layer.folder(folder)?;
    }
    Ok(layer)
}

fn watch(guest: &mut UmlGuest) -> Result<Outcome, Failure> {
    let outcome = |missed| match missed {
        Missed::Panicked => Outcome::Panicked,
        Missed::TimedOut | Missed::Closed => Outcome::Stuck,
    };
    let [restart, off, halt] = ENDS;
    match guest.wait_for_any(&[ARRIVED, MENU, DIES, restart, off, halt], PATIENCE) {
        Ok(0) => return Ok(Outcome::Started),
        Ok(1) => {}
        Ok(2) => return Ok(Outcome::Panicked),
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
    /// What came of it.
    pub outcome: Outcome,
}

/// All that a soak run found.
#[derive(Debug)]
pub struct Summary {
    calls: Calls,
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
        let mut text = format!(
            "## System calls that fail\n\nA whole boot makes {last} system calls; the first {} belong to the C library and \
             Rust's runtime, before init's own code.\n{} boots, each with one failed call:\n\n| outcome |",
            first - 1,
            self.runs.len()
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
        text += &format!("\nKernel panics or silence: **{}**.\n", self.bad().len());
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
}

/// Every call of a boot, with the errors in turn, `rounds` times with another error each time; at most until `deadline`.
/// `step` skips calls: 1 takes all. `told` hears of each boot.
pub fn all(
    stage: &Stage,
    rounds: u64,
    step: u64,
    deadline: Instant,
    told: &mut dyn FnMut(&Run),
) -> Result<Summary, Failure> {
    let calls = stage.count()?;
    let mut runs = Vec::new();
    for round in 0..rounds {
        // Another phase each round, so that the rounds of a sample do not take the same calls.
        for call in (calls.first + round % step..=calls.last).step_by(usize::try_from(step).unwrap_or(1)) {
            if Instant::now() >= deadline {
                return Ok(Summary { calls, runs });
            }
            let error = ERRORS[(runs.len() + usize::try_from(round).unwrap_or(0)) % ERRORS.len()];
            let run = Run { call, error, outcome: stage.run(call, error)? };
            told(&run);
            runs.push(run);
        }
    }
    Ok(Summary { calls, runs })
}
