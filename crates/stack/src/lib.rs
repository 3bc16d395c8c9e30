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
//! | [`mount_table`] | what is mounted where, as the kernel lists it |
//! | [`overlay`] | layers joined by overlayfs, on new kernels and on old ones |
//! | [`upper`] | the folder that takes an overlay's changes: what it must be able to do, and the attributes of the root |
//! | [`beneath`] | files of a medium, opened beneath one folder and as nothing but files |
//! | [`drive`] | drives whose medium can be taken out |
//! | [`swap`] | the end of swapping to a file |
//! | [`child`] | a child process that goes on with this program |
//! | [`inherited`] | descriptors, keys and ignored signals that a process got from its parent |
//! | [`loopback`] | the interface `lo` of a new network namespace |
//!
//! With the feature `pid-1`, which `init` alone asks for:
//!
//! | module | thing handled |
//! |---|---|
//! | [`forked_work`] | work that goes on while this process becomes another program |
//! | [`last_resort`] | what is left when PID 1 crashes |
//! | [`restart`] | a restart of the machine, with a word for its firmware |
//! | [`vt`] | keymap and font of the virtual terminals |
//!
//! The only places of the project with `unsafe`: ioctls in [`loop_device`], in [`drive`] and in the module `device_mapper` below [`verity`],
//! signal handlers in [`last_resort`], fork(2) in [`forked_work`] and [`child`], mount_setattr(2) in [`detached`], close_range(2), keyctl(2) and rt_sigaction(2)
//! in [`inherited`], an ioctl in [`loopback`], reboot(2) with a word in [`restart`], swapoff(2) in [`swap`], ioctls in [`vt`], and
//! the names of the unwinder in `no_unwinder`.
//!
//! What lies in an image or on a device is read by the crate `block-probe`; nothing here parses a file system.

pub mod beneath;
pub mod child;
pub mod detached;
mod device_mapper;
pub mod drive;
mod error;
#[cfg(feature = "pid-1")]
pub mod forked_work;
pub mod image;
pub mod inherited;
#[cfg(feature = "pid-1")]
pub mod last_resort;
pub mod loop_device;
pub mod loopback;
pub mod mount;
pub mod mount_table;
// Programs that unwind, and those that link with glibc, keep theirs.
#[cfg(all(feature = "pid-1", target_env = "musl", panic = "abort", not(test)))]
mod no_unwinder;
pub mod overlay;
pub mod random;
#[cfg(feature = "pid-1")]
pub mod restart;
pub mod swap;
pub mod upper;
pub mod verity;
pub mod verity_layout;
#[cfg(feature = "pid-1")]
pub mod vt;

pub use error::{Error, Result};
