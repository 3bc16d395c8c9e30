//! mkinitramfs from the outside. No test needs root; GNU `cpio`, `zstd` and `lz4` must be installed.

mod archives;
mod command;
mod contents;
mod diff;
mod drop_ins;
mod fixture;
mod list;
mod machines;
mod makers;
mod microcode;
mod modules;
mod store;
mod trust;
mod why;
