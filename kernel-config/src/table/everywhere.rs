//! The rows of what every system needs, and of what virtual machines and most computers have: an initramfs takes them unasked.

use super::Form::{BuiltIn, Module};
use super::Group::{Console, Core, Keyboard, Media, Network, Verity, Vm};
use super::Need::{Optional, Required};
use super::{Requirement, row};

#[rustfmt::skip]
pub(super) const UP_TO_PARTITIONS: &[Requirement] = &[
    row(Core, "64BIT", BuiltIn, Required, "init and the shipped packages are 64-bit programs", &[]),
    row(Core, "BINFMT_ELF", BuiltIn, Required, "init is an ELF program", &[]),
    row(Core, "BINFMT_SCRIPT", BuiltIn, Required, "the services of the shipped profiles are scripts", &[]),
    row(Core, "BLK_DEV_INITRD", BuiltIn, Required, "init comes in an initramfs", &[]),
    row(Core, "RD_ZSTD", BuiltIn, Required, "mkinitramfs compresses the initramfs with zstd", &[]),
    row(Core, "MULTIUSER", BuiltIn, Required, "the systems have more users than root", &[]),
    row(Core, "FUTEX", BuiltIn, Required, "the threads that check and attach images wait on futexes", &[]),
    row(Core, "EPOLL", BuiltIn, Required, "init and most servers wait for several things at once", &[]),
    row(Core, "SIGNALFD", BuiltIn, Optional, "servers receive signals as they receive data", &[]),
    row(Core, "TIMERFD", BuiltIn, Optional, "servers receive time-outs as they receive data", &[]),
    row(Core, "EVENTFD", BuiltIn, Optional, "the threads of servers wake each other", &[]),
    row(Core, "POSIX_TIMERS", BuiltIn, Required, "time-outs and the boot report read the monotonic clocks", &[]),
    row(Core, "FILE_LOCKING", BuiltIn, Required, "the store's files are locked by the process that writes them", &[]),
    row(Core, "PROC_FS", BuiltIn, Required, "init reads the kernel command line and the mounts from /proc", &[]),
    row(Core, "SYSFS", BuiltIn, Required, "init looks for the store's device in /sys/block", &[]),
    row(Core, "DEVTMPFS", BuiltIn, Required, "device nodes come from devtmpfs; there is no udev in the initramfs", &[]),
    row(Core, "SHMEM", BuiltIn, Required, "tmpfs is made of it", &[]),
    row(Core, "TMPFS", BuiltIn, Required, "/run and the writable top are tmpfs", &[]),
    row(Core, "TMPFS_XATTR", BuiltIn, Required, "overlayfs keeps its marks in the extended attributes of the writable top", &[]),
    row(Core, "TMPFS_POSIX_ACL", BuiltIn, Optional, "access lists of files in the writable top are kept", &[]),
    row(Core, "NET", BuiltIn, Required, "uevents arrive over a netlink socket", &[]),
    row(Core, "UNIX", BuiltIn, Required, "the programs of the system talk over local sockets", &[]),
    row(Core, "BLOCK", BuiltIn, Required, "images are attached as block devices", &[]),
    row(Core, "BLK_DEV_LOOP", Module("loop"), Required, "each image is attached by a loop device", &["BLK_DEV"]),
    row(Core, "SQUASHFS", Module("squashfs"), Required, "images are squashfs", &["MISC_FILESYSTEMS"]),
    row(Core, "SQUASHFS_ZSTD", BuiltIn, Required, "images are compressed with zstd", &[]),
    row(Core, "SQUASHFS_XATTR", BuiltIn, Required, "capabilities and overlay marks are extended attributes of the images", &[]),
    row(Core, "SQUASHFS_DECOMP_MULTI", BuiltIn, Optional, "several processors read one image at the same time, with memory for those that are there and not for each that is possible: init mounts with threads=", &["SQUASHFS_CHOICE_DECOMP_BY_MOUNT"]),
    row(Core, "EROFS_FS", Module("erofs"), Optional, "images can be EROFS", &["MISC_FILESYSTEMS"]),
    row(Core, "EROFS_FS_XATTR", BuiltIn, Optional, "capabilities and overlay marks are extended attributes of EROFS images, too", &[]),
    row(Core, "EROFS_FS_ZIP", BuiltIn, Optional, "EROFS images can be compressed", &[]),
    row(Core, "EROFS_FS_BACKED_BY_FILE", BuiltIn, Optional, "EROFS images need no loop device (Linux 6.12)", &[]),
    row(Core, "OVERLAY_FS", Module("overlay"), Required, "the images are joined by overlayfs", &[]),
    row(Core, "MODULES", BuiltIn, Optional, "parts of the kernel can be modules; without it all of them must be built in", &[]),

    row(Media, "MSDOS_PARTITION", BuiltIn, Optional, "the store can lie on a partition of a disk with a DOS table", &["PARTITION_ADVANCED"]),
    row(Media, "EFI_PARTITION", BuiltIn, Optional, "the store can lie on a partition of a disk with a GPT table, found by PARTLABEL= or PARTUUID=", &["PARTITION_ADVANCED"]),
];

