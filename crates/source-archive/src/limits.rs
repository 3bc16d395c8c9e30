//! How much one archive may hold: enough for every source there is, and little enough that a bomb ends.

use std::io::{self, Read};

use crate::error::{Part, damaged};

/// Chromium, the largest source that distributions carry, has half a million files.
const MOST_ENTRIES: usize = 4 << 20;
/// The same unpacks to less than 20 GiB.
pub(crate) const MOST_BYTES: u64 = 64 << 30;

/// Counts one more entry.
pub(crate) fn count(entries: &mut usize) -> Part<()> {
    *entries += 1;
    if *entries > MOST_ENTRIES {
        return damaged(format!("has more than {MOST_ENTRIES} entries"));
    }
    Ok(())
}

/// A reader that fails where an archive gets too large, and remembers whether its end was met.
pub(crate) struct Bounded<R> {
    inner: R,
    left: u64,
    pub(crate) ended: bool,
}

impl<R: Read> Bounded<R> {
    pub(crate) fn new(inner: R) -> Self {
        Bounded { inner, left: MOST_BYTES, ended: false }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self.inner.read(buffer)?;
        self.ended |= count == 0;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other(format!("it holds more than {} GiB", MOST_BYTES >> 30)))?;
        Ok(count)
    }
}
