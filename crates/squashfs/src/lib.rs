//! Writes and reads squashfs 4.0 images.
//!
//! An image is made from a [`Tree`] that lives in memory: names and metadata, and for every file a [`Content`] that says
//! where its bytes are. Nothing is mounted and no device node is made, so an ordinary user can write an image that holds
//! other people's files, device nodes and capabilities.
//!
//! ```
//! use squashfs::{Content, Entry, Image, Kind, Metadata, Tree, WriteOptions, write_image};
//!
//! let mut tree = Tree::new();
//! tree.insert(b"etc", Entry::new(Metadata::mode(0o755), Kind::Directory))?;
//! tree.insert(b"etc/motd", Entry::new(Metadata::mode(0o644), Kind::File(Content::from(b"hello\n".to_vec()))))?;
//!
//! let file = tempfile::NamedTempFile::new()?;
//! let summary = write_image(&tree, &WriteOptions::default(), file.reopen()?, &mut |_| ())?;
//! assert_eq!(summary.inodes, 3);
//! assert_eq!(Image::open(file.path())?.read(b"etc/motd")?, b"hello\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **The same tree gives the same bytes**, whatever the number of threads, the machine, or the time of day: everything
//! is ordered by the bytes of its path, and threads compress but never decide.
//!
//! | module | job |
//! |---|---|
//! | `entry`, `tree` | what an image will hold |
//! | `scan` | a tree from a directory of this machine |
//! | `superblock`, `inode`, `compressor` | the format, shared by writer and reader |
//! | `write` | plan the reads, compress in order, then the tables |
//! | `read` | open an image, walk it, read from it, unpack it; never trusts a byte |
//!
//! The format: the kernel's `Documentation/filesystems/squashfs.rst` and `fs/squashfs/squashfs_fs.h`, and the sources of
//! squashfs-tools 4.5.1 where those are silent.

mod compressor;
mod entry;
mod error;
mod inode;
mod read;
mod scan;
mod superblock;
mod tree;
mod write;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod round_trip;

pub use compressor::{Compressor, CompressorId};
pub use entry::{Content, Device, Entry, Kind, Metadata, Xattr};
pub use error::Error;
pub use read::{
    AnywhereReader, FileData, FileReader, Image, Item, Source, SpecialFiles, UnpackOptions, Unpacked, Walk,
};
pub use scan::{Owners, ScanOptions, Times, Xattrs};
pub use superblock::Superblock;
pub use tree::Tree;
pub use write::{Progress, Summary, WriteOptions, write_image};
