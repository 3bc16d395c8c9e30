//! The SHA-256 of files.

use std::fs::File;
use std::path::Path;

use profiles::Digest;

use crate::error::{Error, Result};

/// The SHA-256 and the length of a file.
pub fn digest_file(path: &Path) -> Result<(Digest, u64)> {
    File::open(path).and_then(Digest::of).map_err(Error::on(path.display()))
}
