//! What every command here shares.
//!
//! | module | subject |
//! |---|---|
//! | [`command_line`] | what a person typed |
//! | [`progress`] | how far the work is, on standard error |
//! | [`numbers`] | sizes and counts in words |
//! | [`safe_text`] | texts of others, of which a terminal obeys nothing |
//! | [`colours`] | what stands out on a terminal |
//! | `help` | completions and manual pages, out of the declaration that also gives `--help`; behind the feature of that name |

pub mod colours;
pub mod command_line;
#[cfg(feature = "help")]
pub mod help;
pub mod numbers;
pub mod progress;
pub mod safe_text;
