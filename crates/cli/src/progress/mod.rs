//! What a command says while it works, on standard error, so that results on standard output can be piped: one moving line on a
//! terminal, plain lines elsewhere.
//!
//! ```
//! use cli::progress::Progress;
//!
//! let meter = Progress::Silent.meter("copying site.sqfs", 4096);
//! meter.advance(4096);
//! assert_eq!(meter.done(), 4096);
//! ```

mod meter;
mod moving_line;
mod works;

use std::fmt;
use std::io::{IsTerminal, Write};

use crate::{colours, safe_text};
use meter::Goal;
pub use meter::Meter;
pub use moving_line::MovingLine;
pub use works::{Work, Works};

/// Who is told how far a work came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Progress {
    /// Nobody.
    #[default]
    Silent,
    /// Somebody at a terminal: a line that moves.
    Terminal,
    /// Somebody who reads a log: a line when a work begins, and one now and then when it takes long.
    Log,
}

impl Progress {
    /// Looks whether standard error is a terminal that can move its cursor (`TERM` is not `dumb`).
    pub fn on_stderr() -> Self {
        match is_terminal() {
            true => Progress::Terminal,
            false => Progress::Log,
        }
    }

    /// Begins a work on `bytes` bytes. `what` says what is done with which object: `hashing site.sqfs`.
    pub fn meter(self, what: impl fmt::Display, bytes: u64) -> Meter {
        self.passes(what, bytes, bytes)
    }

    /// The same for a work that goes over the bytes more than once: `work` is the number of bytes that will be advanced in all.
    pub fn passes(self, what: impl fmt::Display, bytes: u64, work: u64) -> Meter {
        Meter::begin(self, what.to_string(), Some(Goal { bytes, work }))
    }

    /// Begins a work whose length is not known.
    pub fn work(self, what: impl fmt::Display) -> Meter {
        Meter::begin(self, what.to_string(), None)
    }
}

/// Writes one line, or several that belong together. On a terminal they take the place of a line that moves. Nothing in them
/// commands the terminal: names of files, addresses and answers of others may hold anything. A closed standard error is no reason to stop.
pub fn line(text: impl fmt::Display) {
    let stream = std::io::stderr();
    let clear = if is_terminal() { moving_line::CLEAR } else { "" };
    let safe = safe_text::clean_lines(text.to_string().trim_end());
    let shown = if colours::wanted(&stream) { colours::line(&safe) } else { safe };
    let _ = writeln!(stream.lock(), "{clear}{shown}");
}

fn is_terminal() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|kind| kind != "dumb")
}
