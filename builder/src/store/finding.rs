//! What is wrong in a store.

use std::fmt;

use serde::Serialize;

/// Something wrong in the store. Its Display is object, cause and remedy, as of an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file, as a path below the store.
    pub object: String,
    /// What is wrong with it.
    pub cause: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The cause may be an error of something smaller: its remedy gives way.
        let (cause, _) = profiles::split_remedy(&self.cause);
        write!(out, "{}: {cause}\nhelp: {}", self.object, self.remedy)
    }
}

/// What to say of an image that has not the length that its record or profile says.
pub fn wrong_length(found: u64, expected: u64) -> String {
    match found < expected {
        true => format!("is truncated: it has {found} of {expected} bytes"),
        false => format!("is too long: it has {found} bytes in place of {expected}"),
    }
}
