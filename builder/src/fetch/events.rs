//! What is going on, for people: one moving line on a terminal, plain lines elsewhere.

use std::time::Duration;

use cli::numbers::human_size;
use cli::progress::MovingLine;

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
    /// Mirrors that failed in a way that may pass are tried again.
    Again {
        /// After so long.
        after: Duration,
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
    moving: MovingLine,
}

impl Console {
    /// Looks whether standard error is a terminal.
    pub fn new() -> Console {
        Console { moving: MovingLine::new(cli::progress::Progress::on_stderr()) }
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
            Event::Bytes { done, of } => self.moving.show(|| {
                let percent = done.saturating_mul(100).checked_div(of).unwrap_or(100);
                format!("fetching {file}: {percent} % of {}", human_size(of))
            }),
            Event::Done { from } => cli::progress::line(format_args!("fetched {file} from {from}")),
            Event::MirrorFailed { why } => cli::progress::line(format_args!("{file}: {why}")),
            Event::Again { after } => {
                cli::progress::line(format_args!(
                    "{file}: trying again in {:.0} s",
                    after.as_secs_f64().ceil()
                ));
            }
        }
    }
}
