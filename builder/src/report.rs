//! What a command says while it works: plain lines on standard error, so that results on standard output can be piped.

use std::fmt;

use cli::progress::Progress;

/// Where progress goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Say also what was decided and why.
    pub verbose: bool,
}

impl Report {
    /// One line of progress. A closed standard error is no reason to stop a build.
    pub fn line(&self, text: fmt::Arguments) {
        cli::progress::line(text);
    }

    /// Who is told how far a work came.
    pub fn progress(&self) -> Progress {
        Progress::on_stderr()
    }

    /// One line that only `--verbose` shows.
    pub fn detail(&self, text: fmt::Arguments) {
        if self.verbose {
            self.line(text);
        }
    }
}
