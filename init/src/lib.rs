//! PID 1 of the initramfs: from the kernel command line to the real init, and back out at shutdown.
//!
//! | folder | subject |
//! |---|---|
//! | `boot` | the story of a boot: one candidate after another until a root is mounted, and the point of no return |
//! | `recovery` | where every failure ends |
//! | `shutdown` | the way back |
//! | `plan` | what a boot will do, as data that prints, and what carries it out |
//! | `state` | a writable top that lasts |
//! | `store` | where the store is, which profiles it has, and who signed them |
//! | `waiting` | waits until a device is there |
//! | `modules` | kernel modules |
//! | `report` | what is said on the console and left in writing |
//! | `devices` | the block devices of this machine, and which one is meant |
//! | `request` | what the kernel command line asks for; pure |
//! | `memory` | whether there is memory for the layers |
//! | `real_init` | whether the real init can be started |
//!
//! Each imports only folders that are below it in this table, and the single files beside them.
//!
//! It is a library so that the fuzz targets can import it. Nothing else does.

// PID 1 must not panic.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

mod boot;
mod clock;
mod console;
mod deadline;
mod descriptors;
mod devices;
mod error;
mod folder;
mod memory;
mod modules;
mod mounts;
mod multicall;
mod panic_for_tests;
mod paths;
mod plan;
mod priority;
mod real_init;
mod recovery;
mod report;
mod request;
mod shutdown;
mod size;
mod state;
mod step_name;
mod store;
mod subprocess;
mod unmount;
mod waiting;

use std::process::ExitCode;

/// What reads bytes that others wrote: the fuzz targets feed it garbage.
pub mod readers {
    pub use crate::real_init::elf::dynamic;
    pub use crate::request::BootRequest;
    pub use crate::store::initramfs::parse as parse_description;
    pub use kernel_command_line::module_options;
}

/// Whatever this program is asked to be: as the init of an initramfs it does not return.
pub fn run() -> ExitCode {
    if std::process::id() == 1 {
        stack::last_resort::install();
    }
    multicall::other_than_init().unwrap_or_else(|| boot::begin())
}
