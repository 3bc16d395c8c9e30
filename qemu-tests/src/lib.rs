//! The virtual machine harness: real kernels, real disks, and a serial console that the tests read and type on.
//!
//! A story has four parts, each a module:
//!
//! - [`artifacts`]: what `make` prepared (init, kernels, the store of images); a missing piece is an error that says which
//!   `make` target makes it;
//! - [`store`] and [`medium`]: small stores made for one test, with hash trees and EROFS images when asked, put on a disk, a
//!   share or into the initramfs;
//! - [`guest`]: a machine of the crate [`vm`], which starts QEMU for all of this repository, and what a story expects of it.
//!
//! The soak tests ([`soak`]) repeat small things thousands of times; their machine is mostly [`uml`].
//!
//! At most two guests run at a time on one computer, over all test programs ([`vm_slots`]). Every wait has a timeout, and every
//! failure names the file that holds the whole console log.

pub mod acceleration;
pub mod artifacts;
pub mod debian_root;
pub mod documents;
pub mod failure;
pub mod fixture;
pub mod guest;
pub mod initramfs;
pub mod installed;
pub mod logs;
pub mod medium;
pub mod outside;
pub mod programs;
pub mod qr;
pub mod report;
mod screen;
pub mod soak;
pub mod state_disk;
pub mod store;
pub mod uml;
pub mod vm_slots;

pub use failure::{Failure, Story};
