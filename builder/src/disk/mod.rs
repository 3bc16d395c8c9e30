//! Disk images that boot: profiles of the store, a kernel with its initramfs, a loader, and a menu of all of it.
//!
//! | module | subject |
//! |---|---|
//! | [`contents`] | what goes into the store's partition: generations, their images, the slots that count boots |
//! | [`loader`] | systemd-boot and GRUB, found on this machine |
//! | [`kernel`] | the kernel and the initramfs that serve all profiles which are for any |
//! | [`pinned_kernel`] | the kernels that profiles are for, each with its initramfs |
//! | [`initramfs_facts`] | what an initramfs says of itself: for which kernel it is, and which profiles its init reads |
//! | [`made_files`] | both of them, kept in the cache for the next disk |
//! | [`assembly`] | all of it, as a request for a new disk |
//! | [`planned`] | what lies where on a disk of its own, also on a copy |
//! | [`device`] | a device that a disk is written to: what is known of it, and whether it may be lost |
//! | [`loader_record`] | what starts a disk, as a file on it |
//! | [`loader_check`] | whether that is still there, and whole |
//! | [`other_disk`] | what lies on a disk that is none of ours |
//! | [`inspection`] | what lies on such a disk, and what is wrong with it |

pub mod assembly;
pub mod contents;
pub mod device;
pub mod initramfs_facts;
pub mod inspection;
pub mod kernel;
pub mod loader;
pub mod loader_check;
pub mod loader_record;
pub mod made_files;
pub mod other_disk;
pub mod pinned_kernel;
pub mod planned;
