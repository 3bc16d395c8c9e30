//! Carries out a plan, and stops at the first stage in which a step fails.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::{BootError, Failure};
use crate::journal::{Journal, Timed, now};
use crate::plan::{Hands, Stage, Step};
use crate::recovery;

/// What can do a step: the real kernel, or in tests one that fails where it is told to.
pub trait Kernel: Sync {
    /// Does it, or says why not.
    fn carry_out(&self, step: &Step) -> Result<(), Failure>;
}

/// Threads for lanes that sleep, also where there are fewer processors: measured with squashfs on loop devices, two processors
/// and 20 to 100 layers, four are twice as fast as one, and more are no faster.
const FEWEST_HANDS: usize = 4;

/// Carries out all stages in order.
pub fn execute(plan: &[Stage], kernel: &impl Kernel, journal: &mut Journal) -> Result<(), BootError> {
    plan.iter().try_for_each(|stage| {
        journal.debug(|| stage.to_string().trim_end().to_owned());
        let lanes = match stage.hands {
            Hands::One => stage.lanes.iter().map(|lane| run(lane, kernel)).collect(),
            Hands::Processors => on_threads(processors(), &stage.lanes, kernel),
            Hands::Many => on_threads(processors().max(FEWEST_HANDS), &stage.lanes, kernel),
        };
        let mut failures = Vec::new();
        let mut times = Vec::new();
        for (lane, done) in stage.lanes.iter().zip(lanes) {
            for (step, (timed, result)) in lane.iter().zip(done) {
                times.push(timed);
                failures.extend(result.err().map(|failure| (step, failure)));
            }
        }
        journal.stage_done(stage.name, times);
        let mut failures = failures.into_iter();
        let Some((step, failure)) = failures.next() else { return Ok(()) };
        let mut first = failure.at(step.name(), step.object());
        first.also = failures.map(|(step, failure)| format!("{}: {}", step.subject(), failure.why)).collect();
        Err(first)
    })
}

type Done = (Timed, Result<(), Failure>);

fn carry_out(step: &Step, kernel: &impl Kernel) -> Done {
    recovery::panic_if_told(step.name());
    let start = now();
    let result = kernel.carry_out(step);
    (Timed { step: step.name(), object: step.object(), start, end: now() }, result)
}

/// A lane, until its end or its first failure.
fn run(lane: &[Step], kernel: &impl Kernel) -> Vec<Done> {
    let mut done = Vec::with_capacity(lane.len());
    for step in lane {
        done.push(carry_out(step, kernel));
        if done.last().is_some_and(|(_, result)| result.is_err()) {
            break;
        }
    }
    done
}

/// Each thread takes the next lane until none is left. Results come back in the order of the plan.
fn on_threads(threads: usize, lanes: &[Vec<Step>], kernel: &impl Kernel) -> Vec<Vec<Done>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(lanes.len()));
    let work = || {
        while let Some((index, lane)) = take(&next, lanes) {
            let result = run(lane, kernel);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(lanes.len()) {
            // Where the kernel gives no further thread, those that there are do it all.
            let _ = std::thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// How many processors this process may use. Not `available_parallelism` of the standard library: it reads the files of
/// control groups too, which takes a quarter of a millisecond, and PID 1 is in none.
fn processors() -> usize {
    let set = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0));
    let count = |set: nix::sched::CpuSet| {
        (0..nix::sched::CpuSet::count()).filter(|cpu| set.is_set(*cpu) == Ok(true)).count()
    };
    set.map_or(1, count).max(1)
}

fn take<'a>(next: &AtomicUsize, lanes: &'a [Vec<Step>]) -> Option<(usize, &'a [Step])> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    lanes.get(index).map(|lane| (index, lane.as_slice()))
}
