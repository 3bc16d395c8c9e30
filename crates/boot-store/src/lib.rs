//! The part of a store that boots: `images/HEX.sqfs`, `profiles/NAME/GENERATION.kdl` and `GENERATION.kdl.minisig`. A medium, the store in
//! an initramfs and the store of the builder all have it, and everybody reads it here, so that what a program shows of a store is what
//! PID 1 will find in it.
//!
//! | module | what it says |
//! |---|---|
//! | [`layout`] | what each file is called |
//! | [`BootStore`] | which profiles and generations there are, and their bytes |
//! | [`signature`] | who signed a profile, and what the signature says of it |
//!
//! Everything is opened beneath the store's folder, as nothing but regular files, without links and without crossing a mount
//! ([`stack::beneath`]); how much of a hostile store is read is bounded.

pub mod layout;
mod listing;
mod reader;
pub mod signature;

pub use listing::{ListedGeneration, ListedProfile};
pub use reader::{BootStore, MOST_GENERATIONS, ProfileError, StoredProfile};
