//! Profiles of the store, and disks, in a virtual machine: `lamina vm`.
//!
//! | module | subject |
//! |---|---|
//! | [`medium`] | the disk with a profile and its images, made once for each content |
//! | [`state`] | the file that keeps what a guest changes |
//! | [`share`] | folders of the host |
//! | [`lan`] | guests on one network |
//! | [`foreign_disk`] | images and devices that somebody has |
//! | [`forward`] | ports of the guest on this machine |
//! | [`least_memory`] | how much its kernel needs |
//! | [`job`] | what is done in a guest that nobody sits at, and what became of it |
//! | [`beside`] | the initramfs with the agent that does it |
//! | [`attended`] | such a guest, from its start to its end |
//! | [`asked_for`] | whether it has what it was started with |
//! | [`snapshot`] | where it is kept, so that the next one need not boot |
//! | [`junit`] | what became of tests, for other programs |
//! | [`guest`] | all that was asked for, as a machine |
//!
//! The crate `vm` starts QEMU; nothing of that is here.

pub mod asked_for;
pub mod attended;
pub mod beside;
pub mod foreign_disk;
pub mod forward;
pub mod guest;
pub mod job;
pub mod junit;
pub mod lan;
pub mod least_memory;
pub mod medium;
pub mod share;
pub mod snapshot;
pub mod state;
