//! What is done in a guest, and what became of it: `--run` and `--test`.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use guest_agent::message::{End, LONGEST_PROGRAM, Program, Stream};
use vm::agent::Done;

use crate::error::Result;
use crate::regular_file;

/// So much of each stream of a test is kept, its end.
const KEPT: usize = 1 << 20;

/// One command for a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestJob {
    /// What people call it: the words, or the path of the file.
    pub name: String,
    /// What `text` is.
    pub kind: Program,
    /// Words for a shell, or the bytes of a script or program.
    pub text: Vec<u8>,
}

impl GuestJob {
    /// Words for the guest's shell.
    pub fn of_words(words: &str) -> GuestJob {
        GuestJob { name: words.to_owned(), kind: Program::Words, text: words.into() }
    }

    /// A script or a static program.
    ///
    /// # Errors
    /// It cannot be read, or is longer than 64 MiB.
    pub fn of_file(path: &Path) -> Result<GuestJob> {
        let text = regular_file::read(path, LONGEST_PROGRAM as u64)?;
        Ok(GuestJob { name: path.display().to_string(), kind: Program::File, text })
    }
}

/// What became of a job.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The job's.
    pub name: String,
    /// From the begin to the end of it.
    pub took: Duration,
    /// How it ended.
    pub done: Done,
    /// The end of its standard output.
    pub output: LastWords,
    /// The end of its standard error.
    pub error: LastWords,
}

impl Outcome {
    /// Whether it ended with exit status 0.
    pub fn passed(&self) -> bool {
        self.done == Done::Ended(End::Exited(0))
    }

    /// What a shell would make of it: timeout(1) has 124 for what did not end in time and 126 for what cannot be started, and bash(1) 128 and the
    /// number of a signal.
    pub fn status(&self) -> u8 {
        match &self.done {
            Done::Ended(End::Exited(status)) => *status,
            Done::Ended(End::Killed(signal)) => signal.saturating_add(128),
            Done::Ended(End::TimedOut) => 124,
            Done::Refused(_) => 126,
        }
    }
}

/// How it ended, in words.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.done {
            Done::Ended(End::Exited(0)) => write!(f, "passed in {:.1} s", self.took.as_secs_f64()),
            Done::Ended(End::Exited(status)) => write!(f, "failed with exit status {status}"),
            Done::Ended(End::Killed(signal)) => write!(f, "was killed by signal {signal}"),
            Done::Ended(End::TimedOut) => {
                write!(f, "did not end within {:.0} s, and was killed", self.took.as_secs_f64())
            }
            Done::Refused(why) => write!(f, "could not be started: {why}"),
        }
    }
}

/// The end of what is printed, however much that is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastWords {
    bytes: Vec<u8>,
    /// How many bytes before these are forgotten.
    lost: usize,
}

impl LastWords {
    /// Adds to it.
    pub fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        // Twice as much for a time: each byte is moved once.
        if self.bytes.len() > 2 * KEPT {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let lost = self.bytes.len().saturating_sub(KEPT);
        self.bytes.drain(..lost);
        self.lost += lost;
    }

    /// As text; where it began earlier, a line says so.
    pub fn text(mut self) -> String {
        self.cut();
        let text = String::from_utf8_lossy(&self.bytes);
        match self.lost {
            0 => text.into_owned(),
            lost => format!("[{lost} bytes before this are left out]\n{text}"),
        }
    }

    /// Where it belongs, of an output and an error.
    pub fn of<'a>(stream: Stream, output: &'a mut LastWords, error: &'a mut LastWords) -> &'a mut LastWords {
        match stream {
            Stream::Output => output,
            Stream::Error => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_told_as_a_shell_does() {
        let told = |done| {
            let (output, error) = Default::default();
            let took = Duration::from_millis(2500);
            let outcome = Outcome { name: "a".to_owned(), took, done, output, error };
            (outcome.status(), outcome.passed(), outcome.to_string())
        };
        let end = |end| told(Done::Ended(end));
        assert_eq!(end(End::Exited(0)), (0, true, "passed in 2.5 s".to_owned()));
        assert_eq!(end(End::Exited(3)), (3, false, "failed with exit status 3".to_owned()));
        assert_eq!(end(End::Killed(9)), (137, false, "was killed by signal 9".to_owned()));
        assert_eq!(end(End::TimedOut).0, 124);
        assert_eq!(
            told(Done::Refused("why".to_owned())),
            (126, false, "could not be started: why".to_owned())
        );
    }

    #[test]
    fn of_much_output_the_end_is_kept() {
        let mut words = LastWords::default();
        for _ in 0..5 {
            words.add(&vec![b'a'; KEPT]);
        }
        words.add(b"end");
        let text = words.text();
        assert!(text.starts_with(&format!("[{} bytes before", 4 * KEPT + 3)) && text.ends_with("aend"));
        let mut short = LastWords::default();
        short.add(b"one");
        assert_eq!(short.text(), "one");
    }
}
