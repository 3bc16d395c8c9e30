//! What is going on, for people: one moving line on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Something that happened to a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// It was there already.
    Present,
    /// So many bytes have come.
    Bytes {
        /// Until now.
        done: u64,
        /// In the end.
        of: u64,
    },
    /// It came, and its hash is right.
    Done {
        /// The mirror that gave it.
        from: &'a str,
    },
    /// A mirror did not give it; the next one is tried.
    MirrorFailed {
        /// Which mirror, and why.
        why: &'a str,
    },
}

/// Is told what happens; called from several threads.
pub trait Progress: Sync {
    /// `file` is the name of the source.
    fn report(&self, file: &str, event: Event<'_>);
}

/// Nobody is told.
impl Progress for () {
    fn report(&self, _: &str, _: Event<'_>) {}
}

/// Tells the reader of standard error.
#[derive(Debug)]
pub struct Console {
    terminal: bool,
    last_line: Mutex<Option<Instant>>,
}

/// A moving line changes at most this often.
const BETWEEN_LINES: Duration = Duration::from_millis(100);

impl Console {
    /// Looks whether standard error is a terminal.
    pub fn new() -> Console {
        Console { terminal: std::io::stderr().is_terminal(), last_line: Mutex::new(None) }
    }

    fn line(&self, text: &str) {
        let clear = if self.terminal { "\r\x1b[K" } else { "" };
        // A reader who went away does not stop a download.
        let _ = writeln!(std::io::stderr().lock(), "{clear}{text}");
    }

    fn moving_line(&self, text: &str) {
        let mut last = self.last_line.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if last.is_none_or(|shown| shown.elapsed() > BETWEEN_LINES) {
            *last = Some(Instant::now());
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K{text}");
        }
    }
}

impl Default for Console {
    fn default() -> Console {
        Console::new()
    }
}

impl Progress for Console {
    fn report(&self, file: &str, event: Event<'_>) {
        match event {
            Event::Present => {}
            Event::Bytes { done, of } if self.terminal => {
                let percent = done.saturating_mul(100).checked_div(of).unwrap_or(100);
                self.moving_line(&format!("fetching {file} {percent} % of {}", megabytes(of)));
            }
            Event::Bytes { .. } => {}
            Event::Done { from } => self.line(&format!("fetched {file} from {from}")),
            Event::MirrorFailed { why } => self.line(&format!("{file}: {why}")),
        }
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}
