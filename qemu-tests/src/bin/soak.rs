//! `soak`: the long-running tests. Each prints a section of Markdown; `.ci/soak` puts them together.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use argh::FromArgs;
use nix::errno::Errno;
use qemu_tests::Failure;
use qemu_tests::artifacts;
use qemu_tests::medium::FileSystem;
use qemu_tests::soak::fault_fixture::FaultFixture;
use qemu_tests::soak::faults;
use qemu_tests::soak::flips::{Flip, FlipTarget, Opening, Outcome, Region, Table};
use qemu_tests::soak::power::{Life, Recording, Summary};
use qemu_tests::soak::updates::state::State;
use qemu_tests::soak::updates::{Series, Updates};

/// Repeats small things thousands of times and counts what came of them.
#[derive(FromArgs)]
struct Arguments {
    #[argh(subcommand)]
    test: Test,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Test {
    Faults(Faults),
    Flips(Flips),
    Heal(Heal),
    Power(Power),
    Updates(UpdateStates),
}

/// Boots in which one system call of init fails.
#[derive(FromArgs)]
#[argh(subcommand, name = "faults")]
struct Faults {
    /// how many errors are tried on each call (default 1)
    #[argh(option, default = "1")]
    rounds: u64,
    /// take every n-th call only (default 1)
    #[argh(option, default = "1")]
    step: u64,
    /// how many guests at once, while the machine has nothing else to do (default 2)
    #[argh(option, default = "2")]
    guests: usize,
    /// only this call, with --error
    #[argh(option)]
    call: Option<u64>,
    /// the error of --call, as in EIO (default EIO)
    #[argh(option, default = "String::from(\"EIO\")")]
    error: String,
    /// stop after this many minutes
    #[argh(option, default = "60")]
    minutes: u64,
}

/// Bit flips in images under dm-verity, in user-mode Linux.
#[derive(FromArgs)]
#[argh(subcommand, name = "flips")]
struct Flips {
    /// how many (default 10000)
    #[argh(option, default = "10_000")]
    count: u32,
    /// what all random choices follow from (default 1)
    #[argh(option, default = "1")]
    seed: u64,
    /// the same without dm-verity, as a control
    #[argh(switch)]
    plain: bool,
}

/// Bit flips and bursts of 4 KiB under dm-verity with error correction, in QEMU.
#[derive(FromArgs)]
#[argh(subcommand, name = "heal")]
struct Heal {
    /// how many of each (default 500)
    #[argh(option, default = "500")]
    count: u32,
    /// what all random choices follow from (default 1)
    #[argh(option, default = "1")]
    seed: u64,
    /// the kernel (default 6.12)
    #[argh(option, default = "String::from(\"6.12\")")]
    kernel: String,
}

/// Power cuts on a medium (ext4 and FAT) and on a state, in user-mode Linux.
#[derive(FromArgs)]
#[argh(subcommand, name = "power")]
struct Power {
    /// how many on each disk (default 500)
    #[argh(option, default = "500")]
    count: usize,
    /// what all random choices follow from (default 1)
    #[argh(option, default = "1")]
    seed: u64,
    /// stop after this many minutes for each disk
    #[argh(option, default = "60")]
    minutes: u64,
    /// only the disks whose name in the summary begins with this, as in `state`
    #[argh(option, default = "String::new()")]
    only: String,
    /// every cut is after so many entries of the log, to look at one moment closely
    #[argh(option)]
    after: Option<usize>,
}

/// States of a disk whose update was interrupted, or lies, in user-mode Linux.
#[derive(FromArgs)]
#[argh(subcommand, name = "updates")]
struct UpdateStates {
    /// how many (default 1000)
    #[argh(option, default = "1000")]
    count: u64,
    /// what all random choices follow from (default 1)
    #[argh(option, default = "1")]
    seed: u64,
    /// by the firmware of a virtual PC, and the loaders and kernels that are on the disk, in place of user-mode Linux
    #[argh(switch)]
    firmware: bool,
    /// also each moment at which systemd-boot counts a try, and torn superblocks of the store
    #[argh(switch)]
    loader: bool,
    /// the number of the first one, to repeat one of a series (default 0)
    #[argh(option, default = "0")]
    first: u64,
    /// of those only the ones whose name in the table has these words in it, as in `behind the end, mounted`
    #[argh(option, default = "String::new()")]
    only: String,
    /// stop after this many minutes
    #[argh(option, default = "60")]
    minutes: u64,
}

fn main() -> ExitCode {
    let arguments: Arguments = argh::from_env();
    let done = match arguments.test {
        Test::Faults(test) => test.run(),
        Test::Flips(test) => test.run(),
        Test::Heal(test) => test.run(),
        Test::Power(test) => test.run(),
        Test::Updates(test) => test.run(),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("soak: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn deadline(minutes: u64) -> Instant {
    Instant::now() + Duration::from_secs(60 * minutes)
}

impl Faults {
    fn run(&self) -> Result<bool, Failure> {
        let fixture = FaultFixture::prepare()?;
        if let Some(call) = self.call {
            let known = faults::ERRORS.into_iter().find(|error| format!("{error:?}") == self.error);
            let error = known.unwrap_or(Errno::EIO);
            let run = fixture.run(call, error, 0)?;
            println!("{run:?}");
            return Ok(run.outcome.is_good());
        }
        let mut told = |run: &faults::Run| {
            eprintln!("soak: call {} {:?}: {:?}", run.call, run.error, run.outcome);
        };
        let &Self { rounds, step, guests, .. } = self;
        let extent = faults::Extent { rounds, step, guests, deadline: deadline(self.minutes) };
        let summary = faults::all(&fixture, extent, &mut told)?;
        println!("{}", summary.to_markdown());
        Ok(summary.bad().is_empty())
    }
}

/// So many of each recorded update.
const TORN_SUPERBLOCKS: usize = 4;

/// So many damages are done on one image, in one boot.
const FLIPS_PER_IMAGE: u32 = 1000;

impl Flips {
    fn run(&self) -> Result<bool, Failure> {
        let (mut table, mut left, mut size) = (Table::default(), self.count, 0);
        let opening = if self.plain { Opening::Plain } else { Opening::Verity };
        for seed in self.seed.. {
            if left == 0 {
                break;
            }
            let target = FlipTarget::make(seed)?;
            let flips = target.bits(seed, left.min(FLIPS_PER_IMAGE));
            let outcomes = target.run_in_uml(opening, &flips)?;
            tell_wrong(seed, &flips, &outcomes);
            table.add(&target, &flips, &outcomes);
            (left, size) = (left - u32::try_from(flips.len()).unwrap_or(left), target.size());
            eprintln!("soak: {} flips, {} wrong", self.count - left, table.count(Outcome::Wrong));
        }
        let wrong = table.count(Outcome::Wrong);
        println!(
            "## Bit flips {}\n\n{} single bits in images of about {} KiB, seeds from {}, in user-mode Linux 6.1.\n\n{}\n\
             Wrong data without an error: **{wrong}**.\n",
            if self.plain { "without dm-verity (the control)" } else { "under dm-verity" },
            self.count,
            size / 1024,
            self.seed,
            table.to_markdown()
        );
        Ok(if self.plain { wrong > 0 } else { wrong == 0 })
    }
}

impl Heal {
    fn run(&self) -> Result<bool, Failure> {
        let target = FlipTarget::make(self.seed)?;
        let kernel = artifacts::kernel(&self.kernel)?;
        let mut good = true;
        println!("## Error correction\n");
        for (what, flips) in [
            ("single bits", target.bits(self.seed, self.count)),
            ("bursts of 4 KiB", target.bursts(self.seed, self.count)),
        ] {
            let (outcomes, corrects) = target.run_in_qemu(&kernel, &flips)?;
            tell_wrong(self.seed, &flips, &outcomes);
            let mut table = Table::default();
            table.add(&target, &flips, &outcomes);
            let (all, healed) = table.right_of(&[Region::Data, Region::Tree]);
            let wrong = table.count(Outcome::Wrong);
            println!(
                "{} {what} in an image of {} KiB with 2 roots, seed {}, on Linux {}{}:\n\n{}\n\
                 Healed in data and tree: **{healed} of {all}**. Wrong data without an error: **{wrong}**.\n",
                flips.len(),
                target.size() / 1024,
                self.seed,
                self.kernel,
                if corrects { "" } else { ", whose dm-verity does not correct errors" },
                table.to_markdown()
            );
            good &= wrong == 0 && corrects;
        }
        Ok(good)
    }
}

fn tell_wrong(seed: u64, flips: &[Flip], outcomes: &[Outcome]) {
    for (flip, outcome) in flips.iter().zip(outcomes) {
        if *outcome == Outcome::Wrong {
            eprintln!("soak: image of seed {seed}: wrong data after {flip:?}");
        }
    }
}

impl UpdateStates {
    fn run(&self) -> Result<bool, Failure> {
        let &Self { count, seed, first, minutes, firmware, loader, ref only } = self;
        let (title, flag) = if firmware { (" through the firmware", " --firmware") } else { ("", "") };
        println!("## Updates{title}\n");
        let mut updates = if firmware { Updates::record_for_firmware() } else { Updates::record() }?;
        let summary = updates.all(Series { seed, first, count, only, deadline: deadline(minutes) })?;
        let repeat =
            |state: &State| format!("soak updates{flag} --seed {seed} --first {} --count 1", state.number);
        println!("{}", summary.to_markdown(&updates.recordings, seed, &repeat));
        let mut good = summary.is_good();
        // A series that goes on where another ended says nothing new of this.
        if !firmware && first == 0 {
            let lost = updates.lost_at_the_end()?;
            println!(
                "What a command had said that it did and was not on the disk by then: **{}**.\n",
                lost.len()
            );
            lost.iter().for_each(|line| println!("- {line}"));
            good &= lost.is_empty();
        }
        if loader && !firmware {
            updates.record_loader()?;
            let torn = updates.torn_superblocks(first + count, TORN_SUPERBLOCKS);
            let counted = State::of_loader(&updates.recordings, first + count + torn.len() as u64);
            let repeat = |_: &State| "soak updates --count 0 --loader".to_owned();
            // Where no write of a superblock can be torn there is nothing to tell.
            for (title, states) in
                [("Half of the superblock of the store is new", torn), ("systemd-boot counts a try", counted)]
            {
                if states.is_empty() {
                    continue;
                }
                let summary = updates.each(&states, deadline(minutes))?;
                println!("### {title}\n\n{}", summary.to_markdown(&updates.recordings, seed, &repeat));
                good &= summary.is_good();
            }
        }
        Ok(good)
    }
}

impl Power {
    fn run(&self) -> Result<bool, Failure> {
        let mut good = true;
        println!("## Power cuts\n");
        let media = [FileSystem::JournaledExt4, FileSystem::Vfat, FileSystem::Ext4].map(Life::Medium);
        let lives = media.into_iter().chain([Life::State]);
        for life in lives.filter(|life| life.name().starts_with(&self.only)) {
            let recording = Recording::make(life)?;
            eprintln!("soak: {}: {} entries", life.name(), recording.length());
            let summary = Summary::of(&recording, self.seed, self.count, self.after, deadline(self.minutes))?;
            println!("{}", summary.to_markdown(&recording, self.seed));
            good &= summary.bad.iter().all(|cut| life.may_lose(cut));
        }
        Ok(good)
    }
}
