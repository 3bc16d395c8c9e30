//! Versions of symbols: those that a file needs of its libraries, and those that it defines.

use object::Endianness;
use object::elf::{DT_VERDEF, DT_VERNEED, VER_FLG_WEAK, Verdaux, Verdef, Vernaux, Verneed};
use serde::{Deserialize, Serialize};

use crate::dynamic::Dynamic;
use crate::error::{Error, at_most};
use crate::segments::Segments;
use crate::source::Source;

/// glibc defines some forty.
const MOST_VERSIONS: usize = 8_192;

/// A version that a file needs of a library.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NeededVersion {
    /// The library, as it stands in [`Linkage::needed`].
    pub library: String,
    /// Such as `GLIBC_2.34`.
    pub version: String,
    /// The program runs without it (`VER_FLG_WEAK`).
    pub weak: bool,
}

/// A version that a file defines.
pub(crate) struct Definition {
    /// What symbols refer to it by.
    pub(crate) index: u16,
    pub(crate) name: String,
}

/// What a file needs, library by library. As a loader does, each chain is followed to its end, whatever its count says.
pub(crate) fn needed(
    segments: &mut Segments<'_, impl Source>,
    dynamic: &Dynamic,
) -> Result<Vec<NeededVersion>, Error> {
    let outside = "its table of needed versions lies outside of what is loaded";
    let mut found = Vec::new();
    let mut libraries = Chain::new(dynamic.value(DT_VERNEED));
    while let Some(address) = libraries.here()? {
        let entry: Verneed<Endianness> = segments.structure(address, outside)?;
        let endian = segments.endian;
        let library = dynamic.name(segments, entry.vn_file.get(endian).into())?;
        let mut versions = Chain::new(address.checked_add(entry.vn_aux.get(endian).into()));
        while let Some(address) = versions.here()? {
            let entry: Vernaux<Endianness> = segments.structure(address, outside)?;
            found.push(NeededVersion {
                library: library.clone(),
                version: dynamic.name(segments, entry.vna_name.get(endian).into())?,
                weak: entry.vna_flags.get(endian).contains(VER_FLG_WEAK),
            });
            at_most("needed versions", found.len() as u64, MOST_VERSIONS as u64)?;
            versions.go_on(entry.vna_next.get(endian));
        }
        libraries.go_on(entry.vn_next.get(endian));
    }
    Ok(found)
}

/// What a file defines; `None` where it says nothing of versions. The first is the library itself, by its name.
pub(crate) fn defined(
    segments: &mut Segments<'_, impl Source>,
    dynamic: &Dynamic,
) -> Result<Option<Vec<Definition>>, Error> {
    let outside = "its table of defined versions lies outside of what is loaded";
    let Some(table) = dynamic.value(DT_VERDEF) else { return Ok(None) };
    let mut found = Vec::new();
    let mut definitions = Chain::new(Some(table));
    while let Some(address) = definitions.here()? {
        let entry: Verdef<Endianness> = segments.structure(address, outside)?;
        let endian = segments.endian;
        // Its own name stands first; behind it are those that it goes back to.
        let own = address.checked_add(entry.vd_aux.get(endian).into()).ok_or(Error::Damaged(outside))?;
        let own: Verdaux<Endianness> = segments.structure(own, outside)?;
        let name = dynamic.name(segments, own.vda_name.get(endian).into())?;
        found.push(Definition { index: entry.vd_ndx.get(endian).0 & 0x7fff, name });
        definitions.go_on(entry.vd_next.get(endian));
    }
    Ok(Some(found))
}

/// Entries of which each says how far the next one is. They only go forward, but a step may be small: they are counted.
struct Chain {
    next: Option<u64>,
    steps: usize,
}

impl Chain {
    fn new(next: Option<u64>) -> Chain {
        Chain { next, steps: 0 }
    }

    fn here(&mut self) -> Result<Option<u64>, Error> {
        self.steps += 1;
        at_most("entries of a table of versions", self.steps as u64, MOST_VERSIONS as u64 + 1)?;
        Ok(self.next)
    }

    fn go_on(&mut self, step: u32) {
        self.next = self.next.filter(|_| step > 0).and_then(|address| address.checked_add(step.into()));
    }
}
