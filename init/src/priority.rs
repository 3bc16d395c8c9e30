//! The share of the processors that a thread gets beside others.

use rustix::process::setpriority_process;

/// Does short work that waits for nobody, before others: drivers, probes and helpers that calculate meanwhile cost it a slice of the
/// scheduler every few milliseconds. Not for what waits for the kernel's workers: those have the usual priority, and come late beside such a
/// thread (100 squashfs layers on two busy processors took 2.3 times as long as a program without it). Nothing may be started meanwhile: it would keep the
/// priority. Linux has one for each thread (setpriority(2)).
pub fn before_others(work: &dyn Fn()) {
    let _ = setpriority_process(None, -20);
    work();
    as_others();
}

/// This thread is as any other: when such work turns out to wait, after a panic in the middle of it, and in an init that a crashed one
/// started.
pub fn as_others() {
    let _ = setpriority_process(None, 0);
}

#[cfg(test)]
pub mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    /// Of the calling thread.
    pub fn own() -> i32 {
        getpriority_process(None).expect("a priority")
    }

    /// What this thread has, what it has with urgent work, and what it has afterwards: not everybody may come before others.
    pub fn expected() -> [i32; 3] {
        let before = own();
        let during = if setpriority_process(None, -20).is_ok() { -20 } else { before };
        as_others();
        [before, during, own()]
    }

    /// The real init is started by a thread that did.
    #[test]
    fn only_the_work_comes_before_others() {
        let [_, during, after] = expected();
        let seen = std::cell::Cell::new(None);
        before_others(&|| seen.set(Some(own())));
        assert_eq!((seen.get(), own()), (Some(during), after));
    }
}
