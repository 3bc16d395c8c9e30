//! Entries of a boot menu, decided once and written for every loader.
//!
//! An entry is what the Boot Loader Specification calls type 1: a text file `loader/entries/ID.conf` that systemd-boot reads by
//! itself. GRUB as Debian has it does not read such files, so its menu is generated from the same entries, in the same order.
//!
//! | module | subject |
//! |---|---|
//! | [`parameter`] | a parameter of the kernel command line, and the kernel's quoting |
//! | [`entry`] | one entry, and its file: writer and reader side by side |
//! | [`file_name`] | the name of that file, with the tries that the loader counts in it |
//! | [`menu`] | which entries profiles and their generations give, in which order |
//! | [`loader_conf`] | what systemd-boot boots by itself: writer and reader |
//! | [`grub`] | the menu as GRUB's script, and which such script is shown |
//! | [`grub_tries`] | how often GRUB may start the entry that boots by itself |
//! | [`grub_last`] | which entry GRUB has started last |
//! | [`paths`] | what lies where on the partition of the entries |
//! | [`sector`] | the length of what is written in place |

pub mod entry;
pub mod file_name;
pub mod grub;
pub mod grub_last;
pub mod grub_tries;
pub mod loader_conf;
pub mod menu;
pub mod parameter;
pub mod paths;
pub mod sector;

pub use entry::BootEntry;
pub use file_name::{EntryFileName, Tries};
pub use grub::GrubMenu;
pub use grub_tries::GrubTries;
pub use kernel_command_line::names;
pub use loader_conf::LoaderConf;
pub use menu::{Choice, Generation, Menu, MenuError, MenuRequest, StartedWith};
pub use parameter::Parameter;
