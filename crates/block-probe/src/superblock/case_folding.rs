//! Names that are compared without regard to case.

use crate::bytes::{ByteSource, le16, le32};

/// Whether an ext4 or F2FS was made for folders that compare names without regard to case. overlayfs before Linux 6.17 takes no
/// folder of such a file system at all, and says so in the kernel's log only.
pub fn folds_case(source: &dyn ByteSource) -> bool {
    let Some(block) = source.vec(1024, 2184) else { return false };
    // EXT4_FEATURE_INCOMPAT_CASEFOLD in `s_feature_incompat`, and F2FS_FEATURE_CASEFOLD in `feature`.
    let ext4 = le16(&block, 0x38) == 0xef53 && le32(&block, 0x60) & 0x2_0000 != 0;
    let f2fs = le32(&block, 0) == 0xf2f5_2010 && le32(&block, 2180) & 0x1000 != 0;
    ext4 || f2fs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_superblock_folds_no_case() {
        assert!(!folds_case(&Vec::new()));
        assert!(!folds_case(&vec![0; 8192]));
        assert!(!folds_case(&vec![0xff; 8192]));
    }
}
