//! Files that are written in place: of the length of one sector, so that a power cut leaves the old text or the new one.
//!
//! On FAT a rename is no protection, and neither is a new length: the name, the chain of clusters and the length lie in different
//! sectors. One sector of data is what a disk writes whole or not at all; `boot-ledger` counts boots the same way.

/// The length of such a file in bytes: the smallest sector that disks have.
pub const LENGTH: usize = 512;

/// A text with empty lines behind it, up to [`LENGTH`]. A longer one stays as it is.
pub fn filled(mut text: String) -> String {
    while text.len() < LENGTH {
        text.push('\n');
    }
    text
}
