//! What a command says while it works: plain lines on standard error, so that results on standard output can be piped.

use std::fmt;

use cli::progress::Progress;

/// Where progress goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Say also what was decided and why.
    pub verbose: bool,
    /// Who is told how far a work came.
    progress: Progress,
}

impl Report {
    /// To standard error.
    pub fn new(verbose: bool) -> Report {
        Report { verbose, progress: Progress::on_stderr() }
    }

    /// Where standard error is that of another program: only a line that is gone when the work is done.
    #[must_use]
    pub fn beside_a_program(self) -> Report {
        let progress = match self.progress {
            Progress::Log => Progress::Silent,
            other => other,
        };
        Report { progress, ..self }
    }

    /// One line of progress. A closed standard error is no reason to stop a build.
    pub fn line(&self, text: fmt::Arguments) {
        cli::progress::line(text);
    }

    /// Who is told how far a work came.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// One line that only `--verbose` shows.
    pub fn detail(&self, text: fmt::Arguments) {
        if self.verbose {
            self.line(text);
        }
    }
}
