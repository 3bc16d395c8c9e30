//! What a process hands down to all that it starts, beside its environment and its descriptors: a build gets the same whoever calls.
//!
//! Left as they are: niceness, the processors it may run on, and the kernel itself. Supplementary groups of an ordinary user cannot be
//! given up; `seccomp.rs` hides them.

use nix::sys::personality::{self, Persona};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, rlim_t, setrlimit};

use crate::error::{Error, Result};

/// Resource, name in getrlimit(2), soft and hard limit. Those of the kernel's own first process (`include/asm-generic/resource.h`), where
/// it has the same on all machines, so that hardly anybody has less. What a build is bound to besides is in `bounds.rs`.
const LIMITS: [(Resource, &str, rlim_t, rlim_t); 13] = [
    (Resource::RLIMIT_AS, "RLIMIT_AS", RLIM_INFINITY, RLIM_INFINITY),
    (Resource::RLIMIT_CPU, "RLIMIT_CPU", RLIM_INFINITY, RLIM_INFINITY),
    (Resource::RLIMIT_FSIZE, "RLIMIT_FSIZE", RLIM_INFINITY, RLIM_INFINITY),
    (Resource::RLIMIT_LOCKS, "RLIMIT_LOCKS", RLIM_INFINITY, RLIM_INFINITY),
    // That before Linux 5.16; 8 MiB since.
    (Resource::RLIMIT_MEMLOCK, "RLIMIT_MEMLOCK", 64 << 10, 64 << 10),
    (Resource::RLIMIT_MSGQUEUE, "RLIMIT_MSGQUEUE", 819_200, 819_200),
    (Resource::RLIMIT_NICE, "RLIMIT_NICE", 0, 0),
    (Resource::RLIMIT_NOFILE, "RLIMIT_NOFILE", 1024, 4096),
    (Resource::RLIMIT_RSS, "RLIMIT_RSS", RLIM_INFINITY, RLIM_INFINITY),
    (Resource::RLIMIT_RTPRIO, "RLIMIT_RTPRIO", 0, 0),
    (Resource::RLIMIT_RTTIME, "RLIMIT_RTTIME", RLIM_INFINITY, RLIM_INFINITY),
    // The kernel's depends on the memory of the machine.
    (Resource::RLIMIT_SIGPENDING, "RLIMIT_SIGPENDING", 1024, 1024),
    (Resource::RLIMIT_STACK, "RLIMIT_STACK", 8 << 20, RLIM_INFINITY),
];

/// Sets [`LIMITS`]: all of them where this process may raise its hard limits (CAP_SYS_RESOURCE on the machine), and else as far as those
/// go, which the log then says. To be called before the rights outside are given up.
pub(super) fn replace_limits() -> Result<()> {
    for (resource, name, soft, hard) in LIMITS {
        let failed = || format!("{name} of the build");
        if setrlimit(resource, soft, hard).is_ok() {
            continue;
        }
        let (_, most) = getrlimit(resource).map_err(Error::on(failed()))?;
        let (reached, hard) = (soft.min(most), hard.min(most));
        setrlimit(resource, reached, hard).map_err(Error::on(failed()))?;
        if reached < soft {
            eprintln!(
                "lamina: sandbox: {name} is {reached}: the hard limit of whoever called lamina, and less than builds have"
            );
        }
    }
    Ok(())
}

/// Heeds all signals, and takes the kernel's ordinary personality (personality(2)): another machine's name, version or layout of memory,
/// as setarch(8) gives them, ends here.
pub(super) fn forget() -> Result<()> {
    stack::inherited::heed_all_signals()?;
    personality::set(Persona::empty()).map(drop).map_err(Error::on("the personality of the build"))
}
