//! What a mounted squashfs takes of the kernel's memory, by its superblock.
//!
//! Superblock: `fs/squashfs/squashfs_fs.h` of Linux, struct squashfs_super_block; what is allocated at mount: `squashfs_fill_super` in
//! `super.c`, `squashfs_cache_init` in `cache.c`, and `*_init` of the wrapper of each compressor.

use crate::bytes::{ByteSource, le16, le32, le64};

/// SQUASHFS_FILE_MAX_SIZE.
const LARGEST_BLOCK: u64 = 1 << 20;
const USUAL_BLOCK: u64 = 128 << 10;
/// Eight blocks of metadata (SQUASHFS_CACHED_BLKS), the tables of a small image, inodes and the superblock of the VFS.
const EVERY_MOUNT: u64 = 192 << 10;
/// CONFIG_SQUASHFS_FRAGMENT_CACHE_SIZE, 3 in all distributions.
const FRAGMENTS: u64 = 3;
/// KMALLOC_MAX_SIZE of x86-64: no table takes more.
const LARGEST_PIECE: u64 = 4 << 20;
/// What a zstd decompressor takes beside a block: 416 KiB on Linux 6.1, 480 KiB on 6.12.
const ZSTD: u64 = 480 << 10;

/// Bytes of kernel memory, apart from those of the device below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Takes {
    /// Whatever the number of decompressors.
    pub once: u64,
    /// For each decompressor: its state, in vmalloc memory.
    pub state: u64,
    /// For each decompressor: a block that it fills.
    pub block: u64,
}

impl Takes {
    /// More than any image that the kernel mounts and mksquashfs made: zstd with blocks of 1 MiB, and with fragments.
    pub const MOST: Self = Self {
        once: EVERY_MOUNT + FRAGMENTS * LARGEST_BLOCK,
        state: ZSTD + LARGEST_BLOCK,
        block: LARGEST_BLOCK,
    };

    /// What an image takes as it is made here and by mksquashfs: zstd with blocks of 128 KiB, and with fragments.
    pub const USUAL: Self =
        Self { once: EVERY_MOUNT + FRAGMENTS * USUAL_BLOCK, state: ZSTD + USUAL_BLOCK, block: USUAL_BLOCK };

    /// With so many decompressors.
    pub fn with(&self, decompressors: u64) -> u64 {
        self.once.saturating_add(decompressors.saturating_mul(self.state.saturating_add(self.block)))
    }

    /// Reads the superblock; `None` when it is none, or cannot be read.
    pub fn of(image: &impl ByteSource) -> Option<Self> {
        Self::parse(&image.array(0)?, |offset| image.array(offset))
    }

    /// Every number in it may be hostile: the kernel refuses blocks that are none, and what it would not refuse counts in full.
    fn parse(head: &[u8; 104], read: impl Fn(u64) -> Option<[u8; 16]>) -> Option<Self> {
        if !head.starts_with(b"hsqs") {
            return None;
        }
        let block = match u64::from(le32(head, 12)) {
            size @ 4096..=LARGEST_BLOCK => size,
            _ => LARGEST_BLOCK,
        };
        let fragments = if le32(head, 16) == 0 { 0 } else { FRAGMENTS };
        let state = match le16(head, 20) {
            // zlib: zlib_inflate_workspacesize().
            1 => 48 << 10,
            // lzo and lz4: a block of input and one of output.
            3 | 5 => 2 * block,
            4 => dictionary(head).unwrap_or(block) + (64 << 10),
            _ => ZSTD + block,
        };
        Some(Self { once: EVERY_MOUNT + fragments * block + tables(head, read), state, block })
    }
}

/// Where the blocks of the tables lie, eight bytes for each block of metadata: of fragments (16 bytes), inodes (8) and extended attributes
/// (16, counted where the table of these begins). The kernel reads them whole, each into one piece of memory.
fn tables(head: &[u8; 104], read: impl Fn(u64) -> Option<[u8; 16]>) -> u64 {
    let index =
        |count: u32, size: u64| (u64::from(count) * size).div_ceil(8192).saturating_mul(8).min(LARGEST_PIECE);
    let attributes = Some(le64(head, 56)).filter(|start| *start != u64::MAX).and_then(read);
    let attributes = attributes.map_or(0, |table| le32(&table, 8));
    index(le32(head, 16), 16) + index(le32(head, 4), 8) + index(attributes, 16)
}

/// The dictionary of xz, which the kernel makes as large as the image says, for each decompressor: behind the superblock, where its
/// flags (SQUASHFS_COMP_OPT, bit 10) say that there are options of the compressor, with their length in front.
fn dictionary(head: &[u8; 104]) -> Option<u64> {
    let given = le16(head, 24) & 1 << 10 != 0;
    given.then(|| u64::from(le32(head, 98)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(block: u32, fragments: u32, compressor: u16) -> [u8; 104] {
        let mut head = [0; 104];
        head[..4].copy_from_slice(b"hsqs");
        head[12..16].copy_from_slice(&block.to_le_bytes());
        head[16..20].copy_from_slice(&fragments.to_le_bytes());
        head[20..22].copy_from_slice(&compressor.to_le_bytes());
        head[56..64].fill(0xff);
        head
    }

    fn kib(head: &[u8; 104], decompressors: u64) -> u64 {
        Takes::parse(head, |_| None).unwrap().with(decompressors) >> 10
    }

    /// docs/results/2026-11-26-memory.md: measured 1,408 KiB with 2, 10,941 with 16, 86,552 with 128, 162,278 with 240 (6.1, without
    /// fragments); 608 KiB of state on 6.12. With blocks of 1 MiB 320,759 KiB with 128.
    #[test]
    fn what_is_reckoned_is_what_was_measured_or_a_little_more() {
        let small = head(128 << 10, 0, 6);
        assert_eq!(
            [1, 2, 16, 128, 240].map(|count| kib(&small, count)),
            [928, 1664, 11_968, 94_400, 176_832]
        );
        assert_eq!(kib(&head(1 << 20, 1, 6), 128), 326_848);
        // gzip, lz4 and xz with 128: 23,111, 50,449 and 38,691.
        let others = [1, 5, 4].map(|compressor| kib(&head(128 << 10, 1, compressor), 128));
        assert_eq!(others, [23_104, 49_728, 41_536]);
    }

    #[test]
    fn a_hostile_superblock_takes_no_less_than_what_the_kernel_makes_of_it() {
        for block in [0, 1, u32::MAX] {
            assert_eq!(
                Takes::parse(&head(block, 0, 6), |_| None).map(|takes| (takes.state, takes.block)),
                Some((Takes::MOST.state, Takes::MOST.block))
            );
        }
        let mut xz = head(4096, 0, 4);
        xz[25] = 1 << 2;
        xz[98..102].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(kib(&xz, 1) > 4 << 20);
        assert_eq!(Takes { once: 1, state: u64::MAX, block: 1 }.with(9), u64::MAX);
        assert_eq!(Takes::parse(&[0; 104], |_| None), None);
        let mut tables = head(4096, u32::MAX, 6);
        tables[4..8].fill(0xff);
        tables[56..64].fill(0);
        let takes = Takes::parse(&tables, |_| Some([0xff; 16])).unwrap();
        assert_eq!(takes.once >> 20, 12);
    }
}
