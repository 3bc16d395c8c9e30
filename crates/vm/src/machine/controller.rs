//! Controllers of disks that other hypervisors and computers have, as QEMU has them too.

use super::option::words;

/// What a disk is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controller {
    /// virtio-blk, as [`super::Machine::disk`] has it: each disk its own device.
    VirtioBlk,
    /// virtio-scsi: one device for all disks.
    VirtioScsi,
    /// AHCI, which q35 has by itself.
    Sata,
    /// A disc in a drive on AHCI.
    SataDisc,
    /// A stick on USB (mass storage, bulk only).
    UsbStick,
    /// An NVMe drive.
    Nvme,
    /// A fast USB drive (USB Attached SCSI).
    Uas,
    /// LSI MegaRAID SAS 1078: `megaraid_sas`.
    MegaRaid,
    /// LSI 53C895A: `sym53c8xx`.
    Lsi53c895a,
    /// VMware's own: `vmw_pvscsi`.
    PvScsi,
    /// An SD card in a reader on the PCI bus; the length of its image must be a power of two.
    SdCard,
}

impl Controller {
    /// The devices between the machine and the drive `drive` (qemu(1); `-device help`).
    pub(super) fn devices(self, drive: &str) -> Vec<String> {
        let behind_scsi = |adapter: &str| words(&format!("-device {adapter} -device scsi-hd,drive={drive}"));
        match self {
            Controller::VirtioBlk => words(&format!("-device virtio-blk-pci,drive={drive}")),
            Controller::VirtioScsi => behind_scsi("virtio-scsi-pci"),
            Controller::SataDisc => words(&format!("-device ide-cd,drive={drive}")),
            Controller::UsbStick => {
                words(&format!("-device qemu-xhci -device usb-storage,drive={drive},removable=on"))
            }
            Controller::Sata => words(&format!("-device ide-hd,drive={drive}")),
            Controller::Nvme => words(&format!("-device nvme,serial=1,drive={drive}")),
            Controller::Uas => words(&format!(
                "-device qemu-xhci -device usb-uas,id=uas -device scsi-hd,bus=uas.0,drive={drive}"
            )),
            Controller::MegaRaid => behind_scsi("megasas"),
            Controller::Lsi53c895a => behind_scsi("lsi53c895a"),
            Controller::PvScsi => behind_scsi("pvscsi"),
            Controller::SdCard => words(&format!("-device sdhci-pci -device sd-card,drive={drive}")),
        }
    }
}
