//! A whole disk as what is worked on: the image of one, or a device, as `lamina disk create` writes them.
//!
//! Who looks takes copies of what is small, as an ordinary user ([`DiskCopies`]). Who changes something mounts the store ([`MountedDisk`]), which
//! takes root: only the kernel writes an ext4 so that a kill at any moment loses nothing. debugfs and what else writes it without a mount pass
//! its journal by, and leave bitmaps and inodes that contradict each other when they are killed. A FAT has no journal to pass by, and is written
//! in an order that loses nothing ([`disk_image::fat_volume`]).
//!
//! | module | subject |
//! |---|---|
//! | [`opening`] | the disk, opened for this program alone |
//! | [`mounted`] | the store in a mount that this process alone sees, and the EFI system partition |
//! | [`copies`] | both as folders of copies, without a mount |

pub mod copies;
pub mod mounted;
pub mod opening;

pub use copies::DiskCopies;
pub use mounted::{MountedDisk, refuse_without_root};
pub use opening::OpenDisk;
