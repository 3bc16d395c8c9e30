//! How many files PID 1 may have open at once.
//!
//! The kernel starts it with 1024 (INR_OPEN_CUR of `include/uapi/linux/fs.h`), and a boot holds two descriptors an image, image and
//! loop device, from the first stage to the last: 500 images under dm-verity need more.

use std::sync::OnceLock;

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

    #[test]
    fn the_limit_is_raised_and_given_back() {
        let few = Rlimit { current: Some(256), ..getrlimit(Resource::Nofile) };
        setrlimit(Resource::Nofile, few).unwrap();
        allow_many();
        assert!(getrlimit(Resource::Nofile).current.is_some_and(|current| current >= ENOUGH));
        as_before();
        assert_eq!(getrlimit(Resource::Nofile).current, few.current);
    }
}
