//! What decides the bytes of an image besides its contents.

use std::fmt;
use std::num::NonZero;

use squashfs::{Compressor, WriteOptions};

use super::hash_tree;

/// The time that every file of a built image has, in seconds since 1970: 1980-01-01, as on a disk, and the first that zip can hold.
pub const SOURCE_DATE_EPOCH: u32 = disk_image::TIME;

/// The zstd inside; the crate is pinned to the patch level, and a test compares this with the library.
pub const ZSTD_VERSION: &str = "1.5.7";

/// What decides the bytes of an image besides its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageFormat {
    /// The level of zstd, 1 to 22.
    pub level: i32,
    /// Bytes of a data block before compression.
    pub block_size: u32,
}

impl ImageFormat {
    /// Packages: made seldom, read often. Level 15 is 5 % smaller than 9; 19 gains 0.8 % more for several times the work.
    pub const PACKAGE: ImageFormat = ImageFormat { level: 15, block_size: 128 << 10 };

    /// The bootstrap layer: made on each machine and only used there, so that time counts and size does not.
    pub const BOOTSTRAP: ImageFormat = ImageFormat { level: 3, block_size: 128 << 10 };

    /// How to write it with `jobs` threads, which do not change the bytes.
    pub fn write_options(self, jobs: NonZero<usize>) -> WriteOptions {
        WriteOptions {
            compressor: Compressor::Zstd { level: self.level },
            block_size: self.block_size,
            jobs,
            made: SOURCE_DATE_EPOCH,
            exportable: true,
        }
    }
}

impl fmt::Display for ImageFormat {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "squashfs-zstd zstd={ZSTD_VERSION} level={} block={}", self.level, self.block_size)?;
        write!(out, " {}", hash_tree::description())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_in_the_id_is_that_of_the_library() {
        assert_eq!(ZSTD_VERSION, zstd::zstd_safe::version_string());
    }
}
