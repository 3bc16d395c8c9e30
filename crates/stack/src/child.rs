//! A child process that goes on with this program, for programs of one thread.

use nix::libc;
use nix::sched::{CloneFlags, clone};
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
    refuse_threads()?;
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

/// As [`start`], in a new user namespace (CLONE_NEWUSER of clone(2)), which is there when this returns: nobody waits for the child to run.
/// It has no handlers of fork(2) and of exit(3) behind it: `work` makes system calls and no more.
///
/// # Errors
/// As of [`start`], and what user_namespaces(7) says: EPERM, EINVAL, ENOSPC, EUSERS.
pub fn start_in_user_namespace(mut work: impl FnMut() -> i32) -> Result<Pid> {
    const STACK: usize = 64 << 10;
    refuse_threads()?;
    let mut stack = vec![0; STACK];
    let child = Box::new(|| work() as isize);
    // SAFETY: the child has a copy of all memory, the stack included (no CLONE_VM), and no thread of it is lost, since there is one.
    #[expect(unsafe_code, reason = "clone(2): see SAFETY")]
    let cloned = unsafe { clone(child, &mut stack, CloneFlags::CLONE_NEWUSER, Some(libc::SIGCHLD)) };
    cloned.map_err(|errno| error(errno.into()))
}

fn error(cause: std::io::Error) -> Error {
    Error::new("start", "a child of this program", cause)
}

fn refuse_threads() -> Result<()> {
    match std::fs::read_dir("/proc/self/task").map_err(error)?.count() {
        1 => Ok(()),
        _ => Err(error(std::io::Error::other("it has several threads"))),
    }
}
