//! What kind of ELF file something is, and what it needs.

use object::elf::{
    DT_NEEDED, DT_NULL, DT_RPATH, DT_RUNPATH, DT_STRSZ, DT_STRTAB, DynamicTag, FileHeader64, Machine,
    PT_LOAD, ProgramHeader64,
};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, Object, ObjectSection, StringTable};

/// What 64 KiB hold: load_elf_phdrs() of the kernel's fs/binfmt_elf.c takes no more.
const MOST_SEGMENTS: usize = 1_170;
/// More than any program links with.
const MOST_NAMES: usize = 1_024;
/// PATH_MAX of Linux; also for all folders of a DT_RUNPATH together.
const LONGEST_NAME: usize = 4_096;

/// What a program or a shared library asks of the dynamic loader: elf(5), ld.so(8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Linked {
    /// `e_machine`: a library serves programs for the same processor only.
    pub machine: Machine,
    /// The loader (PT_INTERP); `None` for a static program and for most libraries.
    pub interpreter: Option<String>,
    /// Names of shared libraries (DT_NEEDED).
    pub needed: Vec<String>,
    /// Folders to look in first (DT_RUNPATH, or DT_RPATH where there is none), as they are written: with `$ORIGIN`.
    pub search: Vec<String>,
}

impl Linked {
    /// Reads a 64-bit ELF file.
    ///
    /// # Errors
    /// Says what the bytes are instead.
    pub(crate) fn read(bytes: &[u8]) -> Result<Linked, String> {
        let header =
            FileHeader64::<Endianness>::parse(bytes).map_err(|_| "is not a 64-bit ELF program".to_owned())?;
        let damaged = |error: object::Error| format!("is damaged: {error}");
        let endian = header.endian().map_err(damaged)?;
        let segments = header.program_headers(endian, bytes).map_err(damaged)?;
        if segments.is_empty() {
            return Err("is an ELF file, but no program".to_owned());
        }
        if segments.len() > MOST_SEGMENTS {
            return Err(format!(
                "has {} program headers, and the kernel takes {MOST_SEGMENTS}",
                segments.len()
            ));
        }
        let mut linked = Linked {
            machine: header.e_machine(endian),
            interpreter: None,
            needed: Vec::new(),
            search: Vec::new(),
        };
        for segment in segments {
            if let Some(path) = segment.interpreter(endian, bytes).map_err(damaged)? {
                linked.interpreter = Some(name(path)?);
            }
            if let Some(entries) = segment.dynamic(endian, bytes).map_err(damaged)? {
                let end = entries.iter().position(|entry| entry.tag(endian) == DT_NULL);
                let entries: Vec<(DynamicTag, u64)> = entries[..end.unwrap_or(entries.len())]
                    .iter()
                    .map(|entry| (entry.tag(endian), entry.val(endian)))
                    .collect();
                linked.add(&entries, strings(&entries, segments, endian, bytes)?)?;
            }
        }
        Ok(linked)
    }

    fn add(&mut self, entries: &[(DynamicTag, u64)], strings: StringTable) -> Result<(), String> {
        let texts = |wanted: DynamicTag| {
            let entries = entries.iter().filter(move |(tag, _)| *tag == wanted);
            entries.map(|(_, offset)| {
                let text = u32::try_from(*offset).ok().and_then(|offset| strings.get(offset).ok());
                name(text.ok_or("is damaged: a name lies outside of its table")?)
            })
        };
        // All entries may point to one name, so that a small file would become a large one.
        let names = entries.iter().filter(|(tag, _)| [DT_NEEDED, DT_RUNPATH, DT_RPATH].contains(tag)).count();
        if names > MOST_NAMES {
            return Err(format!("names {names} libraries and folders, and {MOST_NAMES} are taken"));
        }
        self.needed = texts(DT_NEEDED).collect::<Result<_, String>>()?;
        let mut search: Vec<String> = texts(DT_RUNPATH).collect::<Result<_, String>>()?;
        if search.is_empty() {
            search = texts(DT_RPATH).collect::<Result<_, String>>()?;
        }
        let folders = search.iter().flat_map(|folders| folders.split(':'));
        self.search = folders.filter(|folder| !folder.is_empty()).map(str::to_owned).collect();
        Ok(())
    }
}

/// A name of a library, or folders, or the loader.
fn name(text: &[u8]) -> Result<String, String> {
    if text.len() > LONGEST_NAME {
        return Err(format!("has a name of {} bytes, and {LONGEST_NAME} are taken", text.len()));
    }
    Ok(String::from_utf8_lossy(text).into_owned())
}

