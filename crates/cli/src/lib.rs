//! What every command here shares: [`command_line`] reads what a person typed, [`progress`] says how far the work is, [`help`] makes
//! completions and manual pages out of the declaration that also gives `--help`.

pub mod command_line;
#[cfg(feature = "help")]
pub mod help;
pub mod progress;
