//! What a process inherits from its parent and may not want: descriptors, and the session keyring.

use std::io;

use nix::errno::Errno;
use nix::libc;

use crate::{Error, Result};

/// Closes every descriptor from `first` on (close_range(2), Linux 5.9). For a process that has just begun: whatever holds one of them
/// afterwards holds a number that may be another file's.
///
/// # Errors
/// ENOSYS on a kernel before 5.9.
pub fn close_descriptors_from(first: u32) -> Result<()> {
    // SAFETY: close_range(2) touches no memory; what becomes of values that own such a descriptor is said above.
    #[expect(unsafe_code, reason = "close_range(2): see SAFETY")]
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    Errno::result(result)
        .map(drop)
        .map_err(|errno| Error::new("close", "the descriptors of the caller", io::Error::from(errno)))
}

/// Gives this process a session keyring of its own, which is empty (keyctl(2), KEYCTL_JOIN_SESSION_KEYRING without a name). On a kernel
/// without keys there is nothing to do.
///
/// # Errors
/// EDQUOT: the user has too many keys.
pub fn leave_session_keyring() -> Result<()> {
    let unnamed = std::ptr::null::<libc::c_char>();
    // SAFETY: the null pointer is the documented way to ask for a keyring without a name.
    #[expect(unsafe_code, reason = "keyctl(2): see SAFETY")]
    let result = unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, unnamed) };
    match Errno::result(result) {
        Ok(_) | Err(Errno::ENOSYS) => Ok(()),
        Err(errno) => Err(Error::new("leave", "the session keyring of the caller", io::Error::from(errno))),
    }
}
