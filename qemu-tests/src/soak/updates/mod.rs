//! Interrupted and lying updates. A real disk, by `lamina disk create`, gets new generations with kernels of their own by `lamina
//! system install`, in user-mode Linux and on a device that logs every write. From the log come the disks that a power cut at any moment
//! would have left; others are disks of which something is damaged although the update was complete. Each of them is started: what a
//! loader chooses, a reader of entries says from the loaders' documents, and user-mode Linux boots that entry. Whatever the state, a
//! system must come up that the entry binds, and where nothing lies it is the generation of before or the new one.
//!
//! | module | subject |
//! |---|---|
//! | [`made_disk`] | the disk before the update, and what updates bring |
//! | [`recording`] | an update, and the log of its writes |
//! | [`contents`] | what is on a disk |
//! | [`ext4`] | its store, changed by e2fsprogs |
//! | [`damage`] | what lies |
//! | [`state`] | one state, drawn from a seed |
//! | [`copying`] | what loaders read, as it is on a disk |
//! | [`loader`] | what a loader starts |
//! | [`firmware`] | the same by the firmware and the loaders themselves |
//! | [`patience`] | how long a guest is waited for |
//! | [`trial`] | one state, started until a system comes up |
//! | [`settled`] | what of a command is on the disk when it has ended |
//! | [`verdict`] | what came of it, and what may |
//! | [`kept`] | what is kept of one that was not good |
//! | [`summary`] | the counts |

pub mod contents;
pub mod copying;
pub mod damage;
pub mod ext4;
pub mod firmware;
pub mod kept;
pub mod loader;
pub mod made_disk;
pub mod patience;
pub mod recording;
pub mod settled;
pub mod state;
pub mod summary;
pub mod trial;
pub mod verdict;

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use tempfile::TempDir;

use crate::failure::Failure;
use damage::Damage;
use loader::Loader;
use made_disk::{MadeDisk, Starter};
use recording::{Pace, Recording, Way};
use state::State;
use summary::Summary;
use trial::Trial;
use verdict::{Judged, Verdict};

/// As many as may run at once on one machine.
const WORKERS: usize = 2;
/// A state that is not good is started from its beginning once more, and while guests are kept waiting up to so many times in all.
const MOST_TRIALS: u32 = 5;
/// What entries and folders may take beside kernels, in bytes.
const BESIDE: u64 = 64 << 10;

/// The disk, and the updates that it has lived through.
#[derive(Debug)]
pub struct Updates {
    made: MadeDisk,
    /// The logs.
    pub recordings: Vec<Recording>,
}

/// Which states.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    /// What all random choices follow from.
    pub seed: u64,
    /// The number of the first state.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// Of those only the ones whose name in the table has these words in it.
    pub only: &'a str,
    /// No state is begun behind it.
    pub deadline: Instant,
}

impl Updates {
    /// Makes the disk, and records its life in both ways; with and without room on the EFI system partition.
    pub fn record() -> Result<Self, Failure> {
        let made = MadeDisk::make(Starter::Uml)?;
        let [_, initramfs] = made.boot_files(made_disk::LAST)?;
        let length = fs::metadata(&initramfs).map_err(Failure::at(&initramfs))?.len();
        // The initramfs and no kernel: what goes has to go first. And nothing at all, whatever goes.
        let free = [length + BESIDE, 0];
        let mut recordings = Vec::new();
        for way in [Way::Mounted, Way::Unmounted] {
            let lived = Recording::make(&made, way, made_disk::LAST - 1)?;
            for free in free {
                recordings.push(lived.one_more(&made, free)?);
            }
            recordings.push(lived);
        }
        let full =
            |refused: bool| recordings.iter().filter(|it| it.is_full() && it.is_refused() == refused).count();
        if full(false) != 2 || full(true) != 2 {
            return Err(Failure::new(
                "with little room an update ends as nobody expects: see the logs of the updates",
            ));
        }
        Ok(Self { made, recordings })
    }

    /// A sample of that: one update in each way.
    pub fn record_sample() -> Result<Self, Failure> {
        Self::record_one_update(Starter::Uml)
    }

    /// Makes a disk with real kernels, and records one update of it in both ways.
    pub fn record_for_firmware() -> Result<Self, Failure> {
        Self::record_one_update(Starter::Firmware)
    }

    fn record_one_update(starter: Starter) -> Result<Self, Failure> {
        let made = MadeDisk::make(starter)?;
        let ways = [Way::Mounted, Way::Unmounted];
        let recordings = ways.into_iter().map(|way| Recording::make(&made, way, made_disk::FIRST + 1));
        Ok(Self { recordings: recordings.collect::<Result<_, _>>()?, made })
    }

