//! The file systems that Lamina mounts from devices: what each can do, what it needs, and who makes and checks it. One table, data
//! and nothing else; another file system is another row of [`FILE_SYSTEMS`], and its reader in `block_probe::superblock`.
//!
//! Every row can hold a store; those with a [`Top`] can hold what a running system has changed, too. The file systems of images,
//! squashfs and EROFS, are not here: `block_probe::image_kind` has them.

mod table;

use std::ops::Range;

pub use table::FILE_SYSTEMS;

/// A row of the table.
#[derive(Debug)]
pub struct FileSystem {
    /// The driver as in `/proc/filesystems`, where modules answer to `fs-DRIVER`; also its word in profiles and options.
    pub driver: &'static str,
    /// As people write it.
    pub title: &'static str,
    /// What blkid(8) calls those that the driver mounts, and [`block_probe`](../block_probe/index.html) too.
    pub kinds: &'static [&'static str],
    /// What a kernel must have, the driver first.
    pub kernel: &'static [KernelPart],
    /// Whether an initramfs has its modules unasked.
    pub packed: Packed,
    /// What the kernel asks for when it mounts one, beside the driver: names of modules, where `*` at the end stands for anything.
    pub loads: &'static [&'static str],
    /// How it is mounted as a medium, beside `ro`, `nosuid`, `nodev` and `noexec`.
    pub medium_options: &'static [&'static str],
    /// With these it is read on a device that is write-protected although it was not unmounted. Without them the kernel wants to
    /// replay the journal first, and refuses when it cannot write. One that was unmounted is read with them just the same. They
    /// need `ro`; what the journal would have changed is read as it was before.
    pub without_replay: &'static [&'static str],
    /// Debian's package with the programs that make it and check it.
    pub package: &'static str,
    /// What there is to say where it holds a writable top, for which overlayfs needs extended attributes, whiteouts and the types of
    /// directory entries; `None` when it has not all of these.
    pub top: Option<Top>,
}

/// Something that a kernel must have for a file system.
#[derive(Debug)]
pub struct KernelPart {
    /// The config symbol without `CONFIG_`.
    pub symbol: &'static str,
    /// The module that it may be, as in `lsmod`; `None` for a part of another module.
    pub module: Option<&'static str>,
    /// One sentence without its full stop: what it is used for.
    pub why: &'static str,
}

/// Whether an initramfs has the modules of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packed {
    /// Always.
    Always,
    /// When somebody asks for it: they are large.
    WhenAskedFor,
}

/// How a file system holds a writable top.
#[derive(Debug)]
pub struct Top {
    /// Options of its mount, as name and value.
    pub mount_options: &'static [(&'static str, &'static str)],
    /// Whether there are some without types of directory entries, by an older format or by choice.
    pub types_by_format: bool,
    /// The config symbol by which it has extended attributes, where that is not said by the driver's own.
    pub attributes_by: Option<&'static str>,
    /// Who makes it.
    pub maker: Maker,
    /// Who checks it.
    pub checker: Checker,
    /// The command that repairs it and keeps its files, or says how; the device comes behind it.
    pub repair: &'static str,
}

/// The program `mkfs.DRIVER`.
#[derive(Debug)]
pub struct Maker {
    /// The smallest device that it accepts, in MiB, with what init leaves free at the end.
    pub smallest: u64,
    /// The longest label, in bytes.
    pub longest_label: usize,
    /// The option before a label.
    pub label_option: &'static str,
    /// What init tells it: quiet, over what it may have left half made before, this label, this UUID, this much, and no discarding
    /// first, which takes minutes on some disks. One of the [`PLACES`] in a word stands for what init puts there.
    pub arguments: &'static [&'static str],
    /// The recipe of `packages/` that makes a static one.
    pub recipe: Option<&'static str>,
}

/// What may stand in a word of [`Maker::arguments`], once: the label, the UUID in 36 characters, the path of the device, and its length
/// in KiB, in sectors of 512 bytes, or in bytes, rounded down to 4096.
pub const PLACES: [&str; 6] = ["{label}", "{uuid}", "{device}", "{kib}", "{sectors}", "{bytes}"];

/// The program that init has as `/sbin/fsck.DRIVER`.
#[derive(Debug)]
pub struct Checker {
    /// Its name where it is installed.
    pub program: &'static str,
    /// What it is told, before the device.
    pub arguments: &'static [&'static str],
    /// It reads a journal only as far as the kernel has replayed it.
    pub after_mount: bool,
    /// The exit statuses for damage that it repaired, and lost nothing by it.
    pub repaired: Range<i32>,
    /// Those for damage that is still there. 0 is no damage; all others: it could not look.
    pub damaged: Range<i32>,
}

/// The row of a driver.
pub fn of_driver(driver: &str) -> Option<&'static FileSystem> {
    FILE_SYSTEMS.iter().find(|row| row.driver == driver)
}

/// The row of the driver that mounts what blkid(8) calls so.
pub fn of_kind(kind: &str) -> Option<&'static FileSystem> {
    FILE_SYSTEMS.iter().find(|row| row.kinds.contains(&kind))
}

/// The rows of those that can hold a writable top.
pub fn with_top() -> impl Iterator<Item = (&'static FileSystem, &'static Top)> {
    FILE_SYSTEMS.iter().filter_map(|row| Some((row, row.top.as_ref()?)))
}

/// Words as a sentence has them: `ext4, xfs or f2fs`, where `last` is ` or `.
pub fn listed(words: impl IntoIterator<Item = &'static str>, last: &str) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    match words.split_last() {
        Some((word, before @ [_, ..])) => [&before.join(", "), last, word].concat(),
        _ => words.concat(),
    }
}
