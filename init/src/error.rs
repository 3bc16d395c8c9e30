//! What the recovery screen shows: which step, which object, why, what was seen, what to try.

use std::fmt;

/// Why something could not be done, before it is known which step it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Failure {
    /// The cause; may have several lines (a rendered profile error has).
    pub why: String,
    /// What was there instead: devices, profiles, files.
    pub seen: Vec<String>,
    /// What to try, most promising first.
    pub remedies: Vec<String>,
    /// Whether the writable top is at fault: the boot can go on without it.
    pub of_top: bool,
}

impl Failure {
    /// A cause without more.
    pub fn new(why: impl fmt::Display) -> Self {
        Self { why: why.to_string(), ..Self::default() }
    }

    /// Adds one thing to try.
    pub fn try_this(mut self, remedy: impl Into<String>) -> Self {
        self.remedies.push(remedy.into());
        self
    }

    /// Adds things that were seen.
    pub fn having_seen(mut self, seen: impl IntoIterator<Item = String>) -> Self {
        self.seen.extend(seen);
        self
    }

    /// The failure as that of a step on an object.
    pub fn at(self, step: &'static str, object: impl fmt::Display) -> BootError {
        BootError {
            step,
            object: object.to_string(),
            failure: Box::new(self),
            also: Vec::new(),
            suspects: Vec::new(),
        }
    }
}

impl From<stack::Error> for Failure {
    fn from(error: stack::Error) -> Self {
        let failure = Self::new(format!("cannot {} {}: {}", error.action, error.object, error.why()));
        match error.remedy {
            Some(remedy) => failure.try_this(remedy),
            None => failure,
        }
    }
}

/// A boot that stopped. Its `Display`, in `recovery`, is the body of the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootError {
    /// The step, by the names of `docs/boot.md`.
    pub step: &'static str,
    /// The image, device, file or parameter.
    pub object: String,
    /// The rest; in a box, because it is large and every step's result has room for it.
    pub failure: Box<Failure>,
    /// One line for each other object that failed in the same stage.
    pub also: Vec<String>,
    /// Layers that may be at fault, most likely first.
    pub suspects: Vec<String>,
}

impl std::error::Error for BootError {}
