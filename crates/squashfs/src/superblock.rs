//! The superblock: 96 bytes at the start of an image (`struct squashfs_super_block` of the kernel's `squashfs_fs.h`).

use crate::compressor::CompressorId;

/// `hsqs`, little-endian.
const MAGIC: u32 = 0x7371_7368;
/// The size of a superblock in bytes.
pub(crate) const SIZE: usize = 96;
/// The size of a metadata block before compression, in bytes.
pub(crate) const METADATA_SIZE: usize = 8192;
/// The position of a table that an image does not have.
pub(crate) const NO_TABLE: u64 = u64::MAX;
/// "No fragment" in a file's inode, and "no extended attributes" in any inode.
pub(crate) const NONE: u32 = u32::MAX;
/// Set in the size word of a data or fragment block that is stored as it is.
pub(crate) const STORED: u32 = 1 << 24;

/// Flags: duplicate files share their blocks.
pub(crate) const FLAG_DUPLICATES: u16 = 0x0040;
/// Flags: the table from inode numbers to inodes exists, which NFS needs.
pub(crate) const FLAG_EXPORTABLE: u16 = 0x0080;
/// Flags: a metadata block with the compressor's options follows the superblock.
pub(crate) const FLAG_COMPRESSOR_OPTIONS: u16 = 0x0400;

/// What the superblock of an image says. Positions are in bytes from the start of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// How many inodes there are.
    pub inodes: u32,
    /// When the image was made, in seconds since 1970.
    pub made: u32,
    /// The size of a data block before compression, in bytes.
    pub block_size: u32,
    /// How many fragment blocks there are.
    pub fragments: u32,
    /// What the image is compressed with.
    pub compressor: CompressorId,
    /// The flags, as stored.
    pub flags: u16,
    /// How many distinct owners and groups there are.
    pub ids: u16,
    /// Where the root's inode is: the position of its block in the inode table, shifted left by 16, plus the offset.
    pub root: u64,
    /// The size of the image without padding.
    pub bytes_used: u64,
    /// Where the index of the id table is.
    pub id_table: u64,
    /// Where the header of the extended attributes' table is; `u64::MAX` when there is none.
    pub xattr_table: u64,
    /// Where the inode table starts.
    pub inode_table: u64,
    /// Where the directory table starts; the inode table ends there.
    pub directory_table: u64,
    /// Where the index of the fragment table is.
    pub fragment_table: u64,
    /// Where the index of the export table is; `u64::MAX` when there is none.
    pub export_table: u64,
}

impl Superblock {
    pub(crate) fn encode(&self) -> [u8; SIZE] {
        let mut bytes = Vec::with_capacity(SIZE);
        for word in [MAGIC, self.inodes, self.made, self.block_size, self.fragments] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        let block_log = self.block_size.trailing_zeros() as u16;
        for half in [self.compressor.number(), block_log, self.flags, self.ids, 4, 0] {
            bytes.extend_from_slice(&half.to_le_bytes());
        }
        for position in [
            self.root,
            self.bytes_used,
            self.id_table,
            self.xattr_table,
            self.inode_table,
            self.directory_table,
            self.fragment_table,
            self.export_table,
        ] {
            bytes.extend_from_slice(&position.to_le_bytes());
        }
        bytes.try_into().expect("five words, six halves and eight positions are 96 bytes")
    }

    /// Reads and checks a superblock; `size` is the size of the file it starts.
    pub(crate) fn decode(bytes: &[u8; SIZE], size: u64) -> Result<Self, String> {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        if word(0) != MAGIC {
            return Err("not a squashfs image: it does not start with `hsqs`".into());
        }
        let (major, minor) = (half(28), half(30));
        if (major, minor) != (4, 0) {
            return Err(format!("squashfs version {major}.{minor}; this reader knows 4.0"));
        }
        let (block_size, block_log) = (word(12), half(22));
        if !(4096..=1 << 20).contains(&block_size) || 1u32.checked_shl(block_log.into()) != Some(block_size) {
            return Err(format!("damaged superblock: block size {block_size} with logarithm {block_log}"));
        }
        let superblock = Self {
            inodes: word(4),
            made: word(8),
            block_size,
            fragments: word(16),
            compressor: CompressorId::from_number(half(20))
                .ok_or_else(|| format!("compressed with compressor {}, which is not known", half(20)))?,
            flags: half(24),
            ids: half(26),
            root: long(32),
            bytes_used: long(40),
            id_table: long(48),
            xattr_table: long(56),
            inode_table: long(64),
            directory_table: long(72),
            fragment_table: long(80),
            export_table: long(88),
        };
        superblock.check_positions(size)?;
        Ok(superblock)
    }

    fn check_positions(&self, size: u64) -> Result<(), String> {
        if self.bytes_used > size {
            return Err(format!(
                "truncated: the superblock says {} bytes, the file has {size}",
                self.bytes_used
            ));
        }
        let ordered = SIZE as u64 <= self.inode_table
            && self.inode_table < self.directory_table
            && self.directory_table < self.bytes_used
            && self.id_table < self.bytes_used;
        if !ordered {
            return Err("damaged superblock: its tables are not in order, or lie outside the image".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Superblock {
        Superblock {
            inodes: 1,
            made: 2,
            block_size: 131_072,
            fragments: 3,
            compressor: CompressorId::Zstd,
            flags: FLAG_EXPORTABLE,
            ids: 4,
            root: 5,
            bytes_used: 4000,
            id_table: 3000,
            xattr_table: NO_TABLE,
            inode_table: 96,
            directory_table: 1000,
            fragment_table: 2000,
            export_table: 2500,
        }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        assert_eq!(Superblock::decode(&example().encode(), 4096), Ok(example()));
    }

    #[test]
    fn damage_is_named() {
        let decode = |change: &dyn Fn(&mut [u8; SIZE]), size| {
            let mut bytes = example().encode();
            change(&mut bytes);
            Superblock::decode(&bytes, size).unwrap_err()
        };
        assert!(decode(&|_| (), 3999).starts_with("truncated: the superblock says 4000 bytes"));
        assert!(decode(&|bytes| bytes[0] = 0, 4096).contains("`hsqs`"));
        assert!(decode(&|bytes| bytes[28] = 5, 4096).contains("version 5.0"));
        assert!(decode(&|bytes| bytes[12] = 1, 4096).contains("block size"));
        assert!(decode(&|bytes| bytes[20] = 9, 4096).contains("compressor 9"));
        assert!(decode(&|bytes| bytes[64] = 0, 4096).contains("tables"));
    }
}
