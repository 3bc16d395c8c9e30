//! The verbs of a stack: open an image, check it, attach it, mount it, join it with others.
//!
//! | module | thing handled |
//! |---|---|
//! | [`image`] | one open image file: its size and its SHA-256, always of the descriptor that is mounted later |
//! | [`loop_device`] | a loop device over an open image |
//! | [`verity`] | an image read through dm-verity, block by block checked against a root hash |
//! | [`verity_layout`] | where data, hash tree and error correction are in an image: pure |
//! | [`detached`] | a mount that is nowhere yet: a copy, restricted, with other owners |
//! | [`mount`] | a file system, mounted with the new mount API, with the kernel's own words when it refuses |
//! | [`overlay`] | layers joined by overlayfs, on new kernels and on old ones |
//! | [`upper`] | the folder that takes an overlay's changes: what it must be able to do, and the attributes of the root |
//! | [`journal`] | mounting what was not unmounted and cannot be written: pure |
//! | [`beneath`] | files of a medium, opened beneath one directory and as nothing but files |
//! | [`drive`] | drives whose medium can be taken out |
//! | [`swap`] | the end of swapping to a file |
//! | [`child`] | a child process that goes on with this program |
//! | [`inherited`] | descriptors and keys that a process got from its parent |
//! | [`loopback`] | the interface `lo` of a new network namespace |
//! | [`aside`] | work that goes on while this process becomes another program |
//! | [`last_resort`] | what is left when PID 1 crashes |
//! | [`superblock`] | which file system lies on a device, its label and its UUID |
//! | [`partition_table`] | which partitions a disk has, their labels and their UUIDs |
//!
//! The only places of the project with `unsafe`: ioctls in [`loop_device`], in [`drive`] and in the module `device_mapper` below [`verity`],
//! signal handlers in [`last_resort`], fork(2) in [`aside`] and [`child`], mount_setattr(2) in [`detached`], close_range(2) and keyctl(2) in
//! [`inherited`], an ioctl in [`loopback`], reboot(2) with a word in [`restart`], swapoff(2) in [`swap`], and
//! the names of the unwinder in `no_unwinder`.
//!
//! The last two of the table are pure parsers over a [`bytes::ByteSource`]: they are fed with garbage in their tests and answer
//! "nothing I know" instead of failing.

pub mod aside;
pub mod beneath;
pub mod bytes;
pub mod child;
pub mod detached;
mod device_mapper;
pub mod drive;
pub mod erofs;
mod error;
pub mod image;
pub mod inherited;
pub mod journal;
pub mod last_resort;
pub mod loop_device;
pub mod loopback;
pub mod mount;
// Programs that unwind, and those that link with glibc, keep theirs.
#[cfg(all(target_env = "musl", panic = "abort", not(test)))]
mod no_unwinder;
pub mod overlay;
pub mod partition_table;
pub mod restart;
pub mod squashfs;
pub mod superblock;
pub mod swap;
pub mod upper;
pub mod verity;
pub mod verity_layout;

pub use error::{Error, Result};
