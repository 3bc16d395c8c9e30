//! What runs as the stages of a sandbox: a sealed copy of this program in memory.
//!
//! What a build could reach through `/proc/PID/exe` is then the copy and not the file that the caller will run again (the attack of
//! CVE-2019-5736), and a program that is replaced while builds run does not mix with its successor.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::OnceLock;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// A path that only this process and its children can use, and only as long as it runs.
pub(super) fn path() -> Result<PathBuf> {
    static COPY: OnceLock<OwnedFd> = OnceLock::new();
    let copy = match COPY.get() {
        Some(copy) => copy,
        // Two threads may copy at the same time: one of the copies is dropped.
        None => {
            let made = sealed_copy().map_err(|error| {
                Error::caused("cannot copy lamina into memory for a sandbox", error)
                    .remedy("the sysctl vm.memfd_noexec must be 0 or 1, and some megabytes of memory free")
            })?;
            COPY.get_or_init(|| made)
        }
    };
    Ok(PathBuf::from(format!("/proc/self/fd/{}", copy.as_raw_fd())))
}

/// memfd_create(2). Its flag MFD_EXEC is of Linux 6.3, and asked for there by vm.memfd_noexec=1.
fn sealed_copy() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = match memfd_create("lamina", flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => memfd_create("lamina", flags)?,
        made => made?,
    };
    let mut copy = File::from(memory);
    io::copy(&mut File::open("/proc/self/exe")?, &mut copy)?;
    rustix::fs::fchmod(&copy, rustix::fs::Mode::from_raw_mode(0o555))?;
    seal(&copy)?;
    Ok(copy.into())
}

/// Nobody writes to it from now on. F_SEAL_FUTURE_WRITE (Linux 5.1) and not F_SEAL_WRITE: that one also waits until nothing else holds a
/// page of it, and fails with EBUSY where the kernel keeps one for longer, which a busy machine does. Both refuse the same here, where
/// nothing was mapped for writing before.
fn seal(copy: &File) -> io::Result<()> {
    let seals = SealFlags::FUTURE_WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    Ok(fcntl_add_seals(copy, seals)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    use rustix::pipe::SpliceFlags;

    #[test]
    fn the_copy_is_whole_and_nobody_writes_to_it() {
        let path = path().unwrap();
        assert_eq!(fs::read(&path).unwrap(), fs::read("/proc/self/exe").unwrap());
        let refused = File::options().append(true).open(&path).and_then(|mut file| file.write(b"x"));
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
    /// What holds a page is a pipe here, and writes are refused on the descriptor that made the copy, too.
    #[test]
    fn a_page_that_is_held_elsewhere_stops_no_seal() {
        let memory = memfd_create("page", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        let mut copy = File::from(memory);
        copy.write_all(&[1; 4096]).unwrap();
        let (_reader, writer) = io::pipe().unwrap();
        let mut from = 0;
        let held = rustix::pipe::splice(&copy, Some(&mut from), &writer, None, 4096, SpliceFlags::empty());
        assert_eq!(held.unwrap(), 4096);
        seal(&copy).unwrap();
        let refused = std::os::unix::fs::FileExt::write_at(&copy, b"x", 0).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
    }
}
