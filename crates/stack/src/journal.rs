//! File systems whose journal cannot be replayed, because nothing can be written to the device.

/// The options with which a file system that was not unmounted can be read on a device that is write-protected. Without them the
/// kernel wants to replay the journal first, and refuses when it cannot write. One that was unmounted is read with them just the
/// same. They need `ro`. What the journal would have changed is read as it was before.
///
/// `noload` of `Documentation/admin-guide/ext4.rst`, `norecovery` and `nouuid` of `Documentation/admin-guide/xfs.rst` (a copy of a disk
/// that was pulled has the UUID of the disk), `rescue=nologreplay` of btrfs(5) since Linux 5.9, `norecovery` of
/// `Documentation/filesystems/f2fs.rst`.
pub fn without_replay(driver: &str) -> &'static [&'static str] {
    match driver {
        "ext4" => &["noload"],
        "xfs" => &["norecovery", "nouuid"],
        "btrfs" => &["rescue=nologreplay"],
        "f2fs" => &["norecovery"],
        _ => &[],
    }
}
