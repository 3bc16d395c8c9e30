//! Whether the kernel can load a program, after `load_elf_binary` and `elf_load` of its `fs/binfmt_elf.c`: what it refuses with an error, and
//! what it notices only when the old program is gone, or when the new one touches what is not there.

use super::headers::{Fields, Headers};

const PT_LOAD: u32 = 1;
/// The smallest page, ELF_MIN_ALIGN: a segment begins at the same place within a page in the file and in memory.
const PAGE: u64 = 4096;
/// The most memory that a program may have: 47 bits on x86-64, 48 elsewhere.
const TASK_SIZE: u64 = if cfg!(target_arch = "x86_64") { (1 << 47) - PAGE } else { 1 << 48 };

/// A segment, as the program header has it.
struct Segment {
    offset: u64,
    address: u64,
    in_file: u64,
    in_memory: u64,
}

impl Segment {
    /// `None` for what is not loaded.
    fn read(entry: &Fields, bits: u8) -> Option<Self> {
        if entry.u32(0)? != PT_LOAD {
            return None;
        }
        let narrow = |at| entry.u32(at).map(u64::from);
        Some(match bits {
            32 => {
                Self { offset: narrow(4)?, address: narrow(8)?, in_file: narrow(16)?, in_memory: narrow(20)? }
            }
            _ => Self {
                offset: entry.u64(8)?,
                address: entry.u64(16)?,
                in_file: entry.u64(32)?,
                in_memory: entry.u64(40)?,
            },
        })
    }

    fn check(&self, length: u64) -> Result<(), String> {
        let end = self.offset.checked_add(self.in_file);
        if end.is_none_or(|end| end > length) {
            let end = end.map_or_else(|| "more".to_owned(), |end| end.to_string());
            return Err(format!("it is cut off: a segment ends at {end} bytes, and the file at {length}"));
        }
        if self.in_file > self.in_memory {
            return Err("it has a segment that is larger in the file than in memory".to_owned());
        }
        if self.address.checked_add(self.in_memory).is_none_or(|end| end > TASK_SIZE) {
            return Err("it has a segment where no program can have memory".to_owned());
        }
        if self.in_file > 0 && self.address % PAGE != self.offset % PAGE {
            return Err(
                "it has a segment that begins elsewhere within a page of memory than in the file".to_owned()
            );
        }
        Ok(())
    }

    fn holds(&self, address: u64) -> bool {
        (self.address..self.address.saturating_add(self.in_memory)).contains(&address)
    }
}

/// Checks the segments of a file of `length` bytes. `first`: it is the first to run, as a static program and a dynamic linker are.
pub fn check(read: impl Fn(u64, usize) -> Vec<u8>, length: u64, first: bool) -> Result<(), String> {
    let headers = Headers::read(&read)?;
    let segments: Vec<_> =
        headers.entries.iter().filter_map(|entry| Segment::read(entry, headers.bits)).collect();
    segments.iter().try_for_each(|segment| segment.check(length))?;
    if segments.is_empty() {
        return Err("it has no segment that is loaded".to_owned());
    }
    if first && !segments.iter().any(|segment| segment.holds(headers.entry)) {
        return Err("its first instruction is in none of its segments".to_owned());
    }
    Ok(())
}
