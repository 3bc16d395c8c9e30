//! Completion scripts and manual pages of a command, made from the declaration that also gives its `--help`, so that the three
//! never differ; and what `argh` lacks when it reads a command line.

mod arguments;
mod completions;
mod manual;

pub use arguments::{check, split_values};
pub use completions::{SHELLS, completions};
pub use manual::{pages, write_pages};
