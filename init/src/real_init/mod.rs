//! Whether the real init can be started, and what it needs for that, looked at before the point of no return.
//!
//! | module | what it does |
//! |---|---|
//! | `check` | whether it exists, may be executed, and is made for this machine |
//! | `read_init` | reads it whole, so that damage shows while another profile can still be tried |
//! | `elf`, `script` | programs and scripts, as the kernel and the dynamic linkers read them |
//! | `open` | files of the new root, opened as they will be when it is `/` |

mod check;
pub mod elf;
mod open;
pub mod read_init;
mod script;

pub use check::check;
