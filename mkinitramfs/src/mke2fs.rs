//! The program with which init makes the file system of a writable top at its first use.

use std::path::Path;

use crate::contents::{Contents, Source};
use crate::elf;
use crate::error::Error;
use crate::host_file;

/// Where init looks for it: the name decides that mke2fs makes an ext4 (mke2fs(8)).
pub(crate) const PATH: &str = "sbin/mkfs.ext4";

/// Adds `sbin/mkfs.ext4`.
///
/// # Errors
/// `program` cannot be read or is not a static program.
pub(crate) fn add(contents: &mut Contents, program: &Path) -> Result<(), Error> {
    let bytes = host_file::read(program).map_err(Error::at(program))?;
    elf::check_static(&bytes).map_err(|cause| {
        Error::new(program.display(), cause).remedy(
            "give a static mke2fs: 'lamina build e2fsprogs' makes one, and 'lamina image cat e2fsprogs \
             usr/sbin/mkfs.ext4' takes it out of its image",
        )
    })?;
    contents.add(PATH, 0o755, Source::Bytes(bytes))
}
