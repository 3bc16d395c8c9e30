//! The formats of disks that QEMU reads and writes.

use std::path::Path;

/// How the bytes of a disk lie in its file. Never guessed from the bytes: a guest could write the head of another format, which names
/// files of the host (qemu(1), `-drive format=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFormat {
    /// One after the other.
    Raw,
    /// QEMU's own.
    Qcow2,
    /// VMware's.
    Vmdk,
    /// Hyper-V's.
    Vhdx,
}

impl DiskFormat {
    /// By the ending of the file's name; raw, where it is none of the others.
    pub fn of_name(file: &Path) -> Self {
        let ending = file.extension().unwrap_or_default();
        let known = [("qcow2", Self::Qcow2), ("vmdk", Self::Vmdk), ("vhdx", Self::Vhdx)];
        known
            .into_iter()
            .find(|(it, _)| ending.eq_ignore_ascii_case(it))
            .map_or(Self::Raw, |(_, format)| format)
    }

    /// As qemu(1) calls it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
            Self::Vhdx => "vhdx",
        }
    }
}
