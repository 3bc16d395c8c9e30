//! The SHA-256 of files.

use std::fs::File;
use std::io::{self, Seek};
use std::path::Path;

use cli::progress::Meter;
use profiles::Digest;

use crate::error::{Error, Result};

/// The SHA-256 and the length of a file.
pub fn digest_file(path: &Path) -> Result<(Digest, u64)> {
    File::open(path).and_then(Digest::of).map_err(Error::on(path.display()))
}

/// The SHA-256 and the length of an open file, from its start; what is read advances the meter.
pub fn digest_of(file: &mut File, meter: &Meter) -> io::Result<(Digest, u64)> {
    file.rewind()?;
    Digest::of(meter.reader(file))
}
