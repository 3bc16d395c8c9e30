//! The error of this crate is [`fault::Error`]. Names of files and media come from outside: texts are made safe for a terminal.

use std::error;
use std::fmt;

pub use fault::{Error, Result};

use crate::text::{clean, clean_lines};

/// An error about `object`, a file, folder or medium; the cause is a sentence.
pub(crate) fn refusal(object: impl fmt::Display, cause: impl fmt::Display) -> Error {
    Error::new(clean(&object.to_string()), clean_lines(&cause.to_string()))
}

/// The same because of another error, which stays its source.
pub(crate) fn failure(object: impl fmt::Display, cause: impl error::Error + Send + Sync + 'static) -> Error {
    refusal(object, fault::with_sources(&cause)).because_of(cause)
}
