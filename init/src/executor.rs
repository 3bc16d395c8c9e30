//! Carries out a plan, and stops at the first stage in which a step fails.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::{BootError, Failure};
use crate::journal::{Journal, Timed, now};
use crate::plan::{Order, Stage, Step};
use crate::recovery;

/// What can do a step: the real kernel, or in tests one that fails where it is told to.
pub trait Kernel: Sync {
    /// Does it, or says why not.
    fn carry_out(&self, step: &Step) -> Result<(), Failure>;
}

/// Carries out all stages in order.
pub fn execute(plan: &[Stage], kernel: &impl Kernel, journal: &mut Journal) -> Result<(), BootError> {
    plan.iter().try_for_each(|stage| {
        journal.debug(|| stage.to_string().trim_end().to_owned());
        let done = match stage.order {
            Order::Chain => chain(stage, kernel),
            Order::Each => stage.steps.iter().map(|step| carry_out(step, kernel)).collect(),
            Order::Parallel => parallel(stage, kernel),
        };
        let (times, results): (Vec<_>, Vec<_>) = done.into_iter().unzip();
        journal.stage_done(stage.name, times);
        let mut failures = stage
            .steps
            .iter()
            .zip(results)
            .filter_map(|(step, result)| result.err().map(|failure| (step, failure)));
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

fn chain(stage: &Stage, kernel: &impl Kernel) -> Vec<Done> {
    let mut done = Vec::new();
    for step in &stage.steps {
        done.push(carry_out(step, kernel));
        if done.last().is_some_and(|(_, result)| result.is_err()) {
            break;
        }
    }
    done
}

/// One thread a processor; each takes the next step until none is left. Results come back in the order of the plan.
fn parallel(stage: &Stage, kernel: &impl Kernel) -> Vec<Done> {
    let processors = processors();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(stage.steps.len()));
    let work = || {
        while let Some((index, step)) = take(&next, &stage.steps) {
            let result = carry_out(step, kernel);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..processors.min(stage.steps.len()) {
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

fn take<'a>(next: &AtomicUsize, steps: &'a [Step]) -> Option<(usize, &'a Step)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    steps.get(index).map(|step| (index, step))
}
