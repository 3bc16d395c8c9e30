//! Names without a meaning: branches, code names, hashes.
//!
//! What is useful with them is to say that it is this one. They have an order all the same, that of their bytes, since a list wants to be
//! shown in some order and the newest of one alone is that one.

use crate::parse_error::Fault;

/// The bytes are the key. [`crate::Version::parse`] has refused what no version may have.
pub(crate) fn key(text: &str) -> Result<Vec<u8>, Fault> {
    Ok(text.as_bytes().to_vec())
}
