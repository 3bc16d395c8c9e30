//! What the kernel tells of its memory and its processors.

use std::fs;
use std::sync::OnceLock;

use nix::sys::sysinfo::sysinfo;

const POSSIBLE: &str = "/sys/devices/system/cpu/possible";

/// What the kernel says, or in tests made-up figures.
#[derive(Debug)]
pub(super) struct KernelMemory {
    pub(super) unused: fn() -> u64,
    pub(super) meminfo: fn() -> Option<String>,
    pub(super) possible: OnceLock<u64>,
}

impl Default for KernelMemory {
    fn default() -> Self {
        Self {
            unused: || sysinfo().map_or(0, |info| info.ram_unused()),
            meminfo: || fs::read_to_string("/proc/meminfo").ok(),
            possible: OnceLock::new(),
        }
    }
}

impl KernelMemory {
    /// Bytes that nothing uses: the kernel has that number at hand.
    pub(super) fn unused(&self) -> u64 {
        (self.unused)()
    }

    /// Bytes that nothing uses, or that the kernel could have by giving up caches.
    pub(super) fn left(&self) -> Option<u64> {
        available(&(self.meminfo)()?)
    }

    /// Bytes that are allocated by vmalloc, as the states of decompressors are.
    pub(super) fn vmalloc(&self) -> Option<u64> {
        field(&(self.meminfo)()?, "VmallocUsed")
    }

    /// The processors that may ever be there (`Documentation/admin-guide/cputopology.rst`), read once; one as long as that cannot be
    /// read, as before sysfs is mounted.
    pub(super) fn possible(&self) -> u64 {
        if let Some(possible) = self.possible.get() {
            return *possible;
        }
        match fs::read_to_string(POSSIBLE).ok().and_then(|list| count(&list)) {
            Some(possible @ 1..) => *self.possible.get_or_init(|| possible),
            _ => 1,
        }
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

/// How many numbers a list such as `0-3,8` has.
fn count(list: &str) -> Option<u64> {
    list.trim().split(',').try_fold(0_u64, |sum, range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
        sum.checked_add(u64::from(last.checked_sub(first)?) + 1)
    })
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
    fn possible_processors_are_counted() {
        let counts =
            ["0\n", "0-127\n", "0-3,8,10-11", "", "3-1", "a", "0-4294967295,0-4294967295"].map(count);
        assert_eq!(counts, [Some(1), Some(128), Some(7), None, None, None, Some(1 << 33)]);
        assert!(KernelMemory::default().possible() > 0 && KernelMemory::default().left() > Some(0));
    }
}
