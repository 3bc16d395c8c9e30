//! The last line of a terminal, written again and again.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Progress;
use crate::safe_text::clean;

/// To the start of the line, and nothing behind the cursor (ECMA-48: CR, EL).
pub(crate) const CLEAR: &str = "\r\x1b[K";
/// A text that is longer than the terminal is wide is cut: a wrapped line could not be taken back (DECAWM).
const CUT: (&str, &str) = ("\x1b[?7l", "\x1b[?7h");
/// It changes at most this often.
const BETWEEN: Duration = Duration::from_millis(100);

/// One line that is replaced by the next text; taken away when this is dropped. Only a terminal has it.
#[derive(Debug)]
pub struct MovingLine {
    terminal: bool,
    shown: Mutex<Option<Instant>>,
}

impl MovingLine {
    /// Nothing is shown before the first text.
    pub fn new(progress: Progress) -> Self {
        Self { terminal: progress == Progress::Terminal, shown: Mutex::new(None) }
    }

    /// Shows the text, unless another one came just before.
    pub fn show(&self, text: impl FnOnce() -> String) {
        if !self.terminal {
            return;
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.is_none_or(|last| last.elapsed() > BETWEEN) {
            *shown = Some(Instant::now());
            // A reader who went away does not stop the work.
            let _ = write!(std::io::stderr().lock(), "{CLEAR}{}{}{}", CUT.0, clean(&text()), CUT.1);
        }
    }

    /// Takes the text away until the next one, which may come at once.
    pub fn clear(&self) {
        if self.shown.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            let _ = write!(std::io::stderr().lock(), "{CLEAR}");
        }
    }
}

impl Drop for MovingLine {
    fn drop(&mut self) {
        self.clear();
    }
}
