//! As much of an ELF file as tells whether the kernel will start it: elf(5).

mod dynamic;
mod headers;
mod load;

pub use dynamic::{Dynamic, dynamic};
use headers::{Fields, Headers, LONGEST_PATH};
pub use load::check as can_be_loaded;

/// What the header and the program headers say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// `e_machine`.
    pub machine: u16,
    /// 32 or 64.
    pub bits: u8,
    /// The dynamic linker that it asks for (PT_INTERP); `None` for a static program.
    pub interpreter: Option<String>,
}

/// The machines of the systems that Lamina boots, as `std::env::consts::ARCH` names them, with what else they run.
const MACHINES: [(&str, &[u16]); 4] =
    [("x86_64", &[EM_X86_64, 3, 6]), ("x86", &[3, 6]), ("aarch64", &[183, 40]), ("riscv64", &[243])];

const EM_X86_64: u16 = 62;
const PT_INTERP: u32 = 3;

/// Whether this machine's kernel can run programs for `machine`. Unknown machines of ours accept all.
pub fn runs_here(machine: u16) -> bool {
    let ours = MACHINES.iter().find(|(name, _)| *name == std::env::consts::ARCH);
    ours.is_none_or(|(_, machines)| machines.contains(&machine))
}

/// Reads the program; `read` gives up to `len` bytes at an offset. The error is a sentence about the file.
pub fn parse(read: impl Fn(u64, usize) -> Vec<u8>) -> Result<Program, &'static str> {
    let Headers { bits, machine, entries, .. } = Headers::read(&read)?;
    let interpreter = match entries.iter().find(|entry| entry.u32(0) == Some(PT_INTERP)) {
        None => None,
        Some(entry) => {
            Some(interpreter(entry, bits, read).ok_or("it is cut off where it names its dynamic linker")?)
        }
    };
    Ok(Program { machine, bits, interpreter })
}

/// Whether this machine's kernel runs programs of so many bits for `machine`, as far as that can be known; `asks` reads a file of the kernel.
/// The error is a sentence about the file.
pub fn fits_the_kernel(program: &Program, asks: impl Fn(&str) -> Option<String>) -> Result<(), String> {
    let here = std::env::consts::ARCH;
    if !runs_here(program.machine) {
        return Err(format!("is for another machine (ELF machine {}, this is {here})", program.machine));
    }
    if here != "x86_64" {
        return Ok(());
    }
    match (program.machine, program.bits) {
        (EM_X86_64, 64) => Ok(()),
        // CONFIG_X86_X32_ABI is off nearly everywhere, and nothing tells.
        (EM_X86_64, _) => Err("is for the x32 ABI, which kernels hardly ever have".to_owned()),
        (_, 32) if runs_ia32(asks) => Ok(()),
        (_, 32) => Err("is a program of 32 bits, and this kernel runs none (no CONFIG_IA32_EMULATION, or ia32_emulation=0)".to_owned()),
        (machine, bits) => Err(format!("has a header of {bits} bits for ELF machine {machine}")),
    }
}

/// The kernel has the file only with CONFIG_IA32_EMULATION (`arch/x86/entry/vdso/vdso32-setup.c`); since 6.7 a parameter switches it off.
fn runs_ia32(asks: impl Fn(&str) -> Option<String>) -> bool {
    let line = asks("/proc/cmdline").unwrap_or_default();
    let told = line.split_whitespace().rev().find_map(|word| word.strip_prefix("ia32_emulation="));
    asks("/proc/sys/abi/vsyscall32").is_some() && !matches!(told, Some("0" | "n" | "N" | "no" | "off"))
}

fn interpreter(entry: &Fields, bits: u8, read: impl Fn(u64, usize) -> Vec<u8>) -> Option<String> {
    let (offset, length) = match bits {
        32 => (u64::from(entry.u32(4)?), u64::from(entry.u32(16)?)),
        _ => (entry.u64(8)?, entry.u64(32)?),
    };
    let length = usize::try_from(length).ok().filter(|length| (2..=LONGEST_PATH).contains(length))?;
    let path = read(offset, length);
    // The kernel wants a NUL at the end, and stops at the first.
    let name = path.split(|byte| *byte == 0).next()?;
    (path.len() == length && path.ends_with(&[0])).then(|| String::from_utf8_lossy(name).into_owned())
}

#[cfg(test)]
mod tests {
    use super::headers::LARGEST_TABLE;
    use super::*;

