//! What is said of a store that is wrong.

/// What to say of an image that has not the length that its record or profile says.
pub fn wrong_length(found: u64, expected: u64) -> String {
    match found < expected {
        true => format!("is truncated: it has {found} of {expected} bytes"),
        false => format!("is too long: it has {found} bytes in place of {expected}"),
    }
}
