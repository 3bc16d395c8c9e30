//! Files of the new root, opened as they will be when it is `/`.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

/// openat2(2) with RESOLVE_IN_ROOT: absolute links and `..` stay below `root`.
pub fn open_in(root: &File, path: &str) -> Result<File, Errno> {
    // Without O_NONBLOCK a FIFO under the name of init would hang PID 1.
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_IN_ROOT);
    openat2(root.as_fd(), path, how).map(File::from)
}

/// Up to `length` bytes at `offset`: fewer at the end of the file, none when it cannot be read.
pub fn read_at(file: &File, offset: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match file.read_at(&mut bytes[filled..], offset.saturating_add(filled as u64)) {
            Ok(count @ 1..) => filled += count,
            Ok(0) | Err(_) => break,
        }
    }
    bytes.truncate(filled);
    bytes
}
