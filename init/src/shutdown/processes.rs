//! Who still runs: read from `/proc`, as proc(5) describes it, and ended.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};

/// PF_KTHREAD of the kernel's `include/linux/sched.h`.
const KERNEL_THREAD: u64 = 0x0020_0000;
/// How long a process may take to end after SIGTERM; services have been stopped before, by their own manager.
const AFTER_TERM: Duration = Duration::from_secs(5);
/// After SIGKILL only the kernel's own work is left.
const AFTER_KILL: Duration = Duration::from_secs(2);

/// What is read of `maps`: some 10,000 mappings, more than servers have. A process may have 65,530 of them, with paths of 4 KiB.
const LONGEST_MAPS: u64 = 1 << 20;

/// `Uid:` is the ninth line of `status`.
const LONGEST_STATUS: u64 = 1024;

/// What matters of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pid: i32,
    parent: i32,
    name: String,
    /// A thread of the kernel, or dead already: signals change nothing.
    beyond_signals: bool,
    /// Its `argv[0]` begins with `@`: it serves a file system, and goes last (systemd's ROOT_STORAGE_DAEMONS document).
    serves_storage: bool,
}

/// Everything that runs.
fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read(entry.path().join("stat")).ok()?;
            let mut process = parse(pid, &String::from_utf8_lossy(&stat))?;
            process.serves_storage = serves_storage(&entry.path());
            Some(process)
        })
        .collect()
}

/// Anybody can call a process `@x`, and would spoil the end of every system with one that holds a file: root's word alone counts. What runs in
/// a user namespace is seen with the user that it has outside. The user first and once more behind: a process may become another one.
fn serves_storage(process: &Path) -> bool {
    let is_root = || is_root(&String::from_utf8_lossy(&beginning(&process.join("status"), LONGEST_STATUS)));
    is_root() && beginning(&process.join("cmdline"), 1) == b"@" && is_root()
}

/// Whether real, effective, saved and file system user are 0: `Uid:` of `/proc/PID/status`, of which the process itself decides only the line
/// `Name:`, in which the kernel escapes line breaks.
fn is_root(status: &str) -> bool {
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
    let users: Vec<&str> = users.split_whitespace().collect();
    users.len() == 4 && users.iter().all(|user| *user == "0")
}

/// At most so many bytes of a file that a process of any user decides upon: its arguments may take megabytes, its list of mappings hundreds.
fn beginning(path: &Path, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What cannot be read holds nothing: a process may be gone by now.
    let _ = fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
    bytes
}

/// `PID (NAME) STATE PPID PGRP SESSION TTY TPGID FLAGS ...`; the name may hold anything, `)` too.
fn parse(pid: i32, stat: &str) -> Option<Process> {
    let (head, fields) = stat.rsplit_once(") ")?;
    let (_, name) = head.split_once('(')?;
    let mut fields = fields.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let flags: u64 = fields.nth(4)?.parse().ok()?;
    let beyond_signals = flags & KERNEL_THREAD != 0 || ["Z", "X"].contains(&state);
    Some(Process { pid, parent, name: name.to_owned(), beyond_signals, serves_storage: false })
}

/// Whom to leave alone, besides PID 1, this process and those that wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spare {
    /// What serves a file system that may still be mounted.
    Storage,
    /// None: what they serve is unmounted, or never will be.
    Nobody,
}

/// Those that may be ended by `myself`: not PID 1, not itself, not the processes that wait for it.
fn victims(all: &[Process], myself: i32, spare: Spare) -> Vec<&Process> {
    let parent = |pid: i32| all.iter().find(|process| process.pid == pid).map(|process| process.parent);
    // A parent that ends meanwhile may leave a circle in the table; nothing is nested as deeply as the table is long.
    let line: Vec<i32> =
        std::iter::successors(Some(myself), |pid| parent(*pid)).take(all.len() + 1).collect();
    all.iter()
        .filter(|process| process.pid != 1 && !line.contains(&process.pid))
        .filter(|process| !process.beyond_signals)
        .filter(|process| !process.serves_storage || spare == Spare::Nobody)
        .collect()
}

