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

use crate::{Error, Layout, Part, Verity};
use stack::verity_layout::{BLOCK, BLOCK_BYTES};

const MAGIC: &[u8] = b"verity\0\0";
/// Where the UUID stands in the block.
const UUID: usize = 16;
/// Where the salt stands in the block.
const SALT: usize = 88;

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
        Err(Error::Mismatch(Part::Superblock { block: verity.layout.data_blocks }))
    }
}

/// The salt and the layout that the superblock at `offset`, the end of the data, tells. `None` when there is none.
pub fn read(file: &File, offset: u64) -> Result<Option<([u8; 32], Layout)>, Error> {
    let length = file.metadata().map_err(Error::io("read the length", 0))?.len();
    if length < offset.saturating_add(BLOCK) {
        return Ok(None);
    }
    let mut found = [0; BLOCK_BYTES];
    file.read_exact_at(&mut found, offset).map_err(Error::io("read the superblock", offset))?;
    if !found.starts_with(MAGIC) {
        return Ok(None);
    }
    let foreign = |what| Error::Foreign { offset, what };
    let layout = Layout::of_length(offset / BLOCK, length)?
        .ok_or_else(|| foreign("the file is too long or too short for its data"))?;
    let (mut salt, mut root_hash) = ([0; 32], [0; 32]);
    salt.copy_from_slice(&found[SALT..SALT + 32]);
    // All that follows from the root hash is the UUID, which stands here for itself.
    root_hash[..16].copy_from_slice(&found[UUID..UUID + 16]);
    if found != encode(&Verity { root_hash, salt, layout }) {
        return Err(foreign("it has another hash, block size, salt length or number of data blocks"));
    }
    Ok(Some((salt, layout)))
}

fn encode(verity: &Verity) -> [u8; BLOCK_BYTES] {
    let block_size = (BLOCK as u32).to_le_bytes();
    let fields: [(usize, &[u8]); 10] = [
        (0, MAGIC),
        (8, &1u32.to_le_bytes()),
        (12, &1u32.to_le_bytes()),
        (UUID, &uuid(&verity.root_hash)),
        (32, b"sha256"),
        (64, &block_size),
        (68, &block_size),
        (72, &verity.layout.data_blocks.to_le_bytes()),
        (80, &(verity.salt.len() as u16).to_le_bytes()),
        (SALT, &verity.salt),
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
