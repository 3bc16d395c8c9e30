//! The kernel's memory that a mounted image takes, reckoned from its superblock before it is mounted.

pub mod erofs;
pub mod squashfs;
