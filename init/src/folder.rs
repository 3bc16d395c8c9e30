//! A folder of the initramfs, in an order that does not hang on where its files lie in memory.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// The paths of what is in it, by the bytes of their names.
pub fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort_by(|one, other| one.as_os_str().cmp(other.as_os_str()));
    Ok(paths)
}
