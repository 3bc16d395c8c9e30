//! The one error of the harness: text made for the person who reads a failed test.

use std::fmt;
use std::path::Path;

/// What a story returns: nothing, or the sentence that says what did not happen.
pub type Story = Result<(), Failure>;

/// A failed expectation or preparation. `Debug` prints what `Display` prints, because Rust's test runner shows the former.
pub struct Failure(String);

impl Failure {
    /// A failure that says `message`.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// For `map_err`: the file or program that the error is about goes in front of it.
    pub fn about<E: fmt::Display>(subject: impl fmt::Display) -> impl FnOnce(E) -> Self {
        move |error| Self(format!("{subject}: {error}"))
    }

    /// As [`Failure::about`], for a path.
    pub fn at<E: fmt::Display>(path: &Path) -> impl FnOnce(E) -> Self {
        Self::about(path.display())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

impl std::error::Error for Failure {}

impl From<fault::Error> for Failure {
    fn from(error: fault::Error) -> Self {
        Self(error.to_string())
    }
}
