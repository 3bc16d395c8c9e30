//! Swap on a file: as long as the kernel swaps to it, its file system can be neither unmounted nor made read-only.

#![expect(unsafe_code, reason = "swapoff(2) has no safe interface in `nix` and `rustix`")]

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::libc;

use crate::{Error, Result};

/// swapoff(2): brings back into memory what is there, which takes its time.
///
/// # Errors
/// The kernel does not swap there (EINVAL), the file is gone (ENOENT), or what is there does not fit into the memory (ENOMEM).
pub fn off(path: &Path) -> Result<()> {
    let failed = |cause: io::Error| Error::new("end swapping to", path.display(), cause);
    let text = CString::new(path.as_os_str().as_bytes()).map_err(|error| failed(error.into()))?;
    // SAFETY: the argument is a string that ends with a NUL and lives until the call returns.
    let result = unsafe { libc::swapoff(text.as_ptr()) };
    Errno::result(result).map(drop).map_err(|errno| failed(errno.into()))
}
