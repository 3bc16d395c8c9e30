//! A medium copied to another disk: some of its generations, with what starts them. The copy names its own partitions, whose UUIDs no other
//! disk has: both can be plugged in together.
//!
//! | module | subject |
//! |---|---|
//! | [`contents`] | what is copied: generations, kernels, loaders, as files of a new disk |
//! | `boot_code` | what a BIOS starts on the disk of the medium |
//! | [`whole`] | a whole disk, as `lamina disk create` plans it |
//! | [`beside`] | free space and the EFI system partition of a disk with another system |
//! | `other_system` | what of that system stays, and what it leaves no place for |

pub mod beside;
mod boot_code;
pub mod contents;
mod other_system;
pub mod whole;
