//! Work that goes on while this process becomes another program: in a child of its own.

use std::sync::Once;

use nix::unistd::{ForkResult, Pid, fork};

use crate::{Error, Result};

/// Tells the allocator of init of fork(2), once.
static ALLOCATOR: Once = Once::new();

/// Does `work` in a new process that ends with it, and does not wait. The child is left to whatever this process becomes, as
/// every orphan is to PID 1, or to whoever waits for the number that is returned. It has a copy of all memory and all descriptors.
///
/// # Errors
/// fork(2): no memory, or too many processes.
pub fn run(work: impl FnOnce()) -> Result<Pid> {
    // SAFETY: it registers handlers of pthread_atfork(3), for which nothing is asked but that this is not done twice.
    #[expect(unsafe_code, reason = "dlmalloc: see SAFETY")]
    ALLOCATOR.call_once(|| unsafe { dlmalloc::enable_alloc_after_fork() });
    // SAFETY: fork(2) is dangerous where another thread holds a lock that the child then waits for. The C library takes its own
    // locks around it (musl since 1.2.2, glibc), the allocator of init was told to do so; of locks of Rust's the child must take
    // none that other threads use, which is so for work that makes system calls with what it was given.
    #[expect(unsafe_code, reason = "fork(2): see SAFETY")]
    let forked = unsafe { fork() };
    match forked {
        Ok(ForkResult::Parent { child }) => Ok(child),
        Ok(ForkResult::Child) => {
            work();
            // SAFETY: _exit(2) ends this process and nothing else: no handler of the parent runs twice.
            #[expect(unsafe_code, reason = "_exit(2): see SAFETY")]
            unsafe {
                nix::libc::_exit(0)
            }
        }
        Err(errno) => Err(Error::new("start", "a process that works aside", std::io::Error::from(errno))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_is_done_by_another_process() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let child = run(|| drop(std::fs::write(file.path(), std::process::id().to_string()))).unwrap();
        nix::sys::wait::waitpid(child, None).unwrap();
        let pid: i32 = std::fs::read_to_string(file.path()).unwrap().parse().unwrap();
        assert_eq!(pid, child.as_raw());
        assert_ne!(child, Pid::this());
    }
}
