//! A child process that goes on with this program, for programs of one thread.

use nix::unistd::{ForkResult, Pid, fork};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{Error, Result};

/// The exit status of a child whose work panicked, as of a Rust program that panics.
const PANICKED: i32 = 101;

/// Does `work` in a new process that ends with the status it returns (its low eight bits: exit(3)), and does not wait for it. The
/// child has a copy of all memory and all descriptors.
///
/// # Errors
/// This process has several threads (`/proc/self/task`), of which the child would have one alone; or fork(2): no memory, or too
/// many processes.
pub fn start(work: impl FnOnce() -> i32) -> Result<Pid> {
    let error = |cause| Error::new("start", "a child of this program", cause);
    if std::fs::read_dir("/proc/self/task").map_err(error)?.count() != 1 {
        return Err(error(std::io::Error::other("it has several threads")));
    }
    // SAFETY: fork(2) is dangerous where another thread holds a lock that the child then waits for: there is no other thread.
    #[expect(unsafe_code, reason = "fork(2): see SAFETY")]
    let forked = unsafe { fork() };
    match forked {
        Ok(ForkResult::Parent { child }) => Ok(child),
        // Unwinding must not leave this function: the caller's frames belong to the parent.
        Ok(ForkResult::Child) => std::process::exit(catch_unwind(AssertUnwindSafe(work)).unwrap_or(PANICKED)),
        Err(errno) => Err(error(errno.into())),
    }
}
