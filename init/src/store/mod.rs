//! The store that a boot is from.
//!
//! | module | what it does |
//! |---|---|
//! | `medium` | which medium holds it, matched against what is there; pure |
//! | `find_store` | waits for the medium |
//! | `reader` | which profiles it has, and the one that was asked for |
//! | `trust` | who signed a profile |
//! | `initramfs` | what mkinitramfs wrote about the initramfs, the rule about signatures included |

pub mod find_store;
pub mod initramfs;
pub mod medium;
mod profile_summary;
mod reader;
pub mod trust;

pub use profile_summary::ProfileSummary;
pub use reader::{Origin, Store, StoredProfile};
