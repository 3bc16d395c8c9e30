//! A disk of a machine.

use std::path::{Path, PathBuf};

use super::{Controller, DiskFormat};
use crate::share::Access;

/// How a disk is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bus {
    Virtio,
    /// A stick on xHCI, as its mass storage class has it (`usb-storage` of qemu(1)).
    Usb,
    /// Alone behind one of these.
    Behind(Controller),
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
