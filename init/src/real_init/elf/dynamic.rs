//! What a program or a shared library asks of the dynamic linker: the dynamic section of elf(5), as ld.so(8) reads it.

use super::headers::{Fields, LONGEST_PATH};

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;
/// The kernel's limit for the program headers of what it starts (`load_elf_phdrs` of `fs/binfmt_elf.c`); no library has more.
const MOST_HEADERS: usize = 1 << 16;
/// A dynamic section has some thirty entries of 16 bytes, and one for each library.
const MOST_DYNAMIC: usize = 1 << 16;
/// The largest programs of a distribution need less than two hundred.
const MOST_NAMES: usize = 512;

/// Names as they are written, with `$ORIGIN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dynamic {
    /// `e_machine`: a library serves programs for the same machine only.
    pub machine: u16,
    /// 32 or 64: the same holds for this.
    pub bits: u8,
    /// Shared libraries (DT_NEEDED), in order.
    pub needed: Vec<String>,
    /// Folders to look in first (DT_RUNPATH, or DT_RPATH where there is none).
    pub search: Vec<String>,
}

/// Where bytes of the file appear in memory.
struct Segment {
    address: u64,
    offset: u64,
    length: u64,
}

/// Reads the dynamic section; `read` gives up to `len` bytes at an offset. `None` for what is no ELF file, or cut off. A static program
/// needs nothing.
pub fn dynamic(read: impl Fn(u64, usize) -> Vec<u8>) -> Option<Dynamic> {
    let header = Fields(read(0, 64));
    let bits = match header.0.get(..6)? {
        [0x7f, b'E', b'L', b'F', 1, 1] => 32,
        [0x7f, b'E', b'L', b'F', 2, 1] => 64,
        _ => return None,
    };
    let machine = header.u16(18)?;
    let (offset, size, count) = match bits {
        32 => (header.u32(28)?.into(), header.u16(42)?, header.u16(44)?),
        _ => (header.u64(32)?, header.u16(54)?, header.u16(56)?),
    };
    let length = usize::from(size).checked_mul(count.into()).filter(|length| *length <= MOST_HEADERS)?;
    let table = read(offset, length);
    let (mut loaded, mut section) = (Vec::new(), None);
    for entry in table.chunks_exact(usize::from(size).max(32)) {
        let entry = Fields(entry.to_vec());
        match entry.u32(0)? {
            PT_LOAD => loaded.push(segment(&entry, bits)?),
            PT_DYNAMIC => section = Some(segment(&entry, bits)?),
            _ => {}
        }
    }
    let mut dynamic = Dynamic { machine, bits, needed: Vec::new(), search: Vec::new() };
    if let Some(section) = section {
        let length = usize::try_from(section.length).ok()?.min(MOST_DYNAMIC);
        dynamic.take(&entries(&read(section.offset, length), bits), &loaded, read)?;
    }
    Some(dynamic)
}

impl Dynamic {
    fn take(
        &mut self,
        entries: &[(u64, u64)],
        loaded: &[Segment],
        read: impl Fn(u64, usize) -> Vec<u8>,
    ) -> Option<()> {
        let Some((_, table)) = entries.iter().find(|(tag, _)| *tag == DT_STRTAB) else { return Some(()) };
        let text = |offset: u64| {
            let address = table.checked_add(offset)?;
            let mut bytes = read(in_file(loaded, address)?, LONGEST_PATH);
            bytes.truncate(bytes.iter().position(|byte| *byte == 0)?);
            String::from_utf8(bytes).ok()
        };
        let texts = |wanted: u64| -> Option<Vec<String>> {
            let offsets = entries.iter().filter(|(tag, _)| *tag == wanted).map(|(_, offset)| *offset);
            offsets.take(MOST_NAMES).map(text).collect()
        };
        self.needed = texts(DT_NEEDED)?;
        let mut search = texts(DT_RUNPATH)?;
        if search.is_empty() {
            search = texts(DT_RPATH)?;
        }
        let folders = search.iter().flat_map(|folders| folders.split(':'));
        self.search = folders.filter(|folder| !folder.is_empty()).map(str::to_owned).collect();
        Some(())
    }
}

fn segment(entry: &Fields, bits: u8) -> Option<Segment> {
    Some(match bits {
        32 => Segment {
            offset: entry.u32(4)?.into(),
            address: entry.u32(8)?.into(),
            length: entry.u32(16)?.into(),
        },
        _ => Segment { offset: entry.u64(8)?, address: entry.u64(16)?, length: entry.u64(32)? },
    })
}

/// Pairs of tag and value, up to the one that ends them.
fn entries(bytes: &[u8], bits: u8) -> Vec<(u64, u64)> {
    let half = usize::from(bits / 8);
    let pair = |entry: &[u8]| {
        let entry = Fields(entry.to_vec());
        let number = |at| if bits == 32 { entry.u32(at).map(u64::from) } else { entry.u64(at) };
        Some((number(0)?, number(half)?))
    };
    bytes.chunks_exact(2 * half).map_while(pair).take_while(|(tag, _)| *tag != DT_NULL).collect()
}

/// The place in the file of an address in memory.
fn in_file(loaded: &[Segment], address: u64) -> Option<u64> {
    loaded.iter().find_map(|segment| {
        let within = address.checked_sub(segment.address).filter(|within| *within < segment.length)?;
        segment.offset.checked_add(within)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn of(bytes: &[u8]) -> Option<Dynamic> {
        dynamic(|offset, length| {
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            bytes[start..start.saturating_add(length).min(bytes.len())].to_vec()
        })
    }

    /// What readelf(1) says: lines `0x... (NEEDED)  Shared library: [NAME]`.
    fn judged(path: &str, tag: &str) -> Vec<String> {
        let output = Command::new("readelf").args(["-d", path]).output().expect("readelf, of binutils");
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().filter(|line| line.contains(tag));
        lines.filter_map(|line| Some(line.split_once('[')?.1.trim_end_matches(']').to_owned())).collect()
    }

    #[test]
    fn what_a_program_needs_is_what_readelf_says() {
        for path in ["/proc/self/exe", "/bin/ls", "/usr/sbin/mkfs.ext4", "/lib/systemd/systemd"] {
            let Ok(bytes) = std::fs::read(path) else { continue };
            let real = std::fs::canonicalize(path).unwrap().display().to_string();
            let found = of(&bytes).unwrap();
            assert_eq!(found.needed, judged(&real, "(NEEDED)"), "{path}");
            assert!(!found.needed.is_empty(), "{path}");
            assert_eq!(found.search.join(":"), judged(&real, "(RUNPATH)").concat(), "{path}");
        }
    }

    #[test]
    fn pieces_and_damaged_copies_are_read_without_a_panic_and_within_bounds() {
        let bytes = std::fs::read("/bin/ls").unwrap();
        assert_eq!(of(b"#!/bin/sh\n"), None);
        assert_eq!(of(&bytes[..40]), None);
        let mut random = 7_u64;
        for _ in 0..2000 {
            let mut damaged = bytes[..bytes.len().min(40_000)].to_vec();
            for _ in 0..8 {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                damaged[6 + (random >> 40) as usize % 900] = (random >> 33) as u8;
            }
            let read = |offset: u64, length: usize| {
                assert!(length <= MOST_HEADERS, "{length}");
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(damaged.len());
                damaged[start..start.saturating_add(length).min(damaged.len())].to_vec()
            };
            let _ = dynamic(read);
        }
    }
}
