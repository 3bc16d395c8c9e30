//! mkinitramfs from the outside. One test needs root, and is ignored elsewhere; GNU `cpio`, `zstd` and `lz4` must be installed.

mod archives;
mod command;
mod contents;
mod diff;
mod drop_ins;
mod fixture;
mod hooks;
mod list;
mod machines;
mod makers;
mod microcode;
mod modules;
mod outputs;
mod store;
mod trust;
mod why;
