//! The file system in an image.

use std::fmt;

use crate::bytes::{ByteSource, le32};

/// The file system in an image, told by its magic alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageKind {
    /// squashfs 4.0: `Documentation/filesystems/squashfs.rst`, magic `hsqs` at byte 0.
    Squashfs,
    /// EROFS: `Documentation/filesystems/erofs.rst`, magic 0xe0f5e1e2 at byte 1024.
    Erofs,
}

impl ImageKind {
    /// The driver that mounts it, which is also what people call it.
    pub fn driver(self) -> &'static str {
        match self {
            Self::Squashfs => "squashfs",
            Self::Erofs => "erofs",
        }
    }

    /// The one whose magic the source has.
    pub fn of(source: &impl ByteSource) -> Option<Self> {
        [Self::Squashfs, Self::Erofs].into_iter().find(|kind| {
            let (offset, magic) = kind.magic();
            source.array(offset) == Some(magic)
        })
    }

    /// Whether all of its data lie in this file. Of an EROFS parts may lie in others, which its superblock only names
    /// (`feature_incompat` at byte 80, EROFS_FEATURE_INCOMPAT_DEVICE_TABLE of `fs/erofs/erofs_fs.h`): the kernel mounts it, and fails
    /// whoever reads.
    pub fn is_whole(self, source: &impl ByteSource) -> bool {
        const DEVICE_TABLE: u32 = 0x8;
        let features = || source.array::<4>(1024 + 80).map(|bytes| le32(&bytes, 0));
        self == Self::Squashfs || features().is_some_and(|features| features & DEVICE_TABLE == 0)
    }

    /// Where its magic stands, and what it is.
    fn magic(self) -> (u64, [u8; 4]) {
        match self {
            Self::Squashfs => (0, *b"hsqs"),
            Self::Erofs => (1024, 0xe0f5_e1e2_u32.to_le_bytes()),
        }
    }
}

impl fmt::Display for ImageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.driver())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_erofs_with_a_table_of_devices_is_not_whole() {
        let mut bytes = vec![0; 8192];
        bytes[1024..1028].copy_from_slice(b"\xe2\xe1\xf5\xe0");
        assert_eq!(ImageKind::of(&bytes), Some(ImageKind::Erofs));
        assert!(ImageKind::Erofs.is_whole(&bytes));
        bytes[1024 + 80] = 0x8;
        assert!(!ImageKind::Erofs.is_whole(&bytes));
        assert!(ImageKind::Squashfs.is_whole(&bytes));
        assert_eq!(ImageKind::of(&vec![0; 8192]), None);
    }
}
