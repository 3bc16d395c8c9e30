//! Extended attributes: sets of them, numbered; inodes with equal sets share one (`squashfs.rst`, section 3.7).

use std::collections::HashMap;
use std::io::Write;

use super::metadata::{self, MetadataPosition, MetadataWriter};
use super::sink::Sink;
use crate::Error;
use crate::compressor::BlockCompressor;
use crate::entry::Xattr;
use crate::superblock::{NO_TABLE, NONE};

/// The families that squashfs numbers, in the order of their numbers.
const FAMILIES: [&[u8]; 3] = [b"user.", b"trusted.", b"security."];
/// The largest value that Linux takes (`XATTR_SIZE_MAX`), in bytes.
const VALUE_MAX: usize = 1 << 16;

/// The sets met so far, numbered in the order of their first use.
#[derive(Default)]
pub(super) struct XattrSets {
    numbers: HashMap<Vec<Xattr>, u32>,
    /// Every set after encoding, one after another.
    values: Vec<u8>,
    sets: Vec<Set>,
}

struct Set {
    start: usize,
    count: u32,
    size: u32,
}

impl XattrSets {
    /// The number of a set, which is `NONE` for an empty one. The path is for the error.
    pub(super) fn number(&mut self, xattrs: &[Xattr], path: impl Fn() -> Vec<u8>) -> Result<u32, Error> {
        if xattrs.is_empty() {
            return Ok(NONE);
        }
        let mut sorted = xattrs.to_vec();
        sorted.sort();
        if let Some(&number) = self.numbers.get(&sorted) {
            return Ok(number);
        }
        let start = self.values.len();
        for (at, xattr) in sorted.iter().enumerate() {
            let repeated = at > 0 && sorted[at - 1].name == xattr.name;
            self.encode(xattr, repeated).map_err(|problem| Error::entry(&path(), problem))?;
        }
        let number = self.sets.len() as u32;
        let size = (self.values.len() - start) as u32;
        self.sets.push(Set { start, count: sorted.len() as u32, size });
        self.numbers.insert(sorted, number);
        Ok(number)
    }

    fn encode(&mut self, xattr: &Xattr, repeated: bool) -> Result<(), String> {
        let shown = xattr.name.escape_ascii();
        if repeated {
            return Err(format!("the extended attribute {shown} is there twice"));
        }
        let (family, prefix) = (0u16..)
            .zip(FAMILIES)
            .find(|(_, prefix)| xattr.name.starts_with(prefix))
            .ok_or_else(|| format!("squashfs cannot hold the extended attribute {shown}: leave it out"))?;
        let name = &xattr.name[prefix.len()..];
        if name.is_empty() || name.contains(&0) || xattr.name.len() > crate::entry::NAME_MAX {
            return Err(format!("the extended attribute's name {shown} is empty, too long, or contains NUL"));
        }
        if xattr.value.len() > VALUE_MAX {
            return Err(format!("the extended attribute {shown} is longer than 65,536 bytes"));
        }
        self.values.extend_from_slice(&family.to_le_bytes());
        self.values.extend_from_slice(&(name.len() as u16).to_le_bytes());
        self.values.extend_from_slice(name);
        self.values.extend_from_slice(&(xattr.value.len() as u32).to_le_bytes());
        self.values.extend_from_slice(&xattr.value);
        Ok(())
    }

    pub(super) fn sets(&self) -> u32 {
        self.sets.len() as u32
    }

    /// Writes values, sets and index; gives the position of the header, or `NO_TABLE` when there is nothing to write.
    pub(super) fn write<W: Write>(
        &self,
        sink: &mut Sink<W>,
        block_compressor: &mut BlockCompressor,
    ) -> Result<u64, Error> {
        if self.sets.is_empty() {
            return Ok(NO_TABLE);
        }
        let values_start = sink.position();
        let mut values = MetadataWriter::default();
        let mut entries = Vec::with_capacity(self.sets.len() * 16);
        for set in &self.sets {
            let place: MetadataPosition = values.place();
            values.write(&self.values[set.start..][..set.size as usize], block_compressor);
            entries.extend_from_slice(&place.reference().to_le_bytes());
            entries.extend_from_slice(&set.count.to_le_bytes());
            entries.extend_from_slice(&set.size.to_le_bytes());
        }
        sink.write(&values.finish(block_compressor)?)?;
        let positions = metadata::write_blocks(sink, block_compressor, &entries)?;
        let header = sink.position();
        sink.write(&values_start.to_le_bytes())?;
        sink.write(&u64::from(self.sets()).to_le_bytes())?;
        metadata::write_index(sink, &positions)?;
        Ok(header)
    }
}
