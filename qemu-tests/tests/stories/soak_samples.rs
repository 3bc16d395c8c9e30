//! Samples of the soak tests (`make soak` runs the whole): every number that they print must be a good one.

use qemu_tests::medium::FileSystem;
use qemu_tests::soak::fault_fixture::FaultFixture;
use qemu_tests::soak::faults::{self, Extent};
use qemu_tests::soak::flips::{FlipTarget, Opening, Outcome, Region, Table};
use qemu_tests::soak::power::{Life, Recording, Summary};
use qemu_tests::soak::updates::made_disk::{MadeDisk, Starter};
use qemu_tests::soak::updates::recording::{Pace, Way};
use qemu_tests::soak::updates::{Series, Updates, settled};
use qemu_tests::{Failure, Story, artifacts};
use std::time::{Duration, Instant};

const SEED: u64 = 20;

fn table_of(opening: Opening, count: u32) -> Result<Table, Failure> {
    let target = FlipTarget::make(SEED)?;
    let flips = target.bits(SEED, count);
    let outcomes = target.run_in_uml(opening, &flips)?;
    let mut table = Table::default();
    table.add(&target, &flips, &outcomes);
    println!("{}", table.to_markdown());
    Ok(table)
}

#[test]
fn a_flipped_bit_under_verity_is_noticed_wherever_it_is_read() -> Story {
    let table = table_of(Opening::Verity, 200)?;
    assert_eq!(table.count(Outcome::Wrong), 0);
    // This kernel corrects nothing: what was flipped where data is read from cannot be right.
    let (damaged, right) = table.right_of(&[Region::Data, Region::Tree]);
    assert!(damaged > 150 && right == 0, "{right} of {damaged} were right");
    let (beside, right) = table.right_of(&[Region::Superblock, Region::Parity]);
    assert!(beside > 5 && right == beside, "{right} of {beside} were right");
    Ok(())
}

/// What the harness would see if dm-verity did nothing.
#[test]
fn without_verity_flipped_bits_are_read_as_they_are() -> Story {
    let table = table_of(Opening::Plain, 100)?;
    assert!(table.count(Outcome::Wrong) > 20, "{}", table.to_markdown());
    Ok(())
}

#[test]
fn error_correction_heals_bits_and_blocks() -> Story {
    let target = FlipTarget::make(SEED)?;
    let mut flips = target.bits(SEED, 10);
    flips.extend(target.bursts(SEED, 10));
    let (outcomes, corrects) = target.run_in_qemu(&artifacts::kernel("6.12")?, &flips)?;
    assert!(corrects);
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Right), "{outcomes:?}");
    Ok(())
}

#[test]
fn a_system_call_that_fails_never_ends_in_a_kernel_panic() -> Story {
    let fixture = FaultFixture::prepare()?;
    let calls = fixture.count()?;
    let deadline = Instant::now() + Duration::from_secs(600);
    let extent = Extent { rounds: 1, step: calls.last / 12, guests: 1, deadline };
    let summary = faults::all(&fixture, extent, &mut |run| println!("{run:?}"))?;
    println!("{}", summary.to_markdown());
    assert!(summary.bad().is_empty(), "{:?}", summary.bad());
    Ok(())
}

fn power_cuts(life: Life, count: usize) -> Story {
    let recording = Recording::make(life)?;
    let deadline = Instant::now() + Duration::from_secs(600);
    let summary = Summary::of(&recording, SEED, count, None, deadline)?;
    println!("{}", summary.to_markdown(&recording, SEED));
    assert!(summary.bad.iter().all(|cut| life.may_lose(cut)), "{:?}", summary.bad);
    Ok(())
}

#[test]
fn after_a_power_cut_a_medium_on_ext4_without_a_journal_boots_unless_a_block_is_torn() -> Story {
    power_cuts(Life::Medium(FileSystem::Ext4), 8)
}

#[test]
fn after_a_power_cut_a_medium_on_ext4_boots() -> Story {
    power_cuts(Life::Medium(FileSystem::JournaledExt4), 8)
}

#[test]
fn after_a_power_cut_a_medium_on_fat_boots() -> Story {
    power_cuts(Life::Medium(FileSystem::Vfat), 8)
}

#[test]
fn after_a_power_cut_while_the_state_is_made_the_system_boots() -> Story {
    power_cuts(Life::State, 8)
}

#[test]
fn something_whole_boots_whatever_an_interrupted_or_lying_update_leaves() -> Story {
    let updates = Updates::record_sample()?;
    let deadline = Instant::now() + Duration::from_secs(600);
    let summary = updates.all(Series { seed: SEED, first: 0, count: 20, only: "", deadline })?;
    println!(
        "{}",
        summary.to_markdown(&updates.recordings, SEED, &|state| format!("state {}", state.number))
    );
    assert!(summary.is_good(), "{:?} {:?}", summary.bad, summary.unjudged);
    // Its two sectors are written in place whenever the store is mounted or unmounted. Where the second never changes there are none.
    let torn = updates.torn_superblocks(20, 1);
    let summary = updates.each(&torn, deadline)?;
    assert!(summary.is_good(), "{:?} {:?}", summary.bad, summary.unjudged);
    Ok(())
}

/// In between the kernel writes back whatever is dirty, so that what a command syncs is just being written by somebody else.
#[test]
fn what_a_command_says_that_it_did_is_on_the_disk() -> Story {
    let made = MadeDisk::make(Starter::Uml)?;
    for (way, pace) in [(Way::Mounted, Pace::SettledEagerly), (Way::Unmounted, Pace::Settled)] {
        assert_eq!(settled::lost(&made, way, pace)?, Vec::<String>::new(), "{way:?}, {pace:?}");
    }
    Ok(())
}
