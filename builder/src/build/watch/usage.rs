//! What the processes of a build use, read from `/proc` of the machine (proc_pid_stat(5), proc_pid_status(5), proc_pid_fd(5)).
//!
//! A process whose parent ends is inherited by pid 1 of its namespace (pid_namespaces(7)), so a build is always the tree
//! below its first process.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

/// What a tree of processes has at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Processes and threads.
    pub processes: u64,
    /// Bytes of memory of their own: not what is a file's and can be read again.
    pub memory: u64,
}

/// One line of `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: u32,
    threads: u64,
}

/// The process `ancestor` and all below it. What ends meanwhile does not count.
///
/// The memory that processes share is counted for each of them, and a memfd that is mapped for its descriptor too; so when the sum is
/// above `most`, it is taken again by shares (`Pss` of smaps_rollup), which is slow. Of shared memory that is then the larger of what is
/// mapped and what descriptors hold, at least half of what there is.
pub(super) fn of_descendants(ancestor: u32, most: u64) -> Usage {
    let family = family(ancestor, &all());
    let processes = family.values().map(|stat| stat.threads).sum();
    let sum = |memory: fn(u32) -> Option<Memory>| {
        family.keys().filter_map(|id| memory(*id)).fold(Memory::default(), Memory::and)
    };
    let (rough, unnamed) = (sum(resident), unnamed_files(family.keys().copied()));
    let memory = match rough.private.saturating_add(rough.shared).saturating_add(unnamed) {
        rough if rough > most => {
            let exact = sum(|id| shared_out(id).or_else(|| resident(id)));
            exact.private.saturating_add(exact.shared.max(unnamed))
        }
        rough => rough,
    };
    Usage { processes, memory }
}

fn all() -> HashMap<u32, Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter_map(|id| Some((id, stat(&fs::read(format!("/proc/{id}/stat")).ok()?)?))).collect()
}

/// The name in brackets may hold anything, also brackets and spaces; the last bracket closes it.
fn stat(line: &[u8]) -> Option<Stat> {
    let name_end = line.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&line[name_end + 1..]).ok()?;
    // Fields 3 (state), 4 (parent) and 20 (threads).
    let mut fields = rest.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let threads = fields.nth(15)?.parse().ok()?;
    Some(Stat { parent, threads })
}

fn family(ancestor: u32, all: &HashMap<u32, Stat>) -> BTreeMap<u32, Stat> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for (id, stat) in all {
        children.entry(stat.parent).or_default().push(*id);
    }
    let (mut found, mut waiting) = (BTreeMap::new(), vec![ancestor]);
    while let Some(id) = waiting.pop() {
        // Removed: a number that was given anew while all were read may make a circle.
        waiting.extend(children.remove(&id).unwrap_or_default());
        found.extend(all.get(&id).map(|stat| (id, *stat)));
    }
    found
}

/// Bytes that are no file's that could be read again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Memory {
    private: u64,
    /// Of shared memory: anonymous, of System V, memfds, and files of a tmpfs.
    shared: u64,
}

impl Memory {
    fn and(self, other: Memory) -> Memory {
        Memory {
            private: self.private.saturating_add(other.private),
            shared: self.shared.saturating_add(other.shared),
        }
    }

    /// From a file of lines `NAME:  NUMBER kB`.
    fn read(path: &str, private: &str, shared: &str) -> Option<Memory> {
        let text = fs::read_to_string(path).ok()?;
        let of = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
        };
        Some(Memory { private: of(private)?, shared: of(shared)? })
    }
}

/// What a process has in its page tables.
fn resident(id: u32) -> Option<Memory> {
    Memory::read(&format!("/proc/{id}/status"), "RssAnon", "RssShmem")
}

/// The same, each page divided by the number of processes that have it.
fn shared_out(id: u32) -> Option<Memory> {
    Memory::read(&format!("/proc/{id}/smaps_rollup"), "Pss_Anon", "Pss_Shmem")
}

/// What the memfds take for which these processes have descriptors, mapped or not: each once. Those of processes that nobody may look into
/// are not seen, nor those that are on their way through a socket.
fn unnamed_files(processes: impl Iterator<Item = u32>) -> u64 {
    let mut found = BTreeMap::new();
    for id in processes {
        for entry in fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten() {
            let path = entry.path();
            if fs::read_link(&path).is_ok_and(|to| to.as_os_str().as_bytes().starts_with(b"/memfd:"))
                && let Ok(file) = fs::metadata(&path)
            {
                // In units of 512 bytes (stat(3type)): what is there, and not the holes.
                found.insert((file.dev(), file.ino()), file.blocks().saturating_mul(512));
            }
        }
    }
    found.into_values().fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_lie() {
        let line = b"7 (a) R 1 1 (b) R) S 42 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 13 0 99 8192 5";
        assert_eq!(stat(line), Some(Stat { parent: 42, threads: 13 }));
        for broken in [&b""[..], b"7 (a", b"7 (a) S", b"7 (a) S x 1", b"7 (a) S 42 7 7 0 -1"] {
            assert_eq!(stat(broken), None);
        }
    }

    #[test]
    fn a_family_is_all_that_hangs_on_its_ancestor() {
        let of = |pairs: &[(u32, u32)]| {
            let stat = |parent| Stat { parent, threads: 2 };
            let all = pairs.iter().map(|(id, parent)| (*id, stat(*parent))).collect();
            family(10, &all).into_keys().collect::<Vec<u32>>()
        };
        assert_eq!(of(&[(1, 0), (10, 1), (11, 10), (12, 11), (13, 1)]), [10, 11, 12]);
        assert_eq!(of(&[(1, 0)]), [0_u32; 0]);
        // A circle, as a number that was given anew may show it.
        assert_eq!(of(&[(10, 11), (11, 10)]), [10, 11]);
    }

    #[test]
    fn a_process_and_its_child_are_counted_with_what_they_hold() {
        let held = std::hint::black_box(vec![1_u8; 64 << 20]);
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let found = of_descendants(std::process::id(), u64::MAX);
        let exact = of_descendants(std::process::id(), 0);
        child.kill().unwrap();
        child.wait().unwrap();
        drop(held);
        assert!(found.processes >= 2, "{found:?}");
        assert!(found.memory >= 64 << 20 && exact.memory >= 64 << 20, "{found:?} {exact:?}");
        assert!(exact.memory <= found.memory * 2, "{found:?} {exact:?}");
    }

    #[test]
    fn a_memfd_counts_with_what_is_in_it_and_once() {
        let memory = rustix::fs::memfd_create("held", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let mut file = fs::File::from(memory);
        std::io::Write::write_all(&mut file, &vec![1; 32 << 20]).unwrap();
        // A hole takes nothing.
        file.set_len(1 << 30).unwrap();
        let second = file.try_clone().unwrap();
        let mut child =
            std::process::Command::new("sleep").arg("1000").stdin(file).stdout(second).spawn().unwrap();
        let found = (unnamed_files([child.id()].into_iter()), of_descendants(child.id(), 0).memory);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(((32 << 20)..(33 << 20)).contains(&found.0) && found.1 >= 32 << 20, "{found:?}");
    }
}
