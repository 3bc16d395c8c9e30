//! Where things are, in the initramfs and in what init leaves behind: the formats of ARCHITECTURE.md as constants.

pub use boot_report::paths::{LAMINA, LAYERS, MEDIUM, PROFILE, REPORT, RUN, STATE, TOP};
pub use initramfs_format::paths::{BESIDE, DESCRIPTION as INITRAMFS, KEYS, MODULES, PACKED_STORE};

/// Where the stack is joined, before it becomes `/`.
pub const NEW_ROOT: &str = "/newroot";
/// Where the system finds folders of the host (`/run/host` of container interfaces, file-hierarchy(7) of systemd).
pub const HOST: &str = "/run/host";
/// The rescue shell.
pub const SHELL: &str = "/bin/sh";
/// Where a shell of the initramfs finds its programs.
pub const PROGRAMS: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// The mounts that move to the new root.
pub const MOVED: [&str; 4] = ["/dev", "/proc", "/sys", "/run"];
