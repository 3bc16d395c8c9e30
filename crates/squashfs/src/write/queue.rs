//! The jobs that wait for a worker.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::plan::Piece;

/// Work for a thread. The numbers come back with the results.
pub(super) enum Job {
    /// Read these pieces and compress their whole blocks.
    Read { number: u64, pieces: Vec<Piece> },
    /// Compress a full fragment block.
    Compress { number: u64, block: Vec<u8> },
}

/// A queue that never grows far, because the pipeline counts what is under way.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Queue {
    /// Fragment blocks go first: the file waits for them before it can grow.
    pub(super) fn push(&self, job: Job) {
        let mut state = self.lock();
        match job {
            Job::Compress { .. } => state.jobs.push_front(job),
            Job::Read { .. } => state.jobs.push_back(job),
        }
        drop(state);
        self.changed.notify_one();
    }

    /// The next job, or `None` once the queue is closed.
    pub(super) fn take(&self) -> Option<Job> {
        let mut state = self.lock();
        while !state.closed && state.jobs.is_empty() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed { None } else { state.jobs.pop_front() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes the queue when it goes out of scope, so that no thread waits for work after an error or a panic.
pub(super) struct CloseOnDrop<'a>(pub(super) &'a Queue);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}
