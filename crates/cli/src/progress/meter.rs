//! How far one work has come.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{MovingLine, Progress};
use crate::numbers::human_size;

/// In a log, a work that goes on says so this often.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// The end of a work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Goal {
    /// How large the object is, which is shown.
    pub bytes: u64,
    /// How many bytes are advanced until then.
    pub work: u64,
}

/// A work that has begun. Several threads may advance it. When it is dropped, a moving line is taken away.
#[derive(Debug)]
pub struct Meter {
    what: String,
    /// Where that is known.
    of: Option<Goal>,
    done: AtomicU64,
    line: MovingLine,
    /// When the last line of a log was written; only a log has it.
    logged: Option<Mutex<Instant>>,
}

impl Meter {
    pub(crate) fn begin(progress: Progress, what: String, of: Option<Goal>) -> Self {
        let log = progress == Progress::Log;
        if log {
            super::line(begin_text(&what, of));
        }
        let meter = Self {
            what,
            of,
            done: AtomicU64::new(0),
            line: MovingLine::new(progress),
            logged: log.then(|| Mutex::new(Instant::now())),
        };
        meter.line.show(|| text(&meter.what, 0, of));
        meter
    }

    /// So many more bytes are done.
    pub fn advance(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        self.line.show(|| text(&self.what, done, self.of));
        if let Some(last) = &self.logged {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.elapsed() > BETWEEN_LINES {
                *last = Instant::now();
                super::line(text(&self.what, done, self.of));
            }
        }
    }

    /// The number of bytes that are done altogether.
    pub fn reach(&self, bytes: u64) {
        self.advance(bytes.saturating_sub(self.done()));
    }

    /// Bytes done until now.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// The reader `from`, whose bytes count when they are read.
    pub fn reader<R: Read>(&self, from: R) -> impl Read {
        Metered { meter: self, from }
    }
}

struct Metered<'a, R> {
    meter: &'a Meter,
    from: R,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(buffer)?;
        self.meter.advance(count as u64);
        Ok(count)
    }
}

fn begin_text(what: &str, of: Option<Goal>) -> String {
    of.map_or_else(|| what.to_owned(), |of| format!("{what}: {}", human_size(of.bytes)))
}

fn text(what: &str, done: u64, of: Option<Goal>) -> String {
    match of {
        Some(Goal { bytes, work }) => {
            let percent = done.min(work).saturating_mul(100).checked_div(work).unwrap_or(100);
            format!("{what}: {percent} % of {}", human_size(bytes))
        }
        None if done == 0 => what.to_owned(),
        None => format!("{what}: {}", human_size(done)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_work_says_how_far_it_came() {
        let goal = |bytes| Some(Goal { bytes, work: bytes });
        assert_eq!(begin_text("hashing a", goal(1 << 20)), "hashing a: 1.0 MiB");
        assert_eq!(begin_text("reading a", None), "reading a");
        assert_eq!(text("hashing a", 0, goal(1 << 20)), "hashing a: 0 % of 1.0 MiB");
        assert_eq!(text("hashing a", 1 << 19, goal(1 << 20)), "hashing a: 50 % of 1.0 MiB");
        // A file that grew meanwhile, one that is empty, and more than a u64 could multiply.
        assert_eq!(text("hashing a", 3 << 20, goal(1 << 20)), "hashing a: 100 % of 1.0 MiB");
        assert_eq!(text("hashing a", 0, goal(0)), "hashing a: 100 % of 0 B");
        assert!(text("hashing a", u64::MAX, goal(u64::MAX)).contains("% of"));
        let twice = Some(Goal { bytes: 1 << 20, work: 2 << 20 });
        assert_eq!(text("protecting a", 1 << 20, twice), "protecting a: 50 % of 1.0 MiB");
        assert_eq!(text("reading a", 2048, None), "reading a: 2.0 KiB");
    }

    #[test]
    fn bytes_count_when_they_are_read_and_never_backwards() {
        let meter = Progress::Silent.meter("hashing a", 10);
        io::copy(&mut meter.reader(&[0; 7][..]), &mut io::sink()).unwrap();
        assert_eq!(meter.done(), 7);
        meter.reach(5);
        meter.reach(9);
        assert_eq!(meter.done(), 9);
    }
}
