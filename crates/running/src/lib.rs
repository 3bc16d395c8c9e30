//! What Lamina offers in the system that it booted: `lamina bless`, `lamina report` and `lamina why`, and its medium.
//!
//! The init binary has these commands when it is not PID 1 of an initramfs, and so has the `lamina` command of the builder.
//! Everything starts from what init left in `/run/lamina`, of which `docs/boot.md` has the format. [`System`] says where that
//! is, so that tests need no root.

pub mod bless;
pub mod chart;
pub mod command;
pub mod damage;
mod error;
mod esp;
pub mod kernel_log;
pub mod layer_devices;
pub mod loader_entry;
pub mod medium;
pub mod report;
mod system;
pub mod text;
pub mod why;

pub use error::{Error, Result};
pub use system::System;
