//! reboot(2) with a word for the firmware or the driver that restarts the machine, which `nix` has not.

#![expect(unsafe_code, reason = "the system call takes the address of a string")]

use std::convert::Infallible;
use std::ffi::CStr;

use nix::errno::Errno;
use nix::libc;

/// LINUX_REBOOT_CMD_RESTART2 of reboot(2). The kernel takes the first 255 bytes of `parameter`, prints them, and hands them to
/// its restart handlers; on a PC none of them looks.
///
/// # Errors
/// EPERM without CAP_SYS_BOOT. It does not return otherwise.
pub fn with_parameter(parameter: &CStr) -> Result<Infallible, Errno> {
    // SAFETY: the string ends with a NUL and outlives the call; the kernel only reads it.
    unsafe {
        libc::syscall(
            libc::SYS_reboot,
            libc::LINUX_REBOOT_MAGIC1,
            libc::LINUX_REBOOT_MAGIC2,
            libc::LINUX_REBOOT_CMD_RESTART2,
            parameter.as_ptr(),
        )
    };
    Err(Errno::last())
}
