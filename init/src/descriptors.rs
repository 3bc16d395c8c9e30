//! How many files PID 1 may have open at once.
//!
//! The kernel starts it with 1024 (INR_OPEN_CUR of `include/uapi/linux/fs.h`), and a boot holds two descriptors an image, image and
//! loop device, from the first stage to the last: 500 images under dm-verity need more.

use std::sync::OnceLock;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Enough for three descriptors an image at 500 layers, with a wide margin.
const ENOUGH: u64 = 4096;

/// The limit that the kernel gave, for the real init.
static BEFORE: OnceLock<Rlimit> = OnceLock::new();

/// Raises the limit. When that is refused, a boot with few images goes on as well.
pub fn allow_many() {
    let before = getrlimit(Resource::Nofile);
    let maximum = before.maximum.map(|maximum| maximum.max(ENOUGH));
    if before.current.is_some_and(|current| current < ENOUGH)
        && setrlimit(Resource::Nofile, Rlimit { current: Some(ENOUGH), maximum }).is_ok()
    {
        let _ = BEFORE.set(before);
    }
}

/// Has the kernel make its table of our descriptors as large as the limit at once. To be called before there is a second thread.
///
/// A table that several threads share is replaced by a larger one only after a grace period of RCU (`expand_files` of `fs/file.c`), at
/// 64 descriptors, at 128 and so on: 4 to 20 ms each, in which the thread that wanted one more descriptor sleeps.
pub fn make_room() {
    // The table grows to the highest descriptor that was ever open. Where none that high is to be had, it grows on the way.
    if let Ok(any) = openat(CWD, "/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
        let highest = i32::try_from(ENOUGH - 1).unwrap_or(i32::MAX);
        let _ = fcntl_dupfd_cloexec(any, highest);
    }
}

/// Gives the real init the limit that the kernel gave to us: programs that use select(2) break on larger ones.
pub fn as_before() {
    if let Some(before) = BEFORE.get() {
        // Lowering is never refused.
        let _ = setrlimit(Resource::Nofile, *before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size that the kernel has given to the table: `FDSize` of proc_pid_status(5).
    fn room() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("FDSize:")).unwrap();
        line.trim().parse().unwrap()
    }

    #[test]
    fn the_limit_is_raised_and_given_back_and_the_table_is_large_at_once() {
        let few = Rlimit { current: Some(256), ..getrlimit(Resource::Nofile) };
        setrlimit(Resource::Nofile, few).unwrap();
        allow_many();
        assert!(getrlimit(Resource::Nofile).current.is_some_and(|current| current >= ENOUGH));
        make_room();
        assert!(room() >= ENOUGH, "{}", room());
        as_before();
        assert_eq!(getrlimit(Resource::Nofile).current, few.current);
    }
}
