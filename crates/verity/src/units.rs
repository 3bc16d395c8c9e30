//! Work cut into numbered units and shared among threads.

use std::num::NonZero;
use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Does `work` for every unit below `count` on up to `jobs` threads, each with a `scratch` of its own.
///
/// # Errors
/// That of the lowest unit that failed, whatever the threads did: units are handed out in order, and those below a failed
/// one are finished before it is reported.
pub fn for_each<S, E: Send>(
    count: u64,
    jobs: NonZero<usize>,
    scratch: impl Fn() -> S + Sync,
    work: impl Fn(u64, &mut S) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let next = AtomicU64::new(0);
    let end = AtomicU64::new(count);
    let worker = || {
        let mut scratch = scratch();
        loop {
            let unit = next.fetch_add(1, Ordering::Relaxed);
            if unit >= end.load(Ordering::Relaxed) {
                return None;
            }
            if let Err(error) = work(unit, &mut scratch) {
                end.fetch_min(unit, Ordering::Relaxed);
                return Some((unit, error));
            }
        }
    };
    let helpers = count.min(jobs.get() as u64).saturating_sub(1);
    let failures: Vec<_> = thread::scope(|scope| {
        // A thread that the system refuses leaves its work to the others.
        let spawn = |_| thread::Builder::new().spawn_scoped(scope, worker).ok();
        let helpers: Vec<_> = (0..helpers).filter_map(spawn).collect();
        let mine = worker();
        let theirs =
            helpers.into_iter().map(|helper| helper.join().unwrap_or_else(|p| panic::resume_unwind(p)));
        theirs.chain([mine]).flatten().collect()
    });
    failures.into_iter().min_by_key(|(unit, _)| *unit).map_or(Ok(()), |(_, error)| Err(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    fn jobs(count: usize) -> NonZero<usize> {
        NonZero::new(count).unwrap()
    }

    #[test]
    fn every_unit_is_done_once() {
        for threads in 1..=5 {
            let done = Mutex::new(Vec::new());
            let all = for_each(
                100,
                jobs(threads),
                || (),
                |unit, ()| {
                    done.lock().unwrap().push(unit);
                    Ok::<(), ()>(())
                },
            );
            let mut done = done.into_inner().unwrap();
            done.sort_unstable();
            assert_eq!((all, done), (Ok(()), (0..100).collect()));
        }
    }

    #[test]
    fn the_lowest_failure_is_the_one_reported() {
        for threads in 1..=5 {
            let failing = |unit, (): &mut ()| if unit % 30 == 17 { Err(unit) } else { Ok(()) };
            assert_eq!(for_each(1000, jobs(threads), || (), failing), Err(17));
        }
    }
}
