//! Carries out a plan, and stops at the first stage in which a step fails.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc};

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;

use crate::clock::now;
use crate::error::{BootError, Failure};
use crate::panic_for_tests::panic_if_told;
use crate::plan::thread_pool::ThreadPool;
use crate::plan::{BootStep, Stage, Threads};
use crate::report::journal::{Journal, Timed};

/// What can do a step: the real kernel, or in tests one that fails where a test wants it to.
pub trait Kernel: Send + Sync + 'static {
    /// Learns what the steps of a stage will want together, before the first of them.
    fn begin(&self, _stage: &Stage) {}

    /// Does it, or says why not.
    fn carry_out(&self, step: &BootStep) -> Result<(), Failure>;
}

/// Threads for lanes that sleep, also where there are fewer processors: measured with squashfs on loop devices, two processors
/// and 20 to 100 layers, four are twice as fast as one, and more are no faster.
const FEWEST_SLEEPING: usize = 4;

/// Carries out all stages in order.
pub fn execute(
    plan: &[Stage],
    kernel: &Arc<impl Kernel>,
    pool: &ThreadPool,
    journal: &mut Journal,
) -> Result<(), BootError> {
    plan.iter().try_for_each(|stage| {
        journal.debug(|| stage.to_string().trim_end().to_owned());
        kernel.begin(stage);
        let threads = match stage.threads {
            Threads::One => 1,
            Threads::Processors => processors(),
            Threads::Many => processors().max(FEWEST_SLEEPING),
        };
        let lanes = share(threads, &stage.lanes, kernel, pool);
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
        let also = |why: String| if why == first.failure.why { "the same".to_owned() } else { why };
        first.also =
            failures.map(|(step, failure)| format!("{}: {}", step.subject(), also(failure.why))).collect();
        Err(first)
    })
}

type Done = (Timed, Result<(), Failure>);

fn carry_out(step: &BootStep, kernel: &impl Kernel) -> Done {
    panic_if_told(step.name().as_str());
    let start = now();
    let result = kernel.carry_out(step);
    (Timed { step: step.name(), object: step.object(), start, end: now() }, result)
}

/// A lane, until its end or its first failure.
fn run(lane: &[BootStep], kernel: &impl Kernel) -> Vec<Done> {
    let mut done = Vec::with_capacity(lane.len());
    for step in lane {
        done.push(carry_out(step, kernel));
        if done.last().is_some_and(|(_, result)| result.is_err()) {
            break;
        }
    }
    done
}

/// So many threads, this one among them, take the next lane until none is left. Results come back in the order of the plan.
fn share(
    threads: usize,
    lanes: &Arc<[Vec<BootStep>]>,
    kernel: &Arc<impl Kernel>,
    pool: &ThreadPool,
) -> Vec<Vec<Done>> {
    let (sender, results) = mpsc::channel();
    let (next, shared, kernel) = (Arc::new(AtomicUsize::new(0)), lanes.clone(), kernel.clone());
    let work = move || {
        while let Some((index, lane)) = take(&next, &shared) {
            // Somebody receives as long as a lane is missing.
            let _ = sender.send((index, run(lane, &*kernel)));
        }
    };
    pool.run_on(threads.min(lanes.len()).saturating_sub(1), &work);
    work();
    let mut done: Vec<Vec<Done>> = lanes.iter().map(|_| Vec::new()).collect();
    // Counted: the thread that stays may still have to find out that nothing is left for it.
    for (index, result) in results.iter().take(lanes.len()) {
        done[index] = result;
    }
    done
}

/// How many processors this process may use; asked once, because each squashfs wants to know. Not `available_parallelism` of the
/// standard library: it reads the files of control groups too, which takes a quarter of a millisecond, and PID 1 is in none.
pub fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| {
        let set = sched_getaffinity(Pid::from_raw(0));
        let count = |set: CpuSet| (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu) == Ok(true)).count();
        set.map_or(1, count).max(1)
    })
}

fn take<'a>(next: &AtomicUsize, lanes: &'a [Vec<BootStep>]) -> Option<(usize, &'a [BootStep])> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    lanes.get(index).map(|lane| (index, lane.as_slice()))
}
