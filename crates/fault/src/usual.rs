//! What helps against the answers of the system that any path may get (errno(3)), wherever it was.

use std::io;

use nix::errno::Errno;

/// The remedy; `None` for answers that want one of their own.
pub(crate) fn remedy(error: &io::Error) -> Option<&'static str> {
    use io::ErrorKind as Kind;
    // They have no kind of their own, or share it with another that is helped in another way (EPERM).
    let by_number = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EMFILE | Errno::ENFILE) => Some("raise the limit with `ulimit -n`"),
        // open(2) of a socket, or of the node of a device that is gone.
        Some(Errno::ENXIO) => Some("it is a socket, or its device is not there: give another path"),
        Some(Errno::EACCES) => Some("ask whoever owns it for the right, or do this as root"),
        _ => None,
    };
    by_number.or(match error.kind() {
        Kind::StorageFull => Some("make room on its file system, or write to another one"),
        Kind::FileTooLarge => {
            Some("make room, or raise the limit of `ulimit -f`; FAT holds no file of 4 GiB")
        }
        Kind::QuotaExceeded => Some("make room, or write to another file system"),
        Kind::NotFound => Some("check the path"),
        Kind::IsADirectory => Some("give the path of a file"),
        Kind::NotADirectory => Some("a part of this path is a file: check the path"),
        Kind::ReadOnlyFilesystem => Some("write to another file system"),
        _ => None,
    })
}
