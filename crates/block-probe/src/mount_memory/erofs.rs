//! What a mounted EROFS takes of the kernel's memory, by its superblock: buffers for each possible processor, which all mounts share.
//!
//! Superblock and configurations of compressors: `fs/erofs/erofs_fs.h` of Linux; where they are read: `z_erofs_parse_cfgs` in
//! `decompressor.c`, and `z_erofs_load_*_config` of each compressor.

use crate::bytes::{ByteSource, le16, le32};

const SUPERBLOCK: u64 = 1024;
/// Of struct erofs_super_block, without what `sb_extslots` adds in pieces of 16 bytes.
const LENGTH: u64 = 128;
/// EROFS_FEATURE_INCOMPAT_COMPR_CFGS.
const CONFIGURATIONS: u32 = 2;
/// Z_EROFS_LZMA_MAX_DICT_SIZE: the kernel refuses more.
const LARGEST_DICTIONARY: u64 = 8 << 20;
/// Z_EROFS_PCLUSTER_MAX_SIZE, and Z_EROFS_ZSTD_MAX_DICT_SIZE.
const LARGEST_CLUSTER: u64 = 1 << 20;
/// Beside the dictionary: xz's state, and zstd's as for squashfs.
const XZ: u64 = 64 << 10;
const ZSTD: u64 = 480 << 10;
/// zlib_inflate_workspacesize().
const DEFLATE: u64 = 48 << 10;

/// Bytes of kernel memory for each possible processor. Every number may be hostile.
pub fn buffers(source: &impl ByteSource) -> u64 {
    let Some(head) = source.array::<128>(SUPERBLOCK) else { return 0 };
    let (features, algorithms) = (le32(&head, 80), le16(&head, 84));
    if features & CONFIGURATIONS == 0 {
        return 0;
    }
    let block = 1_u64.checked_shl(u32::from(head[12])).unwrap_or(LARGEST_CLUSTER);
    let mut at = SUPERBLOCK + LENGTH + 16 * u64::from(head[13]);
    let mut sum = 0;
    for algorithm in (0..4).filter(|algorithm| algorithms & 1 << algorithm != 0) {
        at = at.next_multiple_of(4);
        let Some(configuration) = source.array::<8>(at) else { break };
        sum += match algorithm {
            0 => block.saturating_mul(le16(&configuration, 4).into()).min(LARGEST_CLUSTER),
            1 => u64::from(le32(&configuration, 2)).min(LARGEST_DICTIONARY) + XZ,
            2 => DEFLATE,
            _ => {
                1_u64.checked_shl(u32::from(configuration[3]) + 10).unwrap_or(u64::MAX).min(LARGEST_CLUSTER)
                    + ZSTD
            }
        };
        // A length of 0 means 65,536.
        at += 2 + match le16(&configuration, 0) {
            0 => 1 << 16,
            length => u64::from(length),
        };
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image with these configurations, each of its algorithm.
    fn image(algorithms: u16, configurations: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![0; 1152];
        bytes[1024 + 12] = 12;
        bytes[1024 + 80] = 2;
        bytes[1024 + 84..1024 + 86].copy_from_slice(&algorithms.to_le_bytes());
        for configuration in configurations {
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes.extend(u16::try_from(configuration.len()).unwrap().to_le_bytes());
            bytes.extend(*configuration);
        }
        bytes.resize(bytes.len() + 4096, 0);
        bytes
    }

    #[test]
    fn the_buffers_of_each_compressor_are_counted_up_to_what_the_kernel_takes() {
        let lz4 = [0xff, 0xff, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(buffers(&image(1, &[&lz4])), 64 << 10);
        let mut lzma = [0; 14];
        lzma[..4].copy_from_slice(&(8_u32 << 20).to_le_bytes());
        assert_eq!(buffers(&image(2, &[&lzma])), LARGEST_DICTIONARY + XZ);
        assert_eq!(buffers(&image(3, &[&lz4, &lzma])), (64 << 10) + LARGEST_DICTIONARY + XZ);
        assert_eq!(buffers(&image(8, &[&[0, 7, 0, 0, 0, 0]])), (128 << 10) + ZSTD);
        assert_eq!(
            buffers(&image(15, &[&[0xff_u8; 14][..]; 4])),
            2 * LARGEST_CLUSTER + LARGEST_DICTIONARY + XZ + DEFLATE + ZSTD
        );
        assert_eq!(buffers(&image(0, &[])), 0);
    }

    #[test]
    fn what_is_cut_off_or_garbage_is_no_panic() {
        let whole = image(15, &[&[0xff_u8; 14][..]; 4]);
        for length in 0..whole.len() {
            buffers(&whole[..length].to_vec());
        }
        buffers(&vec![0xff; 8192]);
    }
}
