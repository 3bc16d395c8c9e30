//! Where things are, in the initramfs and in what init leaves behind: the formats of ARCHITECTURE.md as constants.

pub use initramfs_format::paths::{DESCRIPTION as INITRAMFS, KEYS, MODULES, PACKED_STORE};

/// All that init leaves for the running system is below it.
pub const RUN: &str = "/run/lamina";
/// The medium, mounted read-only.
pub const MEDIUM: &str = "/run/lamina/medium";
/// The layers, each under its name.
pub const LAYERS: &str = "/run/lamina/layers";
/// The file system of a persistent top.
pub const STATE: &str = "/run/lamina/state";
/// The writable top: a tmpfs, or a folder of the state file system.
pub const TOP: &str = "/run/lamina/top";
/// The profile that was booted, byte for byte.
pub const PROFILE: &str = "/run/lamina/profile.kdl";
/// The report of the boot: JSON, schema in `docs/boot.md`.
pub const REPORT: &str = "/run/lamina/report.json";
/// Where the stack is joined, before it becomes `/`.
pub const NEW_ROOT: &str = "/newroot";
/// The rescue shell.
pub const SHELL: &str = "/bin/sh";
/// The mounts that move to the new root.
pub const MOVED: [&str; 4] = ["/dev", "/proc", "/sys", "/run"];
