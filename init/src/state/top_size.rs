//! Whether a tmpfs fits into the memory of this machine.
//!
//! A tmpfs may be larger than the memory (tmpfs(5)): the kernel then ends programs, in the order that suits it, long before
//! anybody reads "No space left on device".

use nix::sys::sysinfo::sysinfo;
use profiles::TmpfsSize;

use crate::size::Size;

/// What programs need beside a root that is full.
const LEAST_LEFT: u64 = 64 << 20;

/// Half of any memory leaves enough.
const NEVER_TOO_MUCH: u8 = 50;

/// A warning when a full root would leave too little memory for programs on this machine. The memory is `totalram` of
/// sysinfo(2), which is not asked without need: the kernel adds up a lot for it.
pub fn warning_here(size: TmpfsSize) -> Option<String> {
    match size {
        TmpfsSize::Percent(percent) if percent <= NEVER_TOO_MUCH => None,
        _ => warning(size, sysinfo().ok()?.ram_total()),
    }
}

/// The same for a machine with `memory` bytes.
fn warning(size: TmpfsSize, memory: u64) -> Option<String> {
    let (written, bytes) = match size {
        TmpfsSize::Percent(percent) => (size.to_string(), memory / 100 * u64::from(percent)),
        TmpfsSize::Bytes(bytes) => (Size(bytes).to_string(), bytes),
    };
    let end = format!(
        "when the root is full, the kernel will end programs for want of memory; write at most {}M",
        memory.saturating_sub(LEAST_LEFT).max(memory / 2) >> 20
    );
    match memory.checked_sub(bytes) {
        None => Some(format!("root size={written} is more than the memory ({}): {end}", Size(memory))),
        Some(left) if left < LEAST_LEFT && bytes > memory / 2 => {
            Some(format!("root size={written} leaves {} of the memory ({}): {end}", Size(left), Size(memory)))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: u64 = 488 << 20;

    #[test]
    fn too_large_a_root_is_told_with_the_numbers() {
        assert_eq!(
            warning(TmpfsSize::Bytes(4 << 30), MEMORY).unwrap(),
            "root size=4096 MiB is more than the memory (488 MiB): when the root is full, the kernel will end programs for \
             want of memory; write at most 424M"
        );
        let tight = warning(TmpfsSize::Percent(95), MEMORY).unwrap();
        assert!(tight.starts_with("root size=95% leaves 24 MiB of the memory (488 MiB): "), "{tight}");
        assert!(warning(TmpfsSize::Bytes(MEMORY), MEMORY).is_some());
    }

    #[test]
    fn half_of_the_memory_is_never_too_much() {
        for memory in [MEMORY, 64 << 20, 1 << 40] {
            assert_eq!(warning(TmpfsSize::Percent(50), memory), None);
        }
        assert_eq!(warning(TmpfsSize::Bytes(400 << 20), MEMORY), None);
    }

    #[test]
    fn this_machine_has_memory_but_no_exabyte() {
        assert_eq!(warning_here(TmpfsSize::Bytes(16 << 20)), None);
        assert!(warning_here(TmpfsSize::Bytes(1 << 60)).unwrap().contains("more than the memory"));
        assert_eq!(warning_here(TmpfsSize::Percent(50)), None);
    }
}
