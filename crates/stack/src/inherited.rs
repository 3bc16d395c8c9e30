//! What a process inherits from its parent and may not want: descriptors, the session keyring, and ignored signals.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;

use crate::{Error, Result};

/// Closes every descriptor but the three standard ones and `kept`, which this process was given by its number and which the value that is
/// returned owns from now on (close_range(2), Linux 5.9). It ends with the next program (FD_CLOEXEC). For a process that has just
/// begun: whatever holds another descriptor afterwards holds a number that may be another file's.
///
/// # Errors
/// EBADF: `kept` is no open descriptor, or a standard one. ENOSYS on a kernel before 5.9.
pub fn keep_one_descriptor(kept: u32) -> Result<OwnedFd> {
    const FIRST: u32 = 3;
    let error = |errno: Errno| Error::new("keep", format!("descriptor {kept}"), io::Error::from(errno));
    let number =
        libc::c_int::try_from(kept).ok().filter(|_| kept >= FIRST).ok_or_else(|| error(Errno::EBADF))?;
    if kept > FIRST {
        close_range(FIRST, kept - 1)?;
    }
    close_range(kept + 1, libc::c_uint::MAX)?;
    // SAFETY: fcntl(2) with F_SETFD touches no memory.
    #[expect(unsafe_code, reason = "fcntl(2): see SAFETY")]
    let result = unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    Errno::result(result).map_err(error)?;
    // SAFETY: it is open, as fcntl(2) said, and was inherited: no value of this process owns it.
    #[expect(unsafe_code, reason = "an inherited descriptor: see SAFETY")]
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn close_range(first: u32, last: u32) -> Result<()> {
    // SAFETY: close_range(2) touches no memory; what becomes of values that own such a descriptor is said above.
    #[expect(unsafe_code, reason = "close_range(2): see SAFETY")]
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
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

/// Gives a signal that this process was started to ignore its default action. One with a handler keeps it.
///
/// # Errors
/// There is no such signal, or it cannot be ignored (SIGKILL and SIGSTOP).
pub fn heed_signal(number: i32) -> Result<()> {
    // `struct sigaction` of the kernel, whose first word is the handler. It is four words or less wherever Linux runs; all zero it is
    // SIG_DFL without flags. Not by the C library: those hide the signals that they use themselves, and glibc ignores them in what it starts.
    let (mut old, default) = ([0_u64; 4], [0_u64; 4]);
    let action = |new: *const u64, old: *mut u64| {
        // SAFETY: each pointer is null or to 32 bytes that live until the call returns; SIG_DFL is no function that could be wrong.
        #[expect(unsafe_code, reason = "rt_sigaction(2): see SAFETY")]
        let result = unsafe { libc::syscall(libc::SYS_rt_sigaction, number, new, old, size_of::<u64>()) };
        Errno::result(result)
            .map_err(|errno| Error::new("heed", format!("signal {number}"), io::Error::from(errno)))
    };
    action(std::ptr::null(), old.as_mut_ptr())?;
    if old[0] == libc::SIG_IGN as u64 {
        action(default.as_ptr(), std::ptr::null_mut())?;
    }
    Ok(())
}

/// [`heed_signal`] for all of them but SIGPIPE, which is Rust's own doing and undone in what it starts, and blocks none.
///
/// # Errors
/// As of [`heed_signal`].
pub fn heed_all_signals() -> Result<()> {
    /// `_NSIG` of the kernel.
    const LAST: i32 = 64;
    let fixed = [libc::SIGKILL, libc::SIGSTOP, libc::SIGPIPE];
    (1..=LAST).filter(|number| !fixed.contains(number)).try_for_each(heed_signal)?;
    nix::sys::signal::SigSet::empty()
        .thread_set_mask()
        .map_err(|errno| Error::new("heed", "blocked signals", io::Error::from(errno)))
}
