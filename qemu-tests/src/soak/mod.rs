//! Soak tests: one small thing, thousands of times, with every random choice from a printed seed.
//!
//! | module | what is repeated |
//! |---|---|
//! | [`faults`] | a boot in which one system call of init fails; [`fault_fixture`] is what is booted |
//! | [`flips`] | an image that is damaged somewhere, under dm-verity |
//! | [`power`] | a power cut, at any moment of a life that [`log_writes`] has recorded |
//! | [`updates`] | an update that a power cut ends, or that lies |
//!
//! Each has a plan that is made first from the seed, a run, and a summary as Markdown. `make test` runs samples of them
//! (`tests/soak_*.rs`), `make soak` all (`.ci/soak`).

pub mod fault_fixture;
pub mod faults;
pub mod flips;
pub mod log_writes;
pub mod power;
pub mod random;
pub mod updates;

use std::path::PathBuf;

use crate::failure::Failure;
use crate::logs;

/// The folder for logs of a soak test: `target/soak-logs`.
pub fn log_folder() -> Result<PathBuf, Failure> {
    logs::folder("soak-logs")
}
