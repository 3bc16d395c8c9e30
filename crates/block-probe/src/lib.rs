//! What lies on a disk or in an image, from the bytes at its beginning and its end. Pure readers over a [`ByteSource`]: they mount
//! nothing, they are fed with garbage in their tests, and they answer "nothing I know" instead of failing.
//!
//! | module | thing read |
//! |---|---|
//! | [`superblock`] | which file system lies on a device, its label and its UUID |
//! | [`partition_table`] | which partitions a disk has, their labels and their UUIDs |
//! | [`image_kind`] | the file system of an image, and whether all of it is in one file |
//! | [`mount_memory`] | what an image will take of the kernel's memory when it is mounted |

mod bytes;
pub mod image_kind;
pub mod mount_memory;
pub mod partition_table;
#[cfg(test)]
mod random;
pub mod superblock;

pub use bytes::ByteSource;
