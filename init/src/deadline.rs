//! Calls that may hang: a device that no longer answers keeps every process that touches it, for ever.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Enough for a few system calls.
const STACK: usize = 64 * 1024;

/// Does `action` on a thread of its own and waits for it so long at most. `None`: it has not ended, and its thread is left
/// behind, which hinders neither reboot(2) nor power-off.
pub fn within<T: Send + 'static>(limit: Duration, action: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    within_on(STACK, limit, action)
}

/// The same on a stack of so many bytes, for an action that reads a nested text.
pub fn within_on<T: Send + 'static>(
    stack: usize,
    limit: Duration,
    action: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let deadline = Instant::now() + limit;
    let answer = Arc::new(Mutex::new(None));
    let (place, caller) = (Arc::clone(&answer), thread::current());
    let started = thread::Builder::new().stack_size(stack).spawn(move || {
        let done = action();
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
        caller.unpark();
    });
    started.ok()?;
    loop {
        let done = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let left = deadline.saturating_duration_since(Instant::now());
        if done.is_some() || left.is_zero() {
            return done;
        }
        thread::park_timeout(left);
    }
}

/// Does `action` after so much time, unless the machine has ended before.
pub fn after(limit: Duration, action: impl FnOnce() + Send + 'static) {
    let action = move || {
        thread::sleep(limit);
        action();
    };
    // Without memory for a thread there are still the limits of each step.
    let _ = thread::Builder::new().stack_size(STACK).spawn(action);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deed_that_hangs_does_not_hang_its_caller() {
        let start = Instant::now();
        assert_eq!(within(Duration::from_millis(20), || thread::sleep(Duration::from_secs(5))), None);
        assert!(start.elapsed() < Duration::from_secs(4));
        assert_eq!(within(Duration::from_secs(5), || 7), Some(7));
    }

    #[test]
    fn what_comes_after_a_time_comes() {
        let (sender, receiver) = std::sync::mpsc::channel();
        after(Duration::from_millis(1), move || sender.send(7).unwrap());
        assert_eq!(receiver.recv(), Ok(7));
    }
}
