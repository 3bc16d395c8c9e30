//! init is static, linked with musl, stripped and small, whichever of the two ways built it.

use std::path::Path;

use object::elf::{PT_DYNAMIC, PT_INTERP};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, Object};
use qemu_tests::{Failure, Story, artifacts};

/// 1.35 MiB: what is promised of it.
const LARGEST: usize = 1_415_577;
/// musl's text for "no error"; glibc says "Success".
const OF_MUSL: &str = "No error information";
/// Stands in every program that glibc is linked into.
const OF_GLIBC: &str = "GNU C Library";

#[test]
fn the_init_that_boots_here() -> Story {
    judge(&artifacts::init()?)
}

#[test]
fn the_init_made_by_debians_rust_alone() -> Story {
    judge(&artifacts::init_by_debian()?)
}

#[test]
fn the_inits_that_are_shipped_cannot_be_told_to_panic() -> Story {
    let knows = |path: &Path| {
        std::fs::read(path).map(|bytes| contains(&bytes, "PANIC_FOR_TESTS")).map_err(Failure::at(path))
    };
    assert!(knows(&artifacts::init_that_panics()?)?);
    assert!(!knows(&artifacts::init()?)?);
    assert!(!knows(&artifacts::init_by_debian()?)?);
    Ok(())
}

fn judge(path: &Path) -> Story {
    let bytes = std::fs::read(path).map_err(Failure::at(path))?;
    let wrong = Failure::at::<object::Error>;
    let header = object::elf::FileHeader64::<Endianness>::parse(&*bytes).map_err(wrong(path))?;
    let endian = header.endian().map_err(wrong(path))?;
    let segments = header.program_headers(endian, &*bytes).map_err(wrong(path))?;
    let has = |kind| segments.iter().any(|segment| segment.p_type(endian) == kind);
    assert!(!has(PT_INTERP), "{}: asks for a dynamic loader", path.display());
    assert!(!has(PT_DYNAMIC), "{}: has a dynamic section", path.display());

    let file = object::File::parse(&*bytes).map_err(wrong(path))?;
    assert_eq!(file.symbols().count(), 0, "{}: is not stripped", path.display());
    assert!(contains(&bytes, OF_MUSL), "{}: nothing of musl in it", path.display());
    assert!(!contains(&bytes, OF_GLIBC), "{}: glibc is in it", path.display());
    assert!(bytes.len() < LARGEST, "{}: {} bytes, at most {LARGEST} allowed", path.display(), bytes.len());
    Ok(())
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
