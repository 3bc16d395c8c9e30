//! The initramfs, as mkinitramfs writes it and init reads it: each format's reader and writer stand side by side.
//!
//! | module | what it says |
//! |---|---|
//! | [`paths`] | what lies where |
//! | [`Description`] | `initramfs.kdl`: for which kernel it was made, and what it lets boot |
//! | [`module_list`] | the kernel modules, one a line |
//! | [`hook`] | programs that run at points of a boot |
//! | [`keymap`], [`font`] | the console's keyboard and letters |
//! | [`buses`] | the buses whose devices ask for modules |
//! | [`pattern`] | whether an alias of a module is meant |

pub mod buses;
mod description;
pub mod font;
pub mod hook;
pub mod keymap;
pub mod module_list;
pub mod paths;
pub mod pattern;

pub use description::{AllowedProfile, Description, DescriptionError, FORMAT, REMEDY};
