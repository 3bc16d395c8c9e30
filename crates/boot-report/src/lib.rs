//! What init leaves for the running system: where, and the report of the boot, whose writer and reader stand side by side.
//! `docs/boot.md` has its schema.
//!
//! | module | what it says |
//! |---|---|
//! | [`paths`] | what lies where |
//! | [`records`] | the report as init writes it: a value for every field |
//! | [`BootReport`] | the report as commands read it: what is absent is empty, because init and they may differ in age |

mod decode;
mod layout;
pub mod paths;
pub mod reading;
pub mod records;

pub use decode::ParseError;
pub use layout::Rendered;
pub use reading::BootReport;

/// The format that init writes, and the newest that the reader knows all of.
pub const FORMAT: u64 = 2;
