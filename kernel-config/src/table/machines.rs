//! The rows of what some machines have: an initramfs for any machine takes the first three groups, and the others when somebody asks.
//!
//! The sizes are those of Debian's 6.1 for all hardware, with what a module needs and nothing else here has.

use super::Form::{BuiltIn, Module};
use super::Group::{Cards, Display, Drives, Graphics, Input};
use super::Need::Optional;
use super::{Requirement, row};

#[rustfmt::skip]
pub(super) const ROWS: &[Requirement] = &[
    row(Drives, "ATA_GENERIC", Module("ata_generic"), Optional, "IDE and SATA controllers that no other driver knows", &["ATA_SFF", "ATA_BMDMA", "PCI"]),
    row(Drives, "MMC", Module("mmc_core"), Optional, "SD cards, and the eMMC of small laptops", &[]),
    row(Drives, "MMC_BLOCK", Module("mmc_block"), Optional, "SD cards and eMMC become /dev/mmcblkN", &[]),
    row(Drives, "MMC_SDHCI", Module("sdhci"), Optional, "the controllers of SD cards that follow the standard", &[]),
    row(Drives, "MMC_SDHCI_PCI", Module("sdhci_pci"), Optional, "such controllers on the PCI bus", &["PCI"]),
    row(Drives, "MMC_SDHCI_ACPI", Module("sdhci_acpi"), Optional, "such controllers inside the processors of small laptops", &["ACPI"]),
    row(Drives, "MISC_RTSX_PCI", Module("rtsx_pci"), Optional, "the Realtek card readers of many laptops", &["PCI"]),
    row(Drives, "MMC_REALTEK_PCI", Module("rtsx_pci_sdmmc"), Optional, "SD cards in Realtek's readers", &[]),
    row(Drives, "VMD", Module("vmd"), Optional, "NVMe drives behind Intel's volume management, as in many new laptops", &["PCI", "PCI_MSI"]),
    row(Drives, "HYPERV", Module("hv_vmbus"), Optional, "everything that Hyper-V and Azure give a guest", &["HYPERVISOR_GUEST", "ACPI"]),
    row(Drives, "HYPERV_STORAGE", Module("hv_storvsc"), Optional, "the disks of Hyper-V and Azure", &["SCSI_LOWLEVEL"]),
    row(Drives, "VMWARE_PVSCSI", Module("vmw_pvscsi"), Optional, "VMware's own disks", &["SCSI_LOWLEVEL"]),
    row(Drives, "FUSION_SPI", Module("mptspi"), Optional, "VMware's LSI Logic disks, and old servers", &["FUSION", "PCI"]),
    row(Drives, "FUSION_SAS", Module("mptsas"), Optional, "VMware's LSI Logic SAS disks, and old servers", &["FUSION", "PCI"]),
    row(Drives, "MEGARAID_SAS", Module("megaraid_sas"), Optional, "the RAID controllers of servers of Dell, Lenovo and others, and one of QEMU's", &["SCSI_LOWLEVEL", "PCI"]),
    row(Drives, "SCSI_SYM53C8XX_2", Module("sym53c8xx"), Optional, "LSI 53C895A, the SCSI disks of Proxmox and of older machines of QEMU", &["SCSI_LOWLEVEL", "PCI"]),
    row(Drives, "XEN_BLKDEV_FRONTEND", Module("xen_blkfront"), Optional, "the disks of guests of Xen, also at Amazon", &["HYPERVISOR_GUEST", "XEN", "BLK_DEV"]),

    row(Input, "VIRTIO_INPUT", Module("virtio_input"), Optional, "the virtio keyboards of virtual machines", &["VIRTIO_MENU"]),
    row(Input, "HYPERV_KEYBOARD", Module("hyperv_keyboard"), Optional, "the keyboard of Hyper-V", &[]),
    row(Input, "INPUT_XEN_KBDDEV_FRONTEND", Module("xen_kbdfront"), Optional, "the keyboard of guests of Xen", &["INPUT_MISC"]),
    row(Input, "PINCTRL_AMD", Module("pinctrl_amd"), Optional, "the interrupts of I2C keyboards on AMD's processors", &["PINCTRL"]),
    row(Input, "PINCTRL_SUNRISEPOINT", Module("pinctrl_sunrisepoint"), Optional, "the same on Intel's of 2015 to 2017", &["PINCTRL"]),
    row(Input, "PINCTRL_CANNONLAKE", Module("pinctrl_cannonlake"), Optional, "the same on Intel's of 2018", &["PINCTRL"]),
    row(Input, "PINCTRL_ICELAKE", Module("pinctrl_icelake"), Optional, "the same on Intel's of 2019", &["PINCTRL"]),
    row(Input, "PINCTRL_TIGERLAKE", Module("pinctrl_tigerlake"), Optional, "the same on Intel's of 2020", &["PINCTRL"]),
    row(Input, "PINCTRL_JASPERLAKE", Module("pinctrl_jasperlake"), Optional, "the same on Intel's small ones of 2021", &["PINCTRL"]),
    row(Input, "PINCTRL_ALDERLAKE", Module("pinctrl_alderlake"), Optional, "the same on Intel's of 2021 to 2023", &["PINCTRL"]),
    row(Input, "PINCTRL_METEORLAKE", Module("pinctrl_meteorlake"), Optional, "the same on Intel's of 2023 and 2024", &["PINCTRL"]),
    row(Input, "MFD_INTEL_LPSS_ACPI", Module("intel_lpss_acpi"), Optional, "Intel's I2C controllers that ACPI describes", &["ACPI"]),
    row(Input, "MFD_INTEL_LPSS_PCI", Module("intel_lpss_pci"), Optional, "Intel's I2C controllers on the PCI bus", &["PCI"]),
    row(Input, "I2C_DESIGNWARE_PLATFORM", Module("i2c_designware_platform"), Optional, "the I2C controllers of laptops of both makers", &["I2C", "I2C_DESIGNWARE_CORE"]),
    row(Input, "I2C_DESIGNWARE_PCI", Module("i2c_designware_pci"), Optional, "such controllers on the PCI bus", &["I2C", "I2C_DESIGNWARE_CORE", "PCI"]),
    row(Input, "I2C_HID_ACPI", Module("i2c_hid_acpi"), Optional, "the built-in keyboards of some laptops and tablets", &["I2C_HID", "HID", "ACPI"]),

    row(Display, "FRAMEBUFFER_CONSOLE", BuiltIn, Optional, "text on a graphics screen", &["FB"]),
    row(Display, "FB_EFI", BuiltIn, Optional, "the picture that UEFI has set up", &["FB", "EFI"]),
    row(Display, "DRM_SIMPLEDRM", Module("simpledrm"), Optional, "the picture that the firmware has set up, where the kernel has no older driver for it", &["DRM", "SYSFB_SIMPLEFB"]),
    row(Display, "DRM_VIRTIO_GPU", Module("virtio_gpu"), Optional, "the virtio graphics of virtual machines", &["DRM"]),
    row(Display, "DRM_BOCHS", Module("bochs"), Optional, "QEMU's default graphics", &["DRM", "PCI"]),

    row(Cards, "HYPERV_NET", Module("hv_netvsc"), Optional, "the network of Hyper-V and Azure", &["NETDEVICES"]),
    row(Cards, "VMXNET3", Module("vmxnet3"), Optional, "VMware's own network card", &["NETDEVICES", "PCI"]),
    row(Cards, "XEN_NETDEV_FRONTEND", Module("xen_netfront"), Optional, "the network of guests of Xen", &["NETDEVICES"]),
    row(Cards, "R8169", Module("r8169"), Optional, "Realtek, in most computers; works without its firmware", &["NETDEVICES", "ETHERNET", "NET_VENDOR_REALTEK", "PCI"]),
    row(Cards, "IGB", Module("igb"), Optional, "Intel, 1 Gbit/s, in servers", &["NETDEVICES", "ETHERNET", "NET_VENDOR_INTEL", "PCI"]),
    row(Cards, "IGC", Module("igc"), Optional, "Intel, 2.5 Gbit/s, in new computers", &["NETDEVICES", "ETHERNET", "NET_VENDOR_INTEL", "PCI"]),
    row(Cards, "IXGBE", Module("ixgbe"), Optional, "Intel, 10 Gbit/s", &["NETDEVICES", "ETHERNET", "NET_VENDOR_INTEL", "PCI"]),
    row(Cards, "TIGON3", Module("tg3"), Optional, "Broadcom, in servers and older computers", &["NETDEVICES", "ETHERNET", "NET_VENDOR_BROADCOM", "PCI"]),
    row(Cards, "USB_RTL8152", Module("r8152"), Optional, "most network plugs and docks for USB", &["NETDEVICES", "USB_NET_DRIVERS", "USB"]),

    row(Graphics, "DRM_I915", Module("i915"), Optional, "Intel: 6.8 MB, and up to 30 MB of firmware", &["DRM", "PCI"]),
    row(Graphics, "DRM_AMDGPU", Module("amdgpu"), Optional, "AMD: 19 MB, and no picture without its firmware of 100 MB", &["DRM", "PCI"]),
    row(Graphics, "DRM_NOUVEAU", Module("nouveau"), Optional, "Nvidia: 5.2 MB, and no speed without its firmware", &["DRM", "PCI"]),
];
