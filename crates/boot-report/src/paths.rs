//! Where init leaves what it leaves for the running system: the list in ARCHITECTURE.md as constants.

/// All of it is below this folder.
pub const RUN: &str = "/run/lamina";
/// The medium, mounted read-only.
pub const MEDIUM: &str = "/run/lamina/medium";
/// The layers, each mounted read-only under the name of its package.
pub const LAYERS: &str = "/run/lamina/layers";
/// The file system of a persistent top.
pub const STATE: &str = "/run/lamina/state";
/// The writable top: a tmpfs, or a folder of the state file system.
pub const TOP: &str = "/run/lamina/top";
/// The profile that was booted, byte for byte.
pub const PROFILE: &str = "/run/lamina/profile.kdl";
/// The report of the boot: JSON, schema in `docs/boot.md`.
pub const REPORT: &str = "/run/lamina/report.json";
/// The command `lamina` of the running system: a link to the program that ends it.
pub const LAMINA: &str = "/run/lamina/bin/lamina";
/// The partition with the boot menu while a command of the running system has it mounted: a folder that nobody but root enters.
pub const ESP: &str = "/run/lamina/esp";
/// Held by the one command, `lamina bless` or `lamina system`, that has the medium or the menu's partition open.
pub const BLESS_LOCK: &str = "/run/lamina/bless.lock";
