//! The symbols that a library gives to others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use object::elf::{
    DT_GNU_HASH, DT_HASH, DT_SYMTAB, DT_VERSYM, GnuHashHeader, STB_GLOBAL, STB_GNU_UNIQUE, STB_WEAK,
    STV_DEFAULT, STV_PROTECTED, Sym32, Sym64,
};
use object::read::elf::Sym;
use object::{Endianness, U32, pod};

use crate::dynamic::Dynamic;
use crate::error::{Error, at_most};
use crate::segments::{Segments, text};
use crate::source::Source;
use crate::versions;

/// The largest libraries of a distribution have some hundred thousand.
const MOST_SYMBOLS: u64 = 1 << 20;
/// Bytes of all names. Many symbols may have one name: those that are given out count each time.
const MOST_NAMES: u64 = 64 << 20;
/// So many words of a chain are read at once.
const CHAIN_PIECE: u64 = 4_096;

/// A symbol that others can use.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol {
    /// Its name; what is no UTF-8 of it is replaced.
    pub name: String,
    /// Its version, where it has one.
    pub version: Option<String>,
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{}@{version}", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}

/// The symbols that a file gives to others: defined in it, not hidden, and of each its versions. None of a file without a dynamic section.
///
/// # Errors
/// As [`crate::Linkage::read`]; its symbols cannot be counted, because it has no hash table.
pub fn exports(source: &mut impl Source) -> Result<BTreeSet<Symbol>, Error> {
    let mut segments = Segments::read(source)?;
    let Some(dynamic) = Dynamic::read(&mut segments)? else { return Ok(BTreeSet::new()) };
    let Some(table) = dynamic.value(DT_SYMTAB) else { return Ok(BTreeSet::new()) };
    let count = count(&mut segments, &dynamic)?;
    at_most("symbols", count, MOST_SYMBOLS)?;
    let (address, size) = dynamic.names().ok_or(Error::Damaged("it has no table of names"))?;
    at_most("bytes of names", size, MOST_NAMES)?;
    let names = segments.bytes(address, size, "its table of names lies outside of what is loaded")?;
    let versions = match dynamic.value(DT_VERSYM) {
        Some(address) => {
            segments.bytes(address, count * 2, "the versions of its symbols lie outside of what is loaded")?
        }
        None => Vec::new(),
    };
    let defined = versions::defined(&mut segments, &dynamic)?.unwrap_or_default();
    let defined: BTreeMap<u16, String> =
        defined.into_iter().map(|version| (version.index, version.name)).collect();
    let found = Found { names: &names, versions: &versions, defined: &defined, endian: segments.endian };
    match segments.machine.bits {
        64 => {
            found.all::<Sym64<Endianness>>(&symbols::<Sym64<Endianness>>(&mut segments, table, count)?, count)
        }
        _ => {
            found.all::<Sym32<Endianness>>(&symbols::<Sym32<Endianness>>(&mut segments, table, count)?, count)
        }
    }
}

fn symbols<S: Sym>(
    segments: &mut Segments<'_, impl Source>,
    table: u64,
    count: u64,
) -> Result<Vec<u8>, Error> {
    segments.bytes(table, count * size_of::<S>() as u64, "its symbols lie outside of what is loaded")
}

/// What was read of a file, to make symbols of.
struct Found<'a> {
    names: &'a [u8],
    /// Two bytes for each symbol, or nothing.
    versions: &'a [u8],
    defined: &'a BTreeMap<u16, String>,
    endian: Endianness,
}

