//! What is fetched.

use profiles::Digest;

/// A file that is downloaded, known by its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name in `/sources`.
    pub file: String,
    /// What it must hash to.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Where to get it, in the order to try.
    pub mirrors: Vec<String>,
}
