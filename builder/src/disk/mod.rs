//! Disk images that boot: profiles of the store, a kernel with its initramfs, a loader, and a menu of all of it.
//!
//! | module | subject |
//! |---|---|
//! | [`contents`] | what goes into the store's partition: generations, their images, the slots that count boots |
//! | [`loader`] | systemd-boot and GRUB, found on this machine |
//! | [`kernel`] | the kernel and the initramfs that serve all profiles |
//! | [`assembly`] | all of it as the plan of a disk |
//! | [`inspection`] | what lies on such a disk, and what is wrong with it |

pub mod assembly;
pub mod contents;
pub mod inspection;
pub mod kernel;
pub mod loader;