/// The table of names, which the dynamic section gives by its address in memory.
fn strings<'a>(
    entries: &[(DynamicTag, u64)],
    segments: &[ProgramHeader64<Endianness>],
    endian: Endianness,
    bytes: &'a [u8],
) -> Result<StringTable<'a>, String> {
    let value = |wanted: DynamicTag| entries.iter().find(|(tag, _)| *tag == wanted).map(|(_, value)| *value);
    let (Some(address), Some(size)) = (value(DT_STRTAB), value(DT_STRSZ)) else {
        return Ok(StringTable::default());
    };
    let loaded = segments.iter().filter(|segment| segment.p_type(endian) == PT_LOAD);
    let table = loaded
        .filter_map(|segment| segment.data_range(endian, bytes, address, size).ok().flatten())
        .next()
        .ok_or("is damaged: its table of names lies outside of what is loaded")?;
    Ok(StringTable::new(table, 0, table.len() as u64))
}

/// Refuses a program that cannot run alone: the initramfs has no libraries and no interpreters for it.
///
/// # Errors
/// Says what the bytes are instead of a static 64-bit ELF program.
pub(crate) fn check_static(bytes: &[u8]) -> Result<(), String> {
    match Linked::read(bytes)?.interpreter {
        None => Ok(()),
        Some(path) => Err(format!("is linked dynamically, against {path}")),
    }
}

/// The bytes of the section called `name`.
///
/// # Errors
/// The bytes are no ELF file, or it has no such section.
pub(crate) fn section<'a>(bytes: &'a [u8], name: &str) -> Result<&'a [u8], String> {
    let file = object::File::parse(bytes).map_err(|error| format!("is not an ELF file: {error}"))?;
    let section = file.section_by_name(name).ok_or_else(|| format!("has no section {name}"))?;
    section.data().map_err(|error| format!("has a damaged section {name}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_an_interpreter_is_refused_by_its_name() {
        let own = std::fs::read(std::env::current_exe().expect("this test")).expect("readable");
        let error = check_static(&own).expect_err("a test program is dynamic");
        assert!(error.starts_with("is linked dynamically, against /lib"), "{error}");
        assert_eq!(check_static(b"#!/bin/sh\n"), Err("is not a 64-bit ELF program".to_owned()));
        assert!(check_static(&own[..100]).is_err());
    }

    /// A little-endian 64-bit program with `segments` program headers, of which the last two are PT_LOAD and PT_DYNAMIC: so many DT_NEEDED,
    /// all of one name of so many bytes.
    fn program(segments: u16, needed: u64, name: u64) -> Vec<u8> {
        let table = 64 + 56 * usize::from(segments);
        let mut bytes = vec![0; table];
        bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        (bytes[16], bytes[18], bytes[32], bytes[54]) = (2, 62, 64, 56);
        bytes[56..58].copy_from_slice(&segments.to_le_bytes());
        let entries = (0..needed).map(|_| (1, 0)).chain([
            (5, table as u64 + 16 * (needed + 3)),
            (10, name + 1),
            (0, 0),
        ]);
        bytes.extend(
            entries.flat_map(|(tag, value): (u64, u64)| [tag.to_le_bytes(), value.to_le_bytes()]).flatten(),
        );
        bytes.extend(std::iter::repeat_n(b'n', usize::try_from(name).expect("small")));
        bytes.push(0);
        let all = bytes.len() as u64;
        let dynamic = (table as u64, 16 * (needed + 3));
        for (kind, header, (offset, length)) in [(1_u32, table - 112, (0, all)), (2, table - 56, dynamic)] {
            bytes[header..header + 4].copy_from_slice(&kind.to_le_bytes());
            for (at, value) in [(8, offset), (16, offset), (32, length), (40, length)] {
                bytes[header + at..header + at + 8].copy_from_slice(&u64::to_le_bytes(value));
            }
        }
        bytes
    }

    #[test]
    fn a_small_file_does_not_become_a_large_list() {
        let read = |segments, needed, name| Linked::read(&program(segments, needed, name));
        assert_eq!(read(2, 1_024, 4_096).map(|linked| linked.needed.len()), Ok(1_024));
        let refused = [read(2, 1_025, 1), read(2, 1, 4_097), read(1_171, 1, 1)].map(Result::unwrap_err);
        assert!(refused[0].starts_with("names 1025 libraries"), "{refused:?}");
        assert!(refused[1].starts_with("has a name of 4097 bytes"), "{refused:?}");
        assert!(refused[2].starts_with("has 1171 program headers"), "{refused:?}");
    }

    #[test]
    fn sections_are_found_by_name() {
        let own = std::fs::read(std::env::current_exe().expect("this test")).expect("readable");
        assert!(section(&own, ".text").is_ok_and(|text| !text.is_empty()));
        assert_eq!(section(&own, ".modinfo"), Err("has no section .modinfo".to_owned()));
        assert!(section(b"text", ".text").is_err());
    }
}
