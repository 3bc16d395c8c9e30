//! Where the logs of guests are: below the target folder of this repository.

use std::env;
use std::fs;
use std::path::PathBuf;

use crate::artifacts;
use crate::failure::Failure;

/// `target/qemu-logs/NAME.log`: all that the guest of one story printed.
pub fn console(name: &str) -> Result<PathBuf, Failure> {
    Ok(folder("qemu-logs")?.join(format!("{name}.log")))
}

/// `target/NAME`, which is made when it is missing.
pub fn folder(name: &str) -> Result<PathBuf, Failure> {
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| artifacts::repository().join("target"), PathBuf::from);
    let folder = target.join(name);
    fs::create_dir_all(&folder).map_err(Failure::at(&folder))?;
    Ok(folder)
}
