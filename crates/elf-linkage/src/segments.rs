//! The header of a file and its program headers, and what of the file lies at which address once it is loaded.

use object::Endianness;
use object::elf::{FileHeader32, FileHeader64, FileType, PT_DYNAMIC, PT_INTERP, PT_LOAD};
use object::pod;
use object::read::elf::{FileHeader, ProgramHeader};

use crate::error::{Error, at_most};
use crate::kind::{Kind, Machine};
use crate::source::{MAGIC, Source};

/// What 64 KiB hold of the larger ones: load_elf_phdrs() of the kernel's fs/binfmt_elf.c takes no more.
const MOST_HEADERS: u64 = 1_170;
/// PATH_MAX of Linux.
pub(crate) const LONGEST_NAME: u64 = 4_096;

/// Bytes of the file that appear in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub(crate) address: u64,
    offset: u64,
    /// In the file.
    length: u64,
    /// In memory; what is more than `length` are zeros.
    pub(crate) in_memory: u64,
}

/// A file as it is loaded.
pub(crate) struct Segments<'a, S> {
    source: &'a mut S,
    file_length: u64,
    pub(crate) machine: Machine,
    pub(crate) endian: Endianness,
    pub(crate) kind: Kind,
    loaded: Vec<Segment>,
    interpreter: Option<Segment>,
    pub(crate) dynamic: Option<Segment>,
}

impl<'a, S: Source> Segments<'a, S> {
    /// Reads the headers.
    pub(crate) fn read(source: &'a mut S) -> Result<Self, Error> {
        let file_length = source.length().map_err(Error::Source)?;
        let mut ident = [0; 16];
        if file_length < ident.len() as u64 {
            return Err(Error::NotElf);
        }
        source.read_exact_at(&mut ident, 0).map_err(Error::Source)?;
        match (ident.starts_with(&MAGIC), ident[4]) {
            (true, 1) => Self::of::<FileHeader32<Endianness>>(source, file_length),
            (true, 2) => Self::of::<FileHeader64<Endianness>>(source, file_length),
            _ => Err(Error::NotElf),
        }
    }

    fn of<Elf: FileHeader<Endian = Endianness>>(source: &'a mut S, file_length: u64) -> Result<Self, Error> {
        let bytes = within(source, file_length, 0, size_of::<Elf>() as u64, "its header is cut off")?;
        let header = Elf::parse(bytes.as_slice()).map_err(|_| Error::NotElf)?;
        let endian = header.endian().map_err(|_| Error::NotElf)?;
        let count = u64::from(header.e_phnum(endian));
        at_most("program headers", count, MOST_HEADERS)?;
        let size = size_of::<Elf::ProgramHeader>() as u64;
        if count > 0 && u64::from(header.e_phentsize(endian)) != size {
            return Err(Error::Damaged("its program headers have another size than those of its class"));
        }
        let cut = "its program headers are cut off";
        let table = within(source, file_length, header.e_phoff(endian).into(), count * size, cut)?;
        let (headers, _) = pod::slice_from_bytes::<Elf::ProgramHeader>(&table, count as usize)
            .map_err(|()| Error::Damaged(cut))?;
        let machine = Machine {
            bits: if header.is_type_64() { 64 } else { 32 },
            big_endian: header.is_big_endian(),
            number: header.e_machine(endian).0,
        };
        let kind = kind(header.e_type(endian));
        let (mut loaded, mut interpreter, mut dynamic) = (Vec::new(), None, None);
        for header in headers {
            let segment = Segment {
                address: header.p_vaddr(endian).into(),
                offset: header.p_offset(endian).into(),
                length: header.p_filesz(endian).into(),
                in_memory: header.p_memsz(endian).into(),
            };
            match header.p_type(endian) {
                PT_LOAD => loaded.push(segment),
                PT_INTERP => interpreter = interpreter.or(Some(segment)),
                PT_DYNAMIC => dynamic = Some(segment),
                _ => {}
            }
        }
        Ok(Segments { source, file_length, machine, endian, kind, loaded, interpreter, dynamic })
    }

    /// The path of the program that loads this one.
    pub(crate) fn interpreter(&mut self) -> Result<Option<String>, Error> {
        let Some(Segment { offset, length, .. }) = self.interpreter else { return Ok(None) };
        at_most("bytes of its interpreter's name", length, LONGEST_NAME)?;
        let cut = "the name of its interpreter is cut off";
        let bytes = within(self.source, self.file_length, offset, length, cut)?;
        text(&bytes).map(Some)
    }

    /// The bytes at an address; whoever asks has bounded `length`.
    pub(crate) fn bytes(
        &mut self,
        address: u64,
        length: u64,
        missing: &'static str,
    ) -> Result<Vec<u8>, Error> {
        let (offset, there) = self.in_file(address).ok_or(Error::Damaged(missing))?;
        if there < length {
            return Err(Error::Damaged(missing));
        }
        within(self.source, self.file_length, offset, length, missing)
    }

    /// As [`Self::bytes`], but fewer where the segment ends before.
    pub(crate) fn up_to(
        &mut self,
        address: u64,
        length: u64,
        missing: &'static str,
    ) -> Result<Vec<u8>, Error> {
        let (offset, there) = self.in_file(address).ok_or(Error::Damaged(missing))?;
        let there = there.min(self.file_length.saturating_sub(offset));
        within(self.source, self.file_length, offset, length.min(there), missing)
    }

    /// A structure at an address.
    pub(crate) fn structure<T: pod::Pod>(&mut self, address: u64, missing: &'static str) -> Result<T, Error> {
        let bytes = self.bytes(address, size_of::<T>() as u64, missing)?;
        pod::from_bytes::<T>(&bytes).map(|(it, _)| *it).map_err(|()| Error::Damaged(missing))
    }

    /// Where an address lies in the file, and how many bytes of its segment follow there.
    fn in_file(&self, address: u64) -> Option<(u64, u64)> {
        self.loaded.iter().find_map(|segment| {
            let within = address.checked_sub(segment.address).filter(|within| *within < segment.length)?;
            Some((segment.offset.checked_add(within)?, segment.length - within))
        })
    }
}

fn kind(of: FileType) -> Kind {
    match of {
        object::elf::ET_REL => Kind::Relocatable,
        object::elf::ET_EXEC => Kind::Executable,
        object::elf::ET_DYN => Kind::Shared,
        _ => Kind::Other,
    }
}

/// Bytes of the file, after it was seen that it has them: nothing is made room for that is only promised.
fn within(
    source: &mut impl Source,
    file_length: u64,
    offset: u64,
    length: u64,
    missing: &'static str,
) -> Result<Vec<u8>, Error> {
    if offset.checked_add(length).is_none_or(|end| end > file_length) {
        return Err(Error::Damaged(missing));
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| Error::Damaged(missing))?];
    source.read_exact_at(&mut bytes, offset).map_err(Error::Source)?;
    Ok(bytes)
}

/// A text up to its NUL.
pub(crate) fn text(bytes: &[u8]) -> Result<String, Error> {
    let end = bytes.iter().position(|byte| *byte == 0).ok_or(Error::Damaged("a name in it has no end"))?;
    let text = std::str::from_utf8(&bytes[..end]);
    text.map(str::to_owned).map_err(|_| Error::Damaged("a name in it is no UTF-8"))
}
