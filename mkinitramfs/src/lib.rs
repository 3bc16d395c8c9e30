//! Makes the initramfs that carries Lamina's init: "The initramfs" in ARCHITECTURE.md says what lies in it.
//!
//! [`Request::plan`] reads the kernel, init and the store, and decides what goes in and why; it writes nothing.
//! [`Plan::write`] puts it into one file: a newc archive, compressed with zstd, the same bytes for the same input.
//! [`list()`] reads such a file back, and that of anybody else; [`diff()`] compares two, and [`why()`] says what asks for a module.

mod aliases;
mod archive;
mod compression;
mod console_font;
mod contents;
mod diff;
mod drop_in;
mod elf;
mod file_system_maker;
mod firmware;
mod host;
mod host_file;
mod kernel_modules;
mod keymap;
mod keys;
mod list;
mod luks;
mod microcode;
mod modinfo;
mod module_list;
mod plan;
mod programs;
mod report;
mod rescue;
mod rules;
mod running_kernel;
mod shared_libraries;
mod store;
mod why;

pub use compression::LEVELS;
pub use contents::{Contents, Entry, Source};
pub use diff::{Changed, Difference, diff};
pub use drop_in::Added;
pub use fault::Error;
pub use file_system_maker::{FileSystemMaker, Task};
pub use kernel_modules::{Absent, Picked, Reason, Selection};
pub use list::{Listed, Listing, list};
pub use microcode::{Early, EarlyFile};
pub use plan::{Firmwares, Plan, Request, Written};
pub use programs::MakerFile;
pub use rules::AllowedProfile;
pub use running_kernel::modules_of_running_kernel;
pub use why::{Wanted, Why, why};
