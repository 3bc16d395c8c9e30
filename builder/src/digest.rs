//! The SHA-256 of files.

use std::path::Path;

use profiles::Digest;

use crate::error::{Error, Result};
use crate::regular_file;

/// The SHA-256 and the length of a regular file.
pub fn digest_file(path: &Path) -> Result<(Digest, u64)> {
    Digest::of(regular_file::open(path)?).map_err(Error::on(path.display()))
}
