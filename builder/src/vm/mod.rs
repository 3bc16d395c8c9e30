//! Profiles of the store, and disks, in a virtual machine: `lamina vm`.
//!
//! | module | subject |
//! |---|---|
//! | [`medium`] | the disk with a profile and its images, made once for each content |
//! | [`state`] | the file that keeps what a guest changes |
//! | [`share`] | folders of the host |
//! | [`forward`] | ports of the guest on this machine |
//! | [`guest`] | all that was asked for, as a machine |
//!
//! The crate `vm` starts QEMU; nothing of that is here.

pub mod forward;
pub mod guest;
pub mod medium;
pub mod share;
pub mod state;
