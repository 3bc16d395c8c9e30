//! Drives whose medium can be taken out: disc drives and card readers.

#![allow(
    unsafe_code,
    reason = "the state of a disc drive is told by an ioctl, which has no safe wrapper in `nix` or `rustix`"
)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;

/// What is in a drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriveState {
    /// A medium, or the device is no disc drive and does not say.
    Medium,
    /// Nothing, or the tray is open.
    Nothing,
    /// A medium that the drive is still getting to know.
    NotReady,
}

mod ioctls {
    // CDROM_DRIVE_STATUS of `include/uapi/linux/cdrom.h`; its argument is the slot of a changer.
    nix::ioctl_write_int_bad!(drive_status, 0x5326);
}

/// CDSL_CURRENT: the slot that is in use.
const CURRENT: i32 = i32::MAX;

/// Opens a drive for reading. The kernel looks at this moment whether the medium was changed, and learns the size of the new one.
///
/// O_NONBLOCK means "also when there is no medium", and that the tray stays open when it is (`Documentation/cdrom/cdrom-standard.rst`):
/// whoever is about to put a disc in would find it closed again and again otherwise.
///
/// # Errors
/// The node is not there, or cannot be opened.
pub fn open(node: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags((OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).bits()).open(node)
}

/// Asks a drive that is open what is in it.
pub fn state(drive: &File) -> DriveState {
    // SAFETY: the descriptor is open for the length of the call, and the argument of this ioctl is a number.
    let status = unsafe { ioctls::drive_status(drive.as_raw_fd(), CURRENT) };
    match status {
        // CDS_NO_DISC and CDS_TRAY_OPEN.
        Ok(1 | 2) | Err(Errno::ENOMEDIUM) => DriveState::Nothing,
        // CDS_DRIVE_NOT_READY.
        Ok(3) => DriveState::NotReady,
        _ => DriveState::Medium,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_drive_has_what_it_has() {
        assert_eq!(state(&open(Path::new("/dev/null")).unwrap()), DriveState::Medium);
        assert!(open(Path::new("/dev/no such drive")).is_err());
    }
}
