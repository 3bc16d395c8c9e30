//! Whether there is memory for one more layer.
//!
//! Layers live in the kernel's memory. When that is used up, the kernel ends programs; with PID 1 alone it panics (`System is
//! deadlocked on memory`), and nobody learns that the profile was too large for the machine.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::sysinfo::sysinfo;

use crate::block_devices::Size;
use crate::error::Failure;

/// Below this no layer is added: what the largest layers take that are mounted at the same time, and the recovery screen.
const LEAST: u64 = 12 << 20;
/// With so much that nothing uses there is no need to look closer, which costs a hundred times as much.
const PLENTY: u64 = 64 << 20;
/// More than any layer takes: with blocks of 1 MiB it is about 4 MiB. The kernel adds up a lot for each answer, so that it is not asked
/// again before the memory that it has told of can be used up.
const MOST_OF_A_LAYER: u64 = 16 << 20;

/// So many layers have room before the kernel is asked again.
static ROOM: AtomicU64 = AtomicU64::new(0);

/// Whether one more layer may be opened or mounted. Where the kernel does not tell, it may.
///
/// # Errors
/// Less than 12 MiB of the memory are left.
pub fn for_a_layer() -> Result<(), Failure> {
    if ROOM.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(1)).is_ok() {
        return Ok(());
    }
    let unused = sysinfo().map_or(0, |info| info.ram_unused());
    let left = match unused {
        PLENTY.. => Some(unused),
        // What the kernel could have by giving up caches counts as well.
        _ => fs::read_to_string("/proc/meminfo").ok().and_then(|meminfo| available(&meminfo)),
    };
    let Some(left) = left else { return Ok(()) };
    ROOM.store(judge(left)?, Ordering::Relaxed);
    Ok(())
}

/// How many more layers have room beside the one that is asked for.
fn judge(left: u64) -> Result<u64, Failure> {
    match left.checked_sub(LEAST) {
        Some(rest) => Ok(rest / MOST_OF_A_LAYER),
        None => Err(Failure::new(format!("the memory is used up: {} are left", Size(left)))
            .try_this("boot a profile with fewer layers, or give the machine more memory: a squashfs layer takes about 1 MiB of it, and one with blocks of 1 MiB more than 4 MiB")
            .try_this("or make EROFS images, which take a tenth of it")),
    }
}

/// Bytes of proc_meminfo(5). Not those of cached names and inodes, of which `MemAvailable` has a half: mounts hold them. With 500
/// layers it promised 14 MiB when there was nothing.
fn available(meminfo: &str) -> Option<u64> {
    Some(field(meminfo, "MemAvailable")?.saturating_sub(field(meminfo, "SReclaimable").unwrap_or(0)))
}

fn field(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_available_is_what_no_mount_holds() {
        let text = "MemTotal:        2028884 kB\nMemAvailable:    9 kB\nHugePages_Total: 3\n";
        assert_eq!((field(text, "MemTotal"), field(text, "Mem")), (Some(2_028_884 << 10), None));
        assert_eq!(available(text), Some(9 << 10));
        assert_eq!(available(&format!("{text}SReclaimable: 8 kB\n")), Some(1 << 10));
        assert_eq!(available(&format!("{text}SReclaimable: 10 kB\n")), Some(0));
        assert_eq!((available("MemAvailable: much\n"), field(text, "HugePages_Total")), (None, None));
    }

    #[test]
    fn no_layer_is_added_when_the_memory_is_used_up() {
        assert_eq!(judge(LEAST), Ok(0));
        assert_eq!(judge(LEAST + 3 * MOST_OF_A_LAYER), Ok(3));
        assert_eq!(judge(LEAST - 1).unwrap_err().why, "the memory is used up: 11 MiB are left");
        assert!(for_a_layer().is_ok() && ROOM.load(Ordering::Relaxed) > 0);
    }
}