/// Asks all of them to end, makes them, and says who is still there: `NAME (PID)`.
pub fn end_all(spare: Spare) -> Vec<String> {
    for (signal, patience) in [(Signal::SIGTERM, AFTER_TERM), (Signal::SIGKILL, AFTER_KILL)] {
        let deadline = Instant::now() + patience;
        let mut signalled: Vec<i32> = Vec::new();
        loop {
            reap();
            let all = all();
            let left = victims(&all, getpid().as_raw(), spare);
            if left.is_empty() {
                return Vec::new();
            }
            if Instant::now() >= deadline {
                break;
            }
            // Each once, and those that were started meanwhile too.
            let new: Vec<i32> =
                left.iter().map(|process| process.pid).filter(|pid| !signalled.contains(pid)).collect();
            for pid in &new {
                let pid = Pid::from_raw(*pid);
                // ESRCH: it has ended. The shells that people work in take no notice of SIGTERM, and end at SIGHUP.
                let _ = kill(pid, signal);
                if signal == Signal::SIGTERM {
                    let _ = kill(pid, Signal::SIGHUP);
                    // A stopped process takes no other signal.
                    let _ = kill(pid, Signal::SIGCONT);
                }
            }
            signalled.extend(new);
            sleep(Duration::from_millis(10));
        }
    }
    let all = all();
    victims(&all, getpid().as_raw(), spare).iter().map(|process| process.to_string()).collect()
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name, self.pid)
    }
}

/// PID 1 inherits every orphan.
fn reap() {
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            return;
        }
    }
}

/// How a process can keep a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// It can write there.
    Writes,
    /// It has anything there: open files, folders, programs.
    Uses,
}

/// Who keeps the mounts with these numbers, which show the folder `target`: `NAME (PID): FILE`, some of them.
pub fn holders(mounts: &[u32], target: &Path, hold: Hold) -> Vec<String> {
    const MOST: usize = 4;
    let mut found = Vec::new();
    for process in all().iter().filter(|process| !process.beyond_signals) {
        let folder = Path::new("/proc").join(process.pid.to_string());
        if let Some(file) = held_by(&folder, mounts, target, hold) {
            found.push(format!("{process}: {file}"));
        }
        if found.len() == MOST {
            break;
        }
    }
    found
}

fn held_by(process: &Path, mounts: &[u32], target: &Path, hold: Hold) -> Option<String> {
    let descriptors = fs::read_dir(process.join("fdinfo")).into_iter().flatten().flatten();
    for descriptor in descriptors {
        let info = fs::read_to_string(descriptor.path()).unwrap_or_default();
        if keeps(&info, mounts, hold) {
            let link = fs::read_link(process.join("fd").join(descriptor.file_name()));
            return Some(link.map_or_else(|_| "an open file".to_owned(), |path| path.display().to_string()));
        }
    }
    // The root holds everything below it, and says nothing.
    if hold == Hold::Writes || target == Path::new("/") {
        return None;
    }
    let links = ["cwd", "root", "exe"].iter().filter_map(|name| fs::read_link(process.join(name)).ok());
    let link = links.into_iter().find(|link| link.starts_with(target));
    let maps = || {
        let maps = beginning(&process.join("maps"), LONGEST_MAPS);
        let maps = String::from_utf8_lossy(&maps);
        let paths = maps.lines().filter_map(|line| line.find('/').and_then(|at| line.get(at..)));
        paths.map(Path::new).find(|path| path.starts_with(target)).map(Path::to_path_buf)
    };
    link.or_else(maps).map(|path| path.display().to_string())
}

