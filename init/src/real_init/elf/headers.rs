//! The header and the program headers.

const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
/// Bytes of program headers that the kernel reads: a page, and 64 KiB at most (load_elf_phdrs() of `fs/binfmt_elf.c`). Arm has pages of
/// 4, 16 or 64 KiB.
pub(super) const LARGEST_TABLE: usize = if cfg!(target_arch = "aarch64") { 65_536 } else { 4096 };
/// PATH_MAX of Linux.
pub(super) const LONGEST_PATH: usize = 4096;

/// The header and the program headers.
pub(super) struct Headers {
    pub(super) machine: u16,
    /// 32 or 64.
    pub(super) bits: u8,
    /// The address of the first instruction.
    pub(super) entry: u64,
    pub(super) entries: Vec<Fields>,
}

impl Headers {
    pub(super) fn read(read: &impl Fn(u64, usize) -> Vec<u8>) -> Result<Self, &'static str> {
        let header = Fields(read(0, 64));
        let bits = match header.0.get(4..6) {
            Some([1, 1]) => 32,
            Some([2, 1]) => 64,
            Some(_) => return Err("its ELF header is of no little-endian 32 or 64 bit kind"),
            None => return Err("it is cut off within its ELF header"),
        };
        let cut = "it is cut off within its ELF header";
        let kind = header.u16(16).ok_or(cut)?;
        if kind != ET_EXEC && kind != ET_DYN {
            return Err("it is an ELF file, but not a program");
        }
        let machine = header.u16(18).ok_or(cut)?;
        let (entry, offset, size, count) = match bits {
            32 => {
                (header.u32(24).map(u64::from), header.u32(28).map(u64::from), header.u16(42), header.u16(44))
            }
            _ => (header.u64(24), header.u64(32), header.u16(54), header.u16(56)),
        };
        let (entry, offset) = (entry.ok_or(cut)?, offset.ok_or(cut)?);
        let (size, count) = (usize::from(size.ok_or(cut)?), usize::from(count.ok_or(cut)?));
        // A header alone must not decide how much is read.
        if size != if bits == 32 { 32 } else { 56 } {
            return Err("its program headers have a size that the kernel refuses");
        }
        if count == 0 || size * count > LARGEST_TABLE {
            return Err("the number of its program headers is one that the kernel refuses");
        }
        let table = read(offset, size * count);
        if table.len() < size * count {
            return Err("it is cut off within its program headers");
        }
        let entries = table.chunks_exact(size).map(|entry| Fields(entry.to_vec())).collect();
        Ok(Self { machine, bits, entry, entries })
    }
}

/// Little-endian numbers at byte offsets, `None` past the end.
pub(super) struct Fields(pub(super) Vec<u8>);

impl Fields {
    pub(super) fn array<const LEN: usize>(&self, at: usize) -> Option<[u8; LEN]> {
        self.0.get(at..at + LEN)?.try_into().ok()
    }

    pub(super) fn u16(&self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&self, at: usize) -> Option<u64> {
        self.array(at).map(u64::from_le_bytes)
    }
}
