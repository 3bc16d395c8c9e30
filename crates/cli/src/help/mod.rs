//! Completion scripts and manual pages of a command, made from the declaration that also gives its `--help`, so that the three
//! never differ.

mod completions;
mod manual;

pub use completions::{SHELLS, completions};
pub use manual::{pages, write_pages};