    /// Lets systemd-boot count a try on the last of the disks, and records that.
    pub fn record_loader(&mut self) -> Result<(), Failure> {
        let lived =
            self.recordings.iter().rfind(|it| !it.is_full()).ok_or_else(|| Failure::new("no update"))?;
        let counted = lived.of_loader(&self.made)?;
        self.recordings.push(counted);
        Ok(())
    }

    /// What was not on the disk when a command had ended: mounted and not, and however the kernel writes back what is dirty.
    pub fn lost_at_the_end(&self) -> Result<Vec<String>, Failure> {
        let mut lost = Vec::new();
        for way in [Way::Mounted, Way::Unmounted] {
            for pace in [Pace::Settled, Pace::SettledEagerly] {
                lost.extend(settled::lost(&self.made, way, pace)?);
            }
        }
        Ok(lost)
    }

    /// Judges one state. Its disk is the same whenever it is written: what came of it once and not again came of the machine that
    /// started it.
    pub fn judge(&self, state: &State) -> Result<Judged, Failure> {
        let (disk, first, folder) = self.start(state)?;
        let Some(why) = first.verdict.why().map(str::to_owned) else {
            return Ok(Judged { disk, verdict: first.verdict, once: None });
        };
        let kept = kept::keep_state(state, &self.recordings, &self.made)?;
        kept::keep_trial(&kept, "trial-1", &first)?;
        drop(folder);
        let mut second = first;
        for number in 2..=MOST_TRIALS {
            let (_, trial, _folder) = self.start(state)?;
            kept::keep_trial(&kept, &format!("trial-{number}"), &trial)?;
            second = trial;
            if !matches!(second.verdict, Verdict::Unjudged(_)) {
                break;
            }
        }
        let told = |why: &str| format!("{why}; kept in {}", kept.display());
        let once = matches!(second.verdict, Verdict::Up { .. }).then(|| told(&why));
        let verdict = match second.verdict {
            Verdict::Bad(why) => Verdict::Bad(told(&why)),
            Verdict::Unjudged(why) => Verdict::Unjudged(told(&why)),
            up => up,
        };
        Ok(Judged { disk, verdict, once })
    }

    /// Starts a state, with the number of its disk. The folder has what its guests printed.
    fn start(&self, state: &State) -> Result<(u64, Trial, TempDir), Failure> {
        let name = format!("state-{}", state.number);
        let folder = tempfile::Builder::new().prefix(&name).rand_bytes(0).tempdir_in(self.made.path(""));
        let folder = folder.map_err(Failure::about("a temporary folder"))?;
        let disk = folder.path().join("state.img");
        let number = state.write(&self.recordings, &self.made, &disk)?;
        let start = match self.made.starter {
            Starter::Uml => trial::start,
            Starter::Firmware => firmware::start,
        };
        let trial = start(&self.made, state.loader, &disk, folder.path())?;
        Ok((number, trial.of_state(state, &self.recordings), folder))
    }

    /// Judges a series.
    pub fn all(&self, series: Series<'_>) -> Result<Summary, Failure> {
        let states = (series.first..series.first + series.count).map(|number| self.draw(series.seed, number));
        let states: Vec<State> =
            states.filter(|state| state.kind(&self.recordings).contains(series.only)).collect();
        self.each(&states, series.deadline)
    }

    /// The state with this number. A person at GRUB's menu is left out where a firmware starts it.
    fn draw(&self, seed: u64, number: u64) -> State {
        let mut state = State::draw(&self.recordings, seed, number);
        let dies_in_loader = matches!(state.damage, Some(Damage::KernelTorn | Damage::InitramfsTorn));
        if self.made.starter == Starter::Firmware && dies_in_loader {
            state.loader = Loader::SystemdBoot;
        }
        state
    }

    /// At most `most` states of each update in which half of the superblock of the store is new.
    pub fn torn_superblocks(&self, first: u64, most: usize) -> Vec<State> {
        State::of_torn_superblocks(&self.recordings, &self.made, first, most)
    }

    /// Judges these states, as many at once as the machine may run.
    pub fn each(&self, states: &[State], deadline: Instant) -> Result<Summary, Failure> {
        let next = AtomicUsize::new(0);
        let summary = Mutex::new(Summary::default());
        let work = || -> Result<(), Failure> {
            loop {
                let state = states.get(next.fetch_add(1, Ordering::Relaxed));
                let Some(state) = state.filter(|_| Instant::now() < deadline) else { return Ok(()) };
                let judged = self.judge(state)?;
                let mut summary = summary.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                for why in judged.verdict.why().into_iter().chain(judged.once.as_deref()) {
                    eprintln!("soak: state {}: {why}", state.number);
                }
                summary.add(&self.recordings, state, judged);
            }
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
            workers.into_iter().try_for_each(|worker| {
                worker.join().unwrap_or_else(|_| Err(Failure::new("a worker panicked")))
            })
        })?;
        Ok(summary.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}
