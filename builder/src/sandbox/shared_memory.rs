//! Memory that belongs to the build's own IPC namespace and to no process: System V's (sysvipc(7)). POSIX message queues are held by
//! RLIMIT_MSGQUEUE (`caller.rs`), and POSIX shared memory is `/dev/shm`.

use std::fs;
use std::path::Path;

/// Bytes of a page of shared memory, of which shmall is a number.
const PAGE: u64 = 4096;
/// Queues, each of up to 16 KiB (`msgmnb`): 16 MiB of messages, where the kernel's own 32,000 would be 500 MiB.
const QUEUES: &str = "1024";
/// Semaphores in a set, in all, changed by one call, and sets: 16 MiB (64 bytes each), where the kernel's own would be 60 GiB.
const SEMAPHORES: &str = "32000 256000 500 1024";

/// Holds all segments together to `most` bytes. A kernel that does not let the owner of a namespace do so is no worse off than before: it
/// can since Linux 6.9 (`ipc_permissions` of `ipc/ipc_sysctl.c`).
pub(super) fn bound(root: &Path, most: u64) {
    for (name, value) in [
        ("shmall", (most / PAGE).to_string().as_str()),
        ("shmmax", most.to_string().as_str()),
        ("msgmni", QUEUES),
        ("sem", SEMAPHORES),
    ] {
        let _ = fs::write(root.join("proc/sys/kernel").join(name), value);
    }
}
