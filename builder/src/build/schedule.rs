//! Runs tasks that need each other's results, as many at a time as allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::Result;

/// More builds than this at once would share the processors too finely: most of a build is parallel by itself.
const MOST_AT_ONCE: usize = 4;

/// How the processors are shared among builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threads {
    /// Builds at the same time.
    pub at_once: usize,
    /// Threads of each. Together they may be twice the processors, because `configure` and linking use one.
    pub each: NonZero<usize>,
}

impl Threads {
    /// Shares `jobs` processors.
    pub fn share(jobs: NonZero<usize>) -> Self {
        let at_once = jobs.get().min(MOST_AT_ONCE);
        Threads { at_once, each: NonZero::new(jobs.get() * 2 / at_once).unwrap_or(jobs).min(jobs) }
    }
}

struct State<'a, T> {
    waiting: BTreeSet<usize>,
    running: usize,
    done: &'a mut BTreeMap<usize, T>,
    failure: Option<crate::error::Error>,
}

/// Runs `task` for each of `tasks` once all it `needs` are in `done`, and puts its result there.
///
/// What a task needs is in `done` from the start or is itself one of `tasks`. After a failure no task is started; those
/// that run are waited for, and the first failure is returned. Tasks get a copy of what is done when they start.
pub fn run<T: Clone + Send>(
    tasks: &[usize],
    needs: impl Fn(usize) -> Vec<usize> + Sync,
    at_once: usize,
    done: &mut BTreeMap<usize, T>,
    task: impl Fn(usize, &BTreeMap<usize, T>) -> Result<T> + Sync,
) -> Result<()> {
    let state =
        Mutex::new(State { waiting: tasks.iter().copied().collect(), running: 0, done, failure: None });
    let changed = Condvar::new();
    std::thread::scope(|scope| {
        for _ in 0..at_once.min(tasks.len()) {
            scope.spawn(|| work(&state, &changed, &needs, &task));
        }
    });
    let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    match state.failure {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn work<T: Clone>(
    state: &Mutex<State<T>>,
    changed: &Condvar,
    needs: &(impl Fn(usize) -> Vec<usize> + Sync),
    task: &(impl Fn(usize, &BTreeMap<usize, T>) -> Result<T> + Sync),
) {
    let mut guard = lock(state);
    loop {
        if guard.failure.is_some() || guard.waiting.is_empty() {
            return;
        }
        let ready = |index: &usize| needs(*index).iter().all(|needed| guard.done.contains_key(needed));
        let Some(index) = guard.waiting.iter().copied().find(|index| ready(index)) else {
            if guard.running == 0 {
                return;
            }
            guard = changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        guard.waiting.remove(&index);
        guard.running += 1;
        let known = guard.done.clone();
        drop(guard);
        let outcome = task(index, &known);
        guard = lock(state);
        guard.running -= 1;
        match outcome {
            Ok(result) => {
                guard.done.insert(index, result);
            }
            Err(error) => {
                guard.failure.get_or_insert(error);
            }
        }
        changed.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn chain(index: usize) -> Vec<usize> {
        if index == 0 { Vec::new() } else { vec![index - 1] }
    }

    #[test]
    fn every_task_sees_what_it_needs() {
        for at_once in [1, 2, 8] {
            let mut done = BTreeMap::from([(0, 0_usize)]);
            let tasks: Vec<usize> = (1..20).collect();
            run(&tasks, chain, at_once, &mut done, |index, known| Ok(known[&(index - 1)] + 1)).unwrap();
            assert_eq!(done[&19], 19);
        }
    }

    #[test]
    fn tasks_that_do_not_need_each_other_run_together() {
        let barrier = std::sync::Barrier::new(3);
        let mut done = BTreeMap::new();
        run(
            &[0, 1, 2],
            |_| Vec::new(),
            3,
            &mut done,
            |index, _| {
                barrier.wait();
                Ok(index)
            },
        )
        .unwrap();
        assert_eq!(done.len(), 3);
    }

    #[test]
    fn nothing_starts_after_a_failure() {
        let mut done = BTreeMap::new();
        let outcome = run(&[0, 1, 2], chain, 2, &mut done, |index, _| {
            if index == 1 { Err(Error::new("task 1", "broke")) } else { Ok(index) }
        });
        assert_eq!(outcome.unwrap_err().to_string(), "task 1: broke");
        assert_eq!(done.keys().copied().collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn processors_are_shared() {
        let share = |jobs| Threads::share(NonZero::new(jobs).unwrap());
        let threads = |at_once, each| Threads { at_once, each: NonZero::new(each).unwrap() };
        assert_eq!(share(1), threads(1, 1));
        assert_eq!(share(2), threads(2, 2));
        assert_eq!(share(8), threads(4, 4));
        assert_eq!(share(64), threads(4, 32));
    }
}
