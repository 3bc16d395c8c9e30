//! Carries out a plan, and stops at the first stage in which a step fails.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;

use crate::clock::now;
use crate::error::{BootError, Failure};
use crate::panic_for_tests::panic_if_told;
use crate::plan::thread_pool::ThreadPool;
use crate::plan::{BootStep, Stage, Threads};
use crate::priority;
use crate::report::journal::{Journal, Steps, Timed};

/// What can do a step: the real kernel, or in tests one that fails where a test wants it to.
pub trait Kernel: Send + Sync + 'static {
    /// What a step of a lane leaves to the next one.
    type Lane: Default;

    /// Learns what the steps of a stage will want together, before the first of them.
    fn begin(&self, _stage: &Stage) {}

    /// Does it, or says why not.
    fn carry_out(&self, step: &BootStep, lane: &mut Self::Lane) -> Result<(), Failure>;
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
            Threads::Processors | Threads::Urgent => processors(),
            Threads::Many => processors().max(FEWEST_SLEEPING),
        };
        let results = share(threads, stage, kernel, pool);
        let records = journal.stage_done(stage.name, results.clone());
        if stage.lanes.len() > 1 {
            // What comes next is often the kernel's work on one processor.
            pool.make(&records);
        }
        let mut failures =
            results.steps().filter_map(|(step, done)| Some((step, done.result.as_ref().err()?)));
        let Some((step, failure)) = failures.next() else { return Ok(()) };
        let mut first = failure.clone().at(step.name(), step.object());
        let also = |why: &str| if why == failure.why { "the same".to_owned() } else { why.to_owned() };
        first.also =
            failures.map(|(step, failure)| format!("{}: {}", step.subject(), also(&failure.why))).collect();
        Err(first)
    })
}

/// What became of a step, with its times on CLOCK_BOOTTIME.
struct Done {
    start: Duration,
    end: Duration,
    result: Result<(), Failure>,
}

fn carry_out<K: Kernel>(step: &BootStep, kernel: &K, lane: &mut K::Lane) -> Done {
    panic_if_told(step.name().as_str());
    let start = now();
    let result = kernel.carry_out(step, lane);
    Done { start, end: now(), result }
}

/// A lane, until its end or its first failure.
fn run<K: Kernel>(steps: &[BootStep], kernel: &K) -> Vec<Done> {
    let (mut lane, mut done) = (K::Lane::default(), Vec::with_capacity(steps.len()));
    for step in steps {
        done.push(carry_out(step, kernel, &mut lane));
        if done.last().is_some_and(|done| done.result.is_err()) {
            break;
        }
    }
    done
}

/// The lanes of a stage, and what becomes of them.
struct Lanes {
    lanes: Arc<[Vec<BootStep>]>,
    /// The first that nobody has taken.
    next: AtomicUsize,
    /// Of each lane the steps until its end or its first failure.
    done: Box<[OnceLock<Vec<Done>>]>,
}

impl Lanes {
    /// Takes one lane after another until none is left.
    fn carry_out(&self, kernel: &impl Kernel) {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let (Some(lane), Some(done)) = (self.lanes.get(index), self.done.get(index)) else { return };
            let _ = done.set(run(lane, kernel));
        }
    }

    /// In the order of the plan; waits for those that are not done.
    fn steps(&self) -> impl Iterator<Item = (&BootStep, &Done)> {
        self.lanes.iter().zip(&self.done).flat_map(|(lane, done)| lane.iter().zip(done.wait()))
    }
}

impl Steps for Lanes {
    fn each(&self, see: &mut dyn FnMut(Timed<'_>)) {
        for (step, Done { start, end, .. }) in self.steps() {
            see(Timed {
                step: step.name(),
                object: format_args!("{}", step.object()),
                start: *start,
                end: *end,
            });
        }
    }
}

/// So many threads, this one among them, carry out the lanes.
fn share(threads: usize, stage: &Stage, kernel: &Arc<impl Kernel>, pool: &ThreadPool) -> Arc<Lanes> {
    let (lanes, count) = (stage.lanes.clone(), stage.lanes.len());
    let done = (0..count).map(|_| OnceLock::new()).collect();
    let shared = Arc::new(Lanes { lanes, next: AtomicUsize::new(0), done });
    let (lanes, kernel) = (shared.clone(), kernel.clone());
    let is_urgent = stage.threads == Threads::Urgent;
    let work = move || {
        let carry_out: &dyn Fn() = &|| lanes.carry_out(&*kernel);
        if is_urgent { priority::before_others(carry_out) } else { carry_out() }
    };
    pool.run_on(threads.min(count).saturating_sub(1), &work);
    work();
    shared
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
