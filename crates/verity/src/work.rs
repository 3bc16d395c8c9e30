//! How to go over a file, and who is told how far that came.

use std::fmt;
use std::num::NonZero;

use stack::verity_layout::{BLOCK, Layout};

/// How to work: on how many threads, and who is told.
#[derive(Clone, Copy)]
pub struct Work<'a> {
    /// Threads.
    pub jobs: NonZero<usize>,
    /// Is called by every thread with the bytes that it has done since. They add up to about [`Work::bytes`].
    pub progress: &'a (dyn Fn(u64) + Sync),
}

impl Work<'_> {
    /// The bytes that writing or checking this layout goes over: the data and the tree once for the hashes, and once more for
    /// error correction.
    pub fn bytes(layout: &Layout) -> u64 {
        // All but the top of the tree; a single block of data has no tree.
        let hashed = if layout.hash_blocks == 0 { 0 } else { layout.data_blocks + layout.hash_blocks - 1 };
        (hashed + layout.fec.map_or(0, |fec| fec.blocks)) * BLOCK
    }
}

impl From<NonZero<usize>> for Work<'_> {
    /// Nobody is told.
    fn from(jobs: NonZero<usize>) -> Self {
        Work { jobs, progress: &|_| () }
    }
}

impl fmt::Debug for Work<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("jobs", &self.jobs).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::{Format, append, verify};

    #[test]
    fn what_is_told_adds_up() {
        for (blocks, roots) in [(1, None), (1, Some(2)), (300, None), (300, Some(2)), (17_000, Some(24))] {
            let file = tempfile::tempfile().unwrap();
            file.set_len(blocks * BLOCK).unwrap();
            let done = AtomicU64::new(0);
            let progress = |bytes| {
                done.fetch_add(bytes, Ordering::Relaxed);
            };
            let work = Work { jobs: NonZero::new(2).unwrap(), progress: &progress };
            let format = Format { salt: [1; 32], fec_roots: roots };
            let verity = append(&file, blocks * BLOCK, &format, work).unwrap();
            let (told, expected) = (done.swap(0, Ordering::Relaxed), Work::bytes(&verity.layout));
            assert!(told >= expected && told - expected <= expected / 100, "{told} of {expected}");
            verify(&file, &verity, work).unwrap();
            assert_eq!(done.into_inner(), told, "checking is as much as writing");
        }
    }
}
