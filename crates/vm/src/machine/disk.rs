//! A disk of a machine.

use std::path::{Path, PathBuf};

use disk_image::DiskFormat;

use super::Controller;
use super::option::{escaped, words};
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

/// A disk that is put into the running machine.
#[derive(Debug, Clone)]
pub(super) struct LateDisk {
    pub(super) image: PathBuf,
    pub(super) is_stick: bool,
}

impl LateDisk {
    /// The order that plugs it in (qemu(1), `device_add`).
    pub(super) fn order(&self) -> &'static str {
        match self.is_stick {
            true => "device_add usb-storage,drive=late,removable=on\n",
            false => "device_add virtio-blk-pci,drive=late,bus=lateport\n",
        }
    }

    pub(super) fn arguments(&self) -> Vec<String> {
        // The root bus of q35 takes no devices while it runs; a root port has a slot that does.
        let mut arguments = match self.is_stick {
            true => Vec::new(),
            false => words("-device pcie-root-port,id=lateport,chassis=1"),
        };
        let drive = format!("file={},if=none,id=late,format=raw,snapshot=on", escaped(&self.image));
        arguments.extend(["-drive".to_owned(), drive]);
        arguments
    }
}
