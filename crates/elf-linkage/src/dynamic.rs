//! The dynamic section: pairs of a tag and a value, and the table of the names that they mean.

use object::Endianness;
use object::elf::{DT_NULL, DT_STRSZ, DT_STRTAB, Dyn32, Dyn64, DynamicTag};
use object::pod;
use object::read::elf::Dyn;

use crate::error::{Error, at_most};
use crate::segments::{LONGEST_NAME, Segments, text};
use crate::source::Source;

/// A library that needs 1024 others and all there is to say has less.
const MOST_ENTRIES: u64 = 4_096;

/// The dynamic section of a file.
pub(crate) struct Dynamic {
    entries: Vec<(DynamicTag, u64)>,
}

impl Dynamic {
    /// Reads it, up to its end; `None` in a file that has none.
    pub(crate) fn read(segments: &mut Segments<'_, impl Source>) -> Result<Option<Dynamic>, Error> {
        let Some(segment) = segments.dynamic else { return Ok(None) };
        let (endian, is_64) = (segments.endian, segments.machine.bits == 64);
        let size = if is_64 { size_of::<Dyn64<Endianness>>() } else { size_of::<Dyn32<Endianness>>() } as u64;
        let length = segment.in_memory.min((MOST_ENTRIES + 1) * size);
        let missing = "its dynamic section lies outside of what is loaded";
        let bytes = segments.up_to(segment.address, length, missing)?;
        let entries = match is_64 {
            true => entries::<Dyn64<Endianness>>(&bytes, endian),
            false => entries::<Dyn32<Endianness>>(&bytes, endian),
        };
        at_most("entries of its dynamic section", entries.len() as u64, MOST_ENTRIES)?;
        Ok(Some(Dynamic { entries }))
    }

    /// The last value with this tag: a loader keeps that one.
    pub(crate) fn value(&self, tag: DynamicTag) -> Option<u64> {
        self.entries.iter().rev().find(|(found, _)| *found == tag).map(|(_, value)| *value)
    }

    /// All values with this tag, in order.
    pub(crate) fn values(&self, tag: DynamicTag) -> impl Iterator<Item = u64> {
        self.entries.iter().filter(move |(found, _)| *found == tag).map(|(_, value)| *value)
    }

    /// The name at `offset` of the table of names.
    pub(crate) fn name(
        &self,
        segments: &mut Segments<'_, impl Source>,
        offset: u64,
    ) -> Result<String, Error> {
        let outside = "a name lies outside of its table";
        let (table, size) = self.names().ok_or(Error::Damaged("it has no table of names"))?;
        let left = size.checked_sub(offset).ok_or(Error::Damaged(outside))?;
        let address = table.checked_add(offset).ok_or(Error::Damaged(outside))?;
        let bytes = segments.up_to(address, left.min(LONGEST_NAME + 1), outside)?;
        if bytes.len() as u64 > LONGEST_NAME && !bytes.contains(&0) {
            return Err(Error::TooMuch {
                what: "bytes of a name",
                found: bytes.len() as u64,
                most: LONGEST_NAME,
            });
        }
        text(&bytes)
    }

    /// Address and size of the table of names.
    pub(crate) fn names(&self) -> Option<(u64, u64)> {
        Some((self.value(DT_STRTAB)?, self.value(DT_STRSZ)?))
    }
}

fn entries<D: Dyn<Endian = Endianness>>(bytes: &[u8], endian: Endianness) -> Vec<(DynamicTag, u64)> {
    let count = bytes.len() / size_of::<D>();
    let (entries, _) = pod::slice_from_bytes::<D>(bytes, count).unwrap_or_default();
    let entries = entries.iter().map(|entry| (entry.tag(endian), entry.val(endian)));
    entries.take_while(|(tag, _)| *tag != DT_NULL).collect()
}