#[rustfmt::skip]
pub(super) const FROM_DRIVES_ON: &[Requirement] = &[
    row(Media, "SCSI", Module("scsi_mod"), Optional, "SATA, USB and virtio-scsi disks are SCSI disks to the kernel", &[]),
    row(Media, "BLK_DEV_SD", Module("sd_mod"), Optional, "SATA, USB and virtio-scsi disks become /dev/sdX", &[]),
    row(Media, "BLK_DEV_SR", Module("sr_mod"), Optional, "disc drives become /dev/srN", &[]),
    row(Media, "ATA", Module("libata"), Optional, "SATA and IDE drives", &[]),
    row(Media, "SATA_AHCI", Module("ahci"), Optional, "SATA drives of most machines and of QEMU's q35", &["PCI"]),
    row(Media, "ATA_PIIX", Module("ata_piix"), Optional, "IDE drives of QEMU's default machine", &["PCI", "ATA_SFF", "ATA_BMDMA"]),
    row(Media, "BLK_DEV_NVME", Module("nvme"), Optional, "NVMe drives", &["PCI"]),
    row(Media, "USB_XHCI_HCD", Module("xhci_hcd"), Optional, "USB 3 ports", &["USB_SUPPORT", "USB"]),
    row(Media, "USB_XHCI_PCI", Module("xhci_pci"), Optional, "USB 3 ports on the PCI bus", &["PCI", "USB_PCI"]),
    row(Media, "USB_EHCI_PCI", Module("ehci_pci"), Optional, "USB 2 ports of older machines", &["PCI", "USB_PCI", "USB_EHCI_HCD"]),
    row(Media, "USB_STORAGE", Module("usb_storage"), Optional, "USB sticks", &[]),
    row(Media, "USB_UAS", Module("uas"), Optional, "fast USB drives", &[]),

    row(Keyboard, "SERIO_I8042", Module("i8042"), Optional, "the keyboards of laptops, older machines and QEMU", &["INPUT"]),
    row(Keyboard, "KEYBOARD_ATKBD", Module("atkbd"), Optional, "PS/2 keyboards and those that behave like one", &["INPUT_KEYBOARD"]),
    row(Keyboard, "USB_HID", Module("usbhid"), Optional, "USB keyboards", &["HID_SUPPORT", "HID", "USB_SUPPORT", "USB"]),
    row(Keyboard, "HID_GENERIC", Module("hid_generic"), Optional, "USB keyboards without a driver of their own, that is nearly all", &["HID_SUPPORT", "HID"]),
    row(Keyboard, "USB_UHCI_HCD", Module("uhci_hcd"), Optional, "slow devices, as keyboards are, on the USB 2 ports of older Intel and VIA machines", &["PCI", "USB_PCI"]),
    row(Keyboard, "USB_OHCI_HCD_PCI", Module("ohci_pci"), Optional, "slow devices on the USB 2 ports of older machines of other makers", &["PCI", "USB_PCI", "USB_OHCI_HCD"]),

    row(Vm, "VIRTIO_PCI", Module("virtio_pci"), Optional, "virtio devices of QEMU and most clouds", &["PCI", "VIRTIO_MENU"]),
    row(Vm, "VIRTIO_MMIO", Module("virtio_mmio"), Optional, "virtio devices of QEMU's microvm", &["VIRTIO_MENU"]),
    row(Vm, "VIRTIO_BLK", Module("virtio_blk"), Optional, "the disks of a virtual machine become /dev/vdX", &["BLK_DEV"]),
    row(Vm, "SCSI_VIRTIO", Module("virtio_scsi"), Optional, "SCSI disks of a virtual machine", &["SCSI_LOWLEVEL"]),
    row(Vm, "NET_9P", Module("9pnet"), Optional, "the store can be a folder of the host, shared over 9p", &[]),
    row(Vm, "NET_9P_VIRTIO", Module("9pnet_virtio"), Optional, "9p between QEMU and its guest", &[]),
    row(Vm, "9P_FS", Module("9p"), Optional, "the store can be named 9p:TAG", &["NETWORK_FILESYSTEMS"]),
    row(Vm, "FUSE_FS", Module("fuse"), Optional, "virtiofs is made of it", &[]),
    row(Vm, "VIRTIO_FS", Module("virtiofs"), Optional, "the store can be named virtiofs:TAG", &[]),
    row(Vm, "HW_RANDOM_VIRTIO", Module("virtio_rng"), Optional, "the guest has random numbers at once", &["HW_RANDOM"]),

    row(Network, "INET", BuiltIn, Optional, "servers and clients of TCP/IP", &[]),
    row(Network, "IPV6", Module("ipv6"), Optional, "IPv6", &[]),
    row(Network, "PACKET", Module("af_packet"), Optional, "DHCP clients", &[]),
    row(Network, "VIRTIO_NET", Module("virtio_net"), Optional, "the network card of a virtual machine", &["NETDEVICES", "NET_CORE"]),
    row(Network, "E1000", Module("e1000"), Optional, "QEMU's default network card", &["NETDEVICES", "ETHERNET", "NET_VENDOR_INTEL", "PCI"]),
    row(Network, "E1000E", Module("e1000e"), Optional, "the network cards of many machines and of QEMU's q35", &["NETDEVICES", "ETHERNET", "NET_VENDOR_INTEL", "PCI"]),

    row(Verity, "CRYPTO_SHA256", Module("sha256_generic"), Optional, "dm-verity hashes blocks with SHA-256", &["CRYPTO"]),
    row(Verity, "CRYPTO_SHA256_SSSE3", Module("sha256_ssse3"), Optional, "dm-verity hashes faster; nothing loads it by itself (kernels since 6.16 have it inside CRYPTO_SHA256)", &[]),
    row(Verity, "BLK_DEV_DM", Module("dm_mod"), Optional, "dm-verity is a target of device-mapper", &["MD"]),
    row(Verity, "DM_VERITY", Module("dm_verity"), Optional, "each block of an image is checked when it is read: `verify \"verity\"`", &[]),
    row(Verity, "DM_VERITY_FEC", BuiltIn, Optional, "damaged blocks can be repaired", &[]),
];

#[rustfmt::skip]
pub(super) const CONSOLE: &[Requirement] = &[
    row(Console, "TTY", BuiltIn, Required, "the console is a terminal", &[]),
    row(Console, "PRINTK", BuiltIn, Optional, "the kernel's messages can be seen", &[]),
    row(Console, "VT", BuiltIn, Optional, "a screen and a keyboard can be the console", &[]),
    row(Console, "SERIAL_8250", BuiltIn, Optional, "the serial line", &[]),
    row(Console, "SERIAL_8250_CONSOLE", BuiltIn, Optional, "the serial line can be the console: console=ttyS0", &[]),
    row(Console, "VIRTIO_CONSOLE", Module("virtio_console"), Optional, "console=hvc0 of a virtual machine", &[]),
    row(Console, "UNIX98_PTYS", BuiltIn, Optional, "ssh and terminal windows", &[]),
];