    fn parse_bytes(bytes: &[u8]) -> Result<Program, &'static str> {
        parse(|offset, length| {
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            bytes[start..start.saturating_add(length).min(bytes.len())].to_vec()
        })
    }

    #[test]
    fn this_test_program_is_one_that_runs_here() {
        let bytes = std::fs::read("/proc/self/exe").unwrap();
        let program = parse_bytes(&bytes).unwrap();
        assert!(runs_here(program.machine));
        assert_eq!(program.bits, usize::BITS as u8);
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn programs_of_32_bits_start_where_the_kernel_has_them() {
        let program = |machine, bits| Program { machine, bits, interpreter: None };
        let kernel = |line: &'static str, has_it: bool| {
            move |file: &str| match file {
                "/proc/cmdline" => Some(line.to_owned()),
                _ => has_it.then(|| "1".to_owned()),
            }
        };
        assert!(fits_the_kernel(&program(3, 32), kernel("quiet", true)).is_ok());
        assert!(fits_the_kernel(&program(3, 32), kernel("ia32_emulation=0 ia32_emulation=1", true)).is_ok());
        for (line, has_it) in [("quiet", false), ("ia32_emulation=0", true), ("ia32_emulation=off", true)] {
            let why = fits_the_kernel(&program(6, 32), kernel(line, has_it)).unwrap_err();
            assert!(why.contains("CONFIG_IA32_EMULATION"), "{why}");
        }
        assert!(fits_the_kernel(&program(62, 64), kernel("", false)).is_ok());
        for (machine, bits) in [(62, 32), (3, 64), (183, 64)] {
            assert!(fits_the_kernel(&program(machine, bits), kernel("", true)).is_err(), "{machine} {bits}");
        }
    }

    /// 65,535 program headers of 65,535 bytes were an allocation of 4 GiB, which ended PID 1.
    #[test]
    fn no_header_makes_its_reader_take_more_than_the_kernel_does() {
        let largest = std::cell::Cell::new(0);
        let read = |bytes: &[u8], offset: u64, length: usize| {
            largest.set(length.max(largest.get()));
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            bytes[start..start.saturating_add(length).min(bytes.len())].to_vec()
        };
        for (bits, header, at) in [(1_u8, 52, 42), (2, 64, 54)] {
            for size in [0, 1, 31, 32, 33, 55, 56, 57, u16::MAX] {
                for count in [0, 1, 73, 74, 128, 129, 1_170, 1_171, 2_048, 2_049, u16::MAX] {
                    let mut bytes = vec![0; 1 << 17];
                    bytes[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', bits, 1]);
                    (bytes[16], bytes[if bits == 1 { 28 } else { 32 }]) = (2, header);
                    bytes[at..at + 2].copy_from_slice(&size.to_le_bytes());
                    bytes[at + 2..at + 4].copy_from_slice(&count.to_le_bytes());
                    let right = size == if bits == 1 { 32 } else { 56 };
                    let few =
                        (1..=LARGEST_TABLE / if bits == 1 { 32 } else { 56 }).contains(&usize::from(count));
                    let parsed = parse(|offset, length| read(&bytes, offset, length));
                    assert_eq!(parsed.is_ok(), right && few, "{bits} {size} {count}: {parsed:?}");
                }
            }
        }
        // A name of a loader as long as the file says.
        let mut bytes = vec![0; 120];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (bytes[16], bytes[32], bytes[54], bytes[56], bytes[64]) = (2, 64, 56, 1, 3);
        bytes[64 + 32..64 + 40].copy_from_slice(&u64::MAX.to_le_bytes());
        let named = parse(|offset, length| read(&bytes, offset, length));
        assert_eq!(named, Err("it is cut off where it names its dynamic linker"));
        assert!(largest.get() <= LARGEST_TABLE, "{}", largest.get());
    }

    #[test]
    fn pieces_and_damaged_copies_never_panic() {
        let bytes = std::fs::read("/proc/self/exe").unwrap();
        for length in (0..1200).step_by(7) {
            let _ = parse_bytes(&bytes[..length]);
        }
        let mut random = 99_u64;
        for _ in 0..5000 {
            let mut head = bytes[..1200].to_vec();
            for _ in 0..6 {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                head[6 + (random >> 40) as usize % 200] = (random >> 33) as u8;
            }
            let _ = parse_bytes(&head);
        }
        assert_eq!(parse_bytes(b"\x7fELF"), Err("it is cut off within its ELF header"));
    }
}
