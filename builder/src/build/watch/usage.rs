//! What the processes of a build use, read from `/proc` of the machine (proc_pid_stat(5), proc_pid_statm(5)).
//!
//! A process whose parent ends is inherited by pid 1 of its namespace (pid_namespaces(7)), so a build is always the tree
//! below its first process.

use std::collections::{BTreeMap, HashMap};
use std::fs;

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
/// The memory that processes still share after a fork is counted for each of them; so when the sum is above `most`, it is
/// taken again by shares (`Pss` of smaps_rollup), which is right and slow.
pub(super) fn of_descendants(ancestor: u32, most: u64) -> Usage {
    let family = family(ancestor, &all());
    let processes = family.values().map(|stat| stat.threads).sum();
    let sum = |bytes: fn(u32) -> Option<u64>| {
        family.keys().filter_map(|id| bytes(*id)).fold(0, u64::saturating_add)
    };
    let memory = match sum(own_bytes) {
        rough if rough > most => sum(|id| shared_out_bytes(id).or_else(|| own_bytes(id))),
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

/// Resident pages that are not a file's.
fn own_bytes(id: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/statm")).ok()?;
    let mut pages = text.split_ascii_whitespace().skip(1).map(str::parse::<u64>);
    let (resident, of_files) = (pages.next()?.ok()?, pages.next()?.ok()?);
    Some(resident.saturating_sub(of_files).saturating_mul(rustix::param::page_size() as u64))
}

/// The same, each page divided by the number of processes that have it.
fn shared_out_bytes(id: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    Some(of("Pss_Anon")?.saturating_add(of("Pss_Shmem")?).saturating_mul(1024))
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
}
