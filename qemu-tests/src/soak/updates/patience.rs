//! How long a guest is waited for: in time in which it was not kept waiting for a processor, so that a machine that does other things too
//! takes longer, and what hangs is told from what is slow.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use vm::console::Missed;

/// How often it is asked how long the guest has waited.
const SLICE: Duration = Duration::from_secs(2);
/// Whatever keeps it: after so many times its time nobody waits any more.
const MOST_TIMES: u32 = 15;

/// How waiting ended without what was waited for.
#[derive(Debug, PartialEq, Eq)]
pub enum Unmet {
    /// It had its time.
    Hangs,
    /// It was not given its time.
    TooSlow,
    /// The machine is off, or its kernel has panicked.
    Ended(Missed),
}

/// Waits, a slice at a time, until the processes of the group or the process `leader` have had so much time. With what came of it: how
/// long they were kept waiting for a processor meanwhile.
pub fn wait_for<T>(
    leader: u32,
    patience: Duration,
    mut wait: impl FnMut(Duration) -> Result<T, Missed>,
) -> (Result<T, Unmet>, Duration) {
    let (began, mut threads) = (Instant::now(), BTreeMap::new());
    loop {
        let found = wait(SLICE);
        waiting(leader, &mut threads);
        let (passed, kept) = (began.elapsed(), threads.values().sum());
        match found {
            Ok(found) => return (Ok(found), kept),
            Err(Missed::TimedOut) if passed.saturating_sub(kept) > patience => {
                return (Err(Unmet::Hangs), kept);
            }
            Err(Missed::TimedOut) if passed > patience * MOST_TIMES => return (Err(Unmet::TooSlow), kept),
            Err(Missed::TimedOut) => {}
            Err(missed) => return (Err(Unmet::Ended(missed)), kept),
        }
    }
}

/// How long each thread was ready to run and did not: the second number of its `schedstat` (kernel: Documentation/scheduler/sched-stats.rst).
/// Those that have ended stay in the list.
fn waiting(leader: u32, kept: &mut BTreeMap<String, Duration>) {
    for process in names("/proc").filter(|name| name.bytes().all(|it| it.is_ascii_digit())) {
        if process != leader.to_string() && group(&process) != Some(leader) {
            continue;
        }
        for thread in names(&format!("/proc/{process}/task")) {
            let text = fs::read_to_string(format!("/proc/{process}/task/{thread}/schedstat"));
            let text = text.unwrap_or_default();
            if let Some(nanoseconds) = text.split(' ').nth(1).and_then(|it| it.parse().ok()) {
                kept.insert(thread, Duration::from_nanos(nanoseconds));
            }
        }
    }
}

/// The process group: the third word behind the name, which may have anything in it (proc_pid_stat(5)).
fn group(process: &str) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(2)?.parse().ok()
}

fn names(folder: &str) -> impl Iterator<Item = String> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::thread::sleep;

    use super::*;

    #[test]
    fn what_does_nothing_hangs_and_what_is_kept_waiting_does_not() {
        let mut idle = Command::new("sleep").arg("60").spawn().unwrap();
        let waited = wait_for::<()>(idle.id(), Duration::from_millis(300), |_| {
            sleep(Duration::from_millis(100));
            Err(Missed::TimedOut)
        });
        idle.kill().unwrap();
        idle.wait().unwrap();
        assert_eq!(waited.0, Err(Unmet::Hangs));
        assert_eq!(wait_for(1, SLICE, |_| Ok(7)).0, Ok(7));
        assert!(matches!(wait_for::<()>(1, SLICE, |_| Err(Missed::Closed)).0, Err(Unmet::Ended(_))));
    }

    #[test]
    fn a_thread_has_waited_some_time() {
        let mut kept = BTreeMap::new();
        waiting(std::process::id(), &mut kept);
        assert!(kept.contains_key(&std::process::id().to_string()), "{kept:?}");
    }
}
