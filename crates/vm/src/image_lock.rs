//! Whether another QEMU has the file of a disk.
//!
//! QEMU locks bytes of the file itself, by locks of open files (fcntl(2), F_OFD_SETLK): one for each thing that it does with it, and one for
//! each that it lets nobody else do (`block/file-posix.c` of QEMU: RAW_LOCK_PERM_BASE, RAW_LOCK_SHARED_BASE, and the BLK_PERM_ of
//! `include/block/block-common.h`).

use std::fs::File;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

/// Somebody writes.
const WRITES: i64 = 100 + 1;
/// Somebody lets nobody else write.
const LETS_NOBODY_WRITE: i64 = 200 + 1;

/// Whether a QEMU would refuse this disk because of another one. One that writes stands nobody beside it, and one that only reads, nobody
/// who writes.
pub fn is_in_the_way(disk: &File, writes: bool) -> bool {
    is_locked(disk, WRITES) || (writes && is_locked(disk, LETS_NOBODY_WRITE))
}

/// Where the file system has no locks, QEMU has none either.
fn is_locked(disk: &File, byte: i64) -> bool {
    let mut lock = lock_of(byte);
    let asked: Result<_, Errno> = fcntl(disk, FcntlArg::F_OFD_GETLK(&mut lock));
    asked.is_ok() && i32::from(lock.l_type) != libc::F_UNLCK
}

fn lock_of(byte: i64) -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte,
        l_len: 1,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::path::Path;
    use std::process::{Child, Command, Stdio};

    /// QEMU's own program for its disks, which has one open when it says its first word.
    fn opened(disk: &Path) -> Child {
        let mut qemu_io = Command::new("qemu-io");
        qemu_io.args(["-f", "raw"]).arg(disk).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = qemu_io.spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(b"length\n").unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(!line.is_empty());
        child
    }

    #[test]
    fn who_writes_stands_nobody_beside_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 20).unwrap();
        let told = || [false, true].map(|writes| is_in_the_way(&File::open(file.path()).unwrap(), writes));
        assert_eq!(told(), [false, false]);
        let mut other = opened(file.path());
        assert_eq!(told(), [true, true]);
        other.kill().unwrap();
        other.wait().unwrap();
        assert_eq!(told(), [false, false]);
        // As a guest that only reads.
        let reader = File::open(file.path()).unwrap();
        let mut lock = lock_of(LETS_NOBODY_WRITE);
        lock.l_type = libc::F_RDLCK as libc::c_short;
        fcntl(&reader, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
        assert_eq!(told(), [false, true]);
    }
}
