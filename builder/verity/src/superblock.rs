//! veritysetup's superblock: 512 bytes, little endian, at the end of the data; zeros fill the block.
//!
//! | offset | bytes | holds |
//! |---|---|---|
//! | 0 | 8 | `verity`, two zeros |
//! | 8 | 4 | version of the superblock: 1 |
//! | 12 | 4 | hash type: 1, the salt is hashed first |
//! | 16 | 16 | UUID |
//! | 32 | 32 | name of the hash |
//! | 64 | 4 | size of a data block |
//! | 68 | 4 | size of a hash block |
//! | 72 | 8 | number of data blocks |
//! | 80 | 2 | length of the salt |
//! | 88 | 256 | salt |
//!
//! Source: cryptsetup, `lib/verity/verity.c`.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::layout::{BLOCK, BLOCK_BYTES};
use crate::{Error, Place, Verity};

/// Writes the superblock at the end of the data.
pub fn write(file: &File, verity: &Verity) -> Result<(), Error> {
    let offset = verity.layout.hash_offset;
    file.write_all_at(&encode(verity), offset).map_err(Error::io("write the superblock", offset))
}

/// Checks that the superblock is the one that [`write`] writes.
pub fn check(file: &File, verity: &Verity) -> Result<(), Error> {
    let offset = verity.layout.hash_offset;
    let mut found = [0; BLOCK_BYTES];
    file.read_exact_at(&mut found, offset).map_err(Error::io("read the superblock", offset))?;
    if found == encode(verity) {
        Ok(())
    } else {
        Err(Error::Mismatch(Place::Superblock { block: verity.layout.data_blocks }))
    }
}

fn encode(verity: &Verity) -> [u8; BLOCK_BYTES] {
    let block_size = (BLOCK as u32).to_le_bytes();
    let fields: [(usize, &[u8]); 10] = [
        (0, b"verity\0\0"),
        (8, &1u32.to_le_bytes()),
        (12, &1u32.to_le_bytes()),
        (16, &uuid(&verity.root_hash)),
        (32, b"sha256"),
        (64, &block_size),
        (68, &block_size),
        (72, &verity.layout.data_blocks.to_le_bytes()),
        (80, &(verity.salt.len() as u16).to_le_bytes()),
        (88, &verity.salt),
    ];
    let mut block = [0; BLOCK_BYTES];
    for (offset, bytes) in fields {
        block[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
    block
}

/// A UUID of version 8 (RFC 9562, the maker's own) from the root hash, where veritysetup takes a random one: the image
/// must be reproducible.
fn uuid(root_hash: &[u8; 32]) -> [u8; 16] {
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&root_hash[..16]);
    uuid[6] = 0x80 | (uuid[6] & 0x0f);
    uuid[8] = 0x80 | (uuid[8] & 0x3f);
    uuid
}
