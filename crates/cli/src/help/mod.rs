//! Completion scripts and manual pages of a command, made from the declaration that also gives its `--help`, so that the three
//! never differ.

mod completions;
mod cursor;
mod manual;
mod values;

pub use completions::{SHELLS, asking_completions, completions};
pub use cursor::{Cursor, at_cursor};
pub use manual::{pages, write_pages};
pub use values::{Also, QUESTION, Values};
