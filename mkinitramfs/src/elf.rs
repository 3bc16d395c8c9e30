//! What kind of ELF file something is.

use object::elf::{FileHeader64, PT_INTERP};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, Object, ObjectSection};

/// Refuses a program that cannot run alone: the initramfs has no libraries and no interpreters.
///
/// # Errors
/// Says what the bytes are instead of a static 64-bit ELF program.
pub(crate) fn check_static(bytes: &[u8]) -> Result<(), String> {
    let header =
        FileHeader64::<Endianness>::parse(bytes).map_err(|_| "is not a 64-bit ELF program".to_owned())?;
    let endian = header.endian().map_err(|error| error.to_string())?;
    let segments = header.program_headers(endian, bytes).map_err(|error| format!("is damaged: {error}"))?;
    if segments.is_empty() {
        return Err("is an ELF file, but no program".to_owned());
    }
    let interpreter = segments.iter().find(|segment| segment.p_type(endian) == PT_INTERP);
    match interpreter.map(|segment| segment.data(endian, bytes).unwrap_or_default()) {
        None => Ok(()),
        Some(path) => {
            let path = String::from_utf8_lossy(path);
            Err(format!("is linked dynamically, against {}", path.trim_end_matches('\0')))
        }
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

    #[test]
    fn sections_are_found_by_name() {
        let own = std::fs::read(std::env::current_exe().expect("this test")).expect("readable");
        assert!(section(&own, ".text").is_ok_and(|text| !text.is_empty()));
        assert_eq!(section(&own, ".modinfo"), Err("has no section .modinfo".to_owned()));
        assert!(section(b"text", ".text").is_err());
    }
}