impl Found<'_> {
    fn all<S: Sym<Endian = Endianness>>(&self, bytes: &[u8], count: u64) -> Result<BTreeSet<Symbol>, Error> {
        let (symbols, _) = pod::slice_from_bytes::<S>(bytes, count as usize)
            .map_err(|()| Error::Damaged("its symbols are cut off"))?;
        let (mut found, mut length) = (BTreeSet::new(), 0);
        for (place, symbol) in symbols.iter().enumerate() {
            let binding = [STB_GLOBAL, STB_WEAK, STB_GNU_UNIQUE].contains(&symbol.st_bind());
            let visible = [STV_DEFAULT, STV_PROTECTED].contains(&symbol.st_visibility());
            if !binding || !visible || symbol.is_undefined(self.endian) {
                continue;
            }
            let Some(version) = self.version(place) else { continue };
            let name = self.name(symbol.st_name(self.endian))?;
            // The name of a version is a symbol too.
            if version.as_ref() == Some(&name) {
                continue;
            }
            length += (name.len() + version.as_ref().map_or(0, String::len)) as u64;
            at_most("bytes of exported names", length, MOST_NAMES)?;
            found.insert(Symbol { name, version });
        }
        Ok(found)
    }

    /// The version of the symbol at this place; `None` of one that is the library's own, or that a program has copied of the
    /// library which defines its version.
    fn version(&self, place: usize) -> Option<Option<String>> {
        let Some(bytes) = self.versions.get(2 * place..2 * place + 2) else { return Some(None) };
        let mut index = [bytes[0], bytes[1]];
        if self.endian == Endianness::Big {
            index.reverse();
        }
        // The highest bit says that it is not the version that programs are linked with today.
        match u16::from_le_bytes(index) & 0x7fff {
            0 => None,
            1 => Some(None),
            index => self.defined.get(&index).cloned().map(Some),
        }
    }

    fn name(&self, offset: u32) -> Result<String, Error> {
        let rest =
            self.names.get(offset as usize..).ok_or(Error::Damaged("a name lies outside of its table"))?;
        match text(rest) {
            Ok(name) => Ok(name),
            Err(error) => {
                let end = rest.iter().position(|byte| *byte == 0).ok_or(error)?;
                Ok(String::from_utf8_lossy(&rest[..end]).into_owned())
            }
        }
    }
}

/// How many symbols there are: nothing but the hash tables says it.
fn count(segments: &mut Segments<'_, impl Source>, dynamic: &Dynamic) -> Result<u64, Error> {
    let outside = "its hash table lies outside of what is loaded";
    if let Some(table) = dynamic.value(DT_HASH) {
        // The number of buckets, and that of chains: one for each symbol.
        let [_, chains]: [U32<Endianness>; 2] = {
            let bytes = segments.bytes(table, 8, outside)?;
            let (words, _) =
                pod::slice_from_bytes::<U32<Endianness>>(&bytes, 2).map_err(|()| Error::Damaged(outside))?;
            [words[0], words[1]]
        };
        return Ok(chains.get(segments.endian).into());
    }
    let table = dynamic.value(DT_GNU_HASH).ok_or(Error::Damaged("it has no hash table"))?;
    let header: GnuHashHeader<Endianness> = segments.structure(table, outside)?;
    let endian = segments.endian;
    let (buckets, first) =
        (u64::from(header.bucket_count.get(endian)), u64::from(header.symbol_base.get(endian)));
    at_most("buckets of its hash table", buckets, MOST_SYMBOLS)?;
    let bloom = u64::from(header.bloom_count.get(endian)) * u64::from(segments.machine.bits / 8);
    let buckets_at = table.checked_add(16 + bloom).ok_or(Error::Damaged(outside))?;
    let heads = segments.bytes(buckets_at, buckets * 4, outside)?;
    let last = u64::from(words(&heads, endian).max().unwrap_or(0));
    if last < first {
        return Ok(first);
    }
    let chains = buckets_at.checked_add(buckets * 4).ok_or(Error::Damaged(outside))?;
    chain_end(segments, chains, last - first).map(|length| first + length)
}

/// How many words there are up to the end of the chain that has the word at `place`.
fn chain_end(segments: &mut Segments<'_, impl Source>, chains: u64, mut place: u64) -> Result<u64, Error> {
    let outside = "its hash table lies outside of what is loaded";
    loop {
        at_most("symbols", place, MOST_SYMBOLS)?;
        let address = chains.checked_add(place * 4).ok_or(Error::Damaged(outside))?;
        let piece = segments.up_to(address, CHAIN_PIECE * 4, outside)?;
        if piece.len() < 4 {
            return Err(Error::Damaged(outside));
        }
        match words(&piece, segments.endian).position(|word| word & 1 == 1) {
            Some(end) => return Ok(place + end as u64 + 1),
            None => place += piece.len() as u64 / 4,
        }
    }
}

fn words(bytes: &[u8], endian: Endianness) -> impl Iterator<Item = u32> {
    let (words, _) = pod::slice_from_bytes::<U32<Endianness>>(bytes, bytes.len() / 4).unwrap_or_default();
    words.iter().map(move |word| word.get(endian))
}
