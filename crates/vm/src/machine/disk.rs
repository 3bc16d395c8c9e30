//! A disk of a machine.

use std::path::{Path, PathBuf};

use crate::share::Access;

/// How a disk is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bus {
    Virtio,
    /// A stick on xHCI, as its mass storage class has it (`usb-storage` of qemu(1)).
    Usb,
}

/// A disk of the machine.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub(super) image: PathBuf,
    pub(super) bus: Bus,
    /// Whether what the guest writes is forgotten when it ends.
    pub(super) forgets: bool,
    /// Whether the guest can write at all.
    pub(super) access: Access,
    /// Stops to answer after so many bytes.
    pub(super) stops_after: Option<u64>,
    /// The file in which each write is remembered.
    pub(super) log: Option<PathBuf>,
    pub(super) format: DiskFormat,
}

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

impl Disk {
    pub(super) fn new(image: &Path) -> Self {
        Self {
            image: image.to_owned(),
            bus: Bus::Virtio,
            forgets: true,
            access: Access::Write,
            stops_after: None,
            log: None,
            format: DiskFormat::Raw,
        }
    }
}
