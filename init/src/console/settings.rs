//! The settings of a terminal (termios(3)), which stay when whoever changed them has ended.

use std::fs::File;

use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};

/// An open terminal that gets its settings back when it is closed.
#[derive(Debug)]
pub struct Kept {
    /// The terminal.
    pub file: File,
    before: Option<Termios>,
}

impl Kept {
    /// Remembers the settings; what is no terminal has none.
    pub fn new(file: File) -> Self {
        let before = tcgetattr(&file).ok();
        Self { file, before }
    }

    /// Sets others until then.
    pub fn change(&self, change: impl FnOnce(&mut Termios)) {
        if let Some(mut other) = self.before.clone() {
            change(&mut other);
            self.set(&other);
        }
    }

    fn set(&self, settings: &Termios) {
        let _ = tcsetattr(&self.file, SetArg::TCSANOW, settings);
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            self.set(before);
        }
    }
}