/// `fdinfo` of a descriptor: `flags:` are those of open(2), octal, the lowest two bits the way of access.
fn keeps(info: &str, mounts: &[u32], hold: Hold) -> bool {
    let field = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::trim).unwrap_or_default().to_owned()
    };
    let there = field("mnt_id:").parse().is_ok_and(|id: u32| mounts.contains(&id));
    let writes = u32::from_str_radix(&field("flags:"), 8).is_ok_and(|flags| flags & 3 != 0);
    there && (hold == Hold::Uses || writes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32) -> Process {
        let stat = format!("{pid} (a) b) S {parent} 1 1 0 -1 4194560 0 0");
        parse(pid, &stat).unwrap()
    }

    #[test]
    fn a_line_of_stat_is_read_whatever_the_name() {
        let worker = parse(2, "2 (kthread) x) S 0 0 0 0 -1 2129984 0").unwrap();
        assert_eq!((worker.name.as_str(), worker.parent, worker.beyond_signals), ("kthread) x", 0, true));
        assert!(!process(5, 1).beyond_signals);
        assert!(parse(7, "7 (dead) Z 1 1 1 0 -1 4194560 0").unwrap().beyond_signals);
        assert_eq!(parse(7, "garbage"), None);
        assert_eq!(parse(7, "7 (short) S"), None);
    }

    #[test]
    fn a_program_does_not_end_those_that_wait_for_it() {
        let mut all: Vec<Process> = [(1, 0), (10, 1), (11, 10), (12, 11), (20, 1), (21, 20)]
            .map(|(pid, parent)| process(pid, parent))
            .to_vec();
        all[4].serves_storage = true;
        let pids = |myself| {
            victims(&all, myself, Spare::Storage).iter().map(|process| process.pid).collect::<Vec<_>>()
        };
        assert_eq!(pids(12), [21]);
        assert_eq!(pids(1), [10, 11, 12, 21]);
        assert_eq!(pids(99), [10, 11, 12, 21]);
        assert_eq!(victims(&all, 12, Spare::Nobody).len(), 2);
    }

    #[test]
    fn only_a_process_of_root_is_believed_that_it_serves_a_file_system() {
        let status = |users: &str| {
            format!("Name:\t@x\nUmask:\t0022\nState:\tS\nPid:\t7\nUid:\t{users}\nGid:\t0\t0\t0\t0\n")
        };
        assert!(is_root(&status("0\t0\t0\t0")));
        for users in [
            "1000\t1000\t1000\t1000",
            "1000\t0\t0\t0",
            "0\t1000\t0\t0",
            "0\t0\t1000\t0",
            "0\t0\t0\t1000",
            "0\t0\t0",
            "",
        ] {
            assert!(!is_root(&status(users)), "{users}");
        }
        assert!(!is_root("") && !is_root("Name:\tUid: 0 0 0 0\n"));
        // What a person may see of this process is what init would.
        let status = beginning(Path::new("/proc/self/status"), LONGEST_STATUS);
        assert_eq!(is_root(&String::from_utf8_lossy(&status)), rustix::process::geteuid().is_root());
    }

    #[test]
    fn only_writers_keep_a_file_system_writable() {
        let info = "pos:\t0\nflags:\t0100001\nmnt_id:\t29\nino:\t5\n";
        assert!(keeps(info, &[28, 29], Hold::Writes));
        assert!(!keeps(info, &[28], Hold::Uses));
        let reader = info.replace("100001", "100000");
        assert!(keeps(&reader, &[29], Hold::Uses) && !keeps(&reader, &[29], Hold::Writes));
        assert!(!keeps("", &[29], Hold::Uses));
    }

    #[test]
    fn this_process_is_found_by_what_it_has_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("open");
        let _file = fs::File::create(&path).unwrap();
        let table = crate::mounts::parse(&fs::read("/proc/self/mountinfo").unwrap());
        let ids: Vec<u32> = table.iter().map(|mount| mount.id).collect();
        let myself = Path::new("/proc/self");
        assert!(held_by(myself, &ids, folder.path(), Hold::Writes).is_some());
        assert!(held_by(myself, &[], &path, Hold::Writes).is_none());
    }
}
