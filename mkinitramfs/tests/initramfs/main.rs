//! mkinitramfs from the outside. No test needs root; GNU `cpio` and `zstd` must be installed.

mod command;
mod contents;
mod fixture;
mod list;
mod machines;
mod makers;
mod modules;
mod store;
mod trust;
