//! The bounds of a build that the kernel keeps by itself.
//!
//! What it cannot keep for a whole build without a control group of its own, the sum over all processes, is watched from
//! outside: `builder/src/build/watch`.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::spec::Bounds;
use crate::error::{Error, Result};

/// How much sooner than others the processes of a build go when the machine has no memory left, of 1000
/// (`/proc/PID/oom_score_adj`, proc_pid_oom_score_adj(5)).
const FIRST_TO_GO: &str = "500";

/// `/dev` holds a few nodes and links; a build that fills it stops soon.
const DEV: (u64, u64) = (1 << 20, 1024);
/// The kernel takes about 1 KiB for each inode of a tmpfs, which `size=` does not count: one for each page of contents, as
/// the kernel's own default has it (`Documentation/filesystems/tmpfs.rst`).
const PAGE: u64 = 4096;

/// Lets a build be killed in place of the session of whoever started it. A machine that refuses is no worse off. This process must
/// still be one that others may look into: else this file of it is root's (proc_pid(5)).
pub(super) fn go_first() {
    let _ = std::fs::write("/proc/self/oom_score_adj", FIRST_TO_GO);
}

impl Bounds {
    /// Binds this process and all that it starts. They cannot raise what is lowered here (getrlimit(2)).
    pub(super) fn bind(&self) -> Result<()> {
        for (resource, most) in [
            (Resource::RLIMIT_NPROC, self.processes),
            (Resource::RLIMIT_DATA, self.memory),
            // The core of a crashed tool would land in what is built, or in the machine's own collector.
            (Resource::RLIMIT_CORE, 0),
        ] {
            let (_, hard) = getrlimit(resource).map_err(Error::on("the limits of the build"))?;
            let most = most.min(hard);
            setrlimit(resource, most, most).map_err(Error::on("cannot limit the build"))?;
        }
        Ok(())
    }

    /// The options of a tmpfs that the build may fill, after its mode.
    pub(super) fn tmpfs_options(&self, mode: &str) -> String {
        options(mode, self.tmpfs, (self.tmpfs / PAGE).max(1024))
    }
}

/// The same for `/dev`.
pub(super) fn dev_options() -> String {
    options("0755", DEV.0, DEV.1)
}

fn options(mode: &str, bytes: u64, inodes: u64) -> String {
    format!("mode={mode},size={bytes},nr_inodes={inodes}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tmpfs_has_a_size_and_a_number_of_inodes() {
        let bounds = |tmpfs| Bounds { processes: 1, memory: 1, tmpfs };
        assert_eq!(bounds(1 << 30).tmpfs_options("1777"), "mode=1777,size=1073741824,nr_inodes=262144");
        assert_eq!(bounds(4096).tmpfs_options("0755"), "mode=0755,size=4096,nr_inodes=1024");
        assert_eq!(dev_options(), "mode=0755,size=1048576,nr_inodes=1024");
    }
}
