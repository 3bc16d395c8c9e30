//! The table: what init and the images need of a kernel, and why.

use std::sync::LazyLock;

use file_systems::{FILE_SYSTEMS, Packed};

use Form::{BuiltIn, Module};
use Group::{Console, Core, Keyboard, Media, Network, State, Verity, Vm};
use Need::{Optional, Required};

/// One thing that a kernel should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirement {
    /// What it is for.
    pub group: Group,
    /// The config symbol without `CONFIG_`.
    pub symbol: &'static str,
    /// Whether it may be a module.
    pub form: Form,
    /// Whether Lamina can do without.
    pub need: Need,
    /// One sentence without its full stop: what it is used for.
    pub why: &'static str,
    /// Symbols without which Kconfig does not offer this one, such as the menu it stands in.
    pub below: &'static [&'static str],
}

/// Whether a requirement may be met by a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// It must be part of the kernel: it is needed before modules can be loaded, or cannot be a module.
    BuiltIn,
    /// It may be this module (the name as in `lsmod`, with underscores), which the initramfs then carries.
    Module(&'static str),
}

/// Whether Lamina can do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// No stack boots without it.
    Required,
    /// One way to store, boot or use a stack is lost without it.
    Optional,
}

/// What a requirement is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Every boot.
    Core,
    /// Finding the store on disks, sticks and discs.
    Media,
    /// Keys for the recovery screen.
    Keyboard,
    /// Virtual machines.
    Vm,
    /// The network of the booted system.
    Network,
    /// Images checked block by block.
    Verity,
    /// Keeping what was changed, on file systems that no store needs.
    State,
    /// Seeing the boot.
    Console,
}

impl Group {
    /// All groups, in the order of the table.
    pub const ALL: [Group; 8] = [Core, Media, Keyboard, Vm, Network, Verity, State, Console];

    /// The name, as in `fragments/NAME.config`.
    pub fn name(self) -> &'static str {
        match self {
            Core => "core",
            Media => "media",
            Keyboard => "keyboard",
            Vm => "vm",
            Network => "network",
            Verity => "verity",
            State => "state",
            Console => "console",
        }
    }

    /// What the group is for, in a phrase.
    pub fn purpose(self) -> &'static str {
        match self {
            Core => "what every boot needs",
            Media => "the store on disks, sticks and discs",
            Keyboard => "keys for the recovery screen",
            Vm => "virtual machines",
            Network => "the network of the booted system",
            Verity => "images checked block by block while they are read",
            State => "what was changed, kept on other file systems than ext4",
            Console => "seeing the boot",
        }
    }
}

/// The modules of a group, in the order of the table: what an initramfs carries where the kernel has them as modules.
pub fn modules(group: Group) -> impl Iterator<Item = &'static str> {
    REQUIREMENTS.iter().filter(move |row| row.group == group).filter_map(|row| match row.form {
        Module(name) => Some(name),
        BuiltIn => None,
    })
}

/// A line of the table.
const fn row(
    group: Group,
    symbol: &'static str,
    form: Form,
    need: Need,
    why: &'static str,
    below: &'static [&'static str],
) -> Requirement {
    Requirement { group, symbol, form, need, why, below }
}

/// The table. Groups stand together; within a group, what others build on comes first.
pub static REQUIREMENTS: LazyLock<Vec<Requirement>> = LazyLock::new(|| {
    [
        UP_TO_PARTITIONS,
        &file_systems(Media, Packed::Always),
        FROM_DRIVES_ON,
        &file_systems(State, Packed::WhenAskedFor),
        CONSOLE,
    ]
    .concat()
});

/// What the file systems need that an initramfs has always, or when somebody asks.
fn file_systems(group: Group, packed: Packed) -> Vec<Requirement> {
    let parts = FILE_SYSTEMS.iter().filter(|row| row.packed == packed).flat_map(|row| row.kernel);
    parts
        .map(|part| row(group, part.symbol, part.module.map_or(BuiltIn, Module), Optional, part.why, &[]))
        .collect()
}

#[rustfmt::skip]
const UP_TO_PARTITIONS: &[Requirement] = &[
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
const FROM_DRIVES_ON: &[Requirement] = &[
    row(Media, "SCSI", Module("scsi_mod"), Optional, "SATA, USB and virtio-scsi disks are SCSI disks to the kernel", &[]),
    row(Media, "BLK_DEV_SD", Module("sd_mod"), Optional, "SATA, USB and virtio-scsi disks become /dev/sdX", &[]),
    row(Media, "BLK_DEV_SR", Module("sr_mod"), Optional, "disc drives become /dev/srN", &[]),
    row(Media, "ATA", Module("libata"), Optional, "SATA and IDE drives", &[]),
    row(Media, "SATA_AHCI", Module("ahci"), Optional, "SATA drives of most machines and of QEMU's q35", &["PCI"]),
    row(Media, "ATA_PIIX", Module("ata_piix"), Optional, "IDE drives of QEMU's default machine", &["PCI", "ATA_SFF", "ATA_BMDMA"]),
    row(Media, "BLK_DEV_NVME", Module("nvme"), Optional, "NVMe drives", &["PCI"]),
    row(Media, "USB_XHCI_HCD", Module("xhci_hcd"), Optional, "USB 3 ports", &["USB_SUPPORT", "USB"]),
    row(Media, "USB_XHCI_PCI", Module("xhci_pci"), Optional, "USB 3 ports on the PCI bus", &["PCI"]),
    row(Media, "USB_EHCI_PCI", Module("ehci_pci"), Optional, "USB 2 ports of older machines", &["USB_EHCI_HCD"]),
    row(Media, "USB_STORAGE", Module("usb_storage"), Optional, "USB sticks", &[]),
    row(Media, "USB_UAS", Module("uas"), Optional, "fast USB drives", &[]),

    row(Keyboard, "SERIO_I8042", Module("i8042"), Optional, "the keyboards of laptops, older machines and QEMU", &["INPUT"]),
    row(Keyboard, "KEYBOARD_ATKBD", Module("atkbd"), Optional, "PS/2 keyboards and those that behave like one", &["INPUT_KEYBOARD"]),
    row(Keyboard, "USB_HID", Module("usbhid"), Optional, "USB keyboards", &["HID_SUPPORT", "HID", "USB_SUPPORT", "USB"]),
    row(Keyboard, "HID_GENERIC", Module("hid_generic"), Optional, "USB keyboards without a driver of their own, that is nearly all", &["HID_SUPPORT", "HID"]),
    row(Keyboard, "USB_UHCI_HCD", Module("uhci_hcd"), Optional, "slow devices, as keyboards are, on the USB 2 ports of older Intel and VIA machines", &["PCI"]),
    row(Keyboard, "USB_OHCI_HCD_PCI", Module("ohci_pci"), Optional, "slow devices on the USB 2 ports of older machines of other makers", &["PCI", "USB_OHCI_HCD"]),

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
const CONSOLE: &[Requirement] = &[
    row(Console, "TTY", BuiltIn, Required, "the console is a terminal", &[]),
    row(Console, "PRINTK", BuiltIn, Optional, "the kernel's messages can be seen", &[]),
    row(Console, "VT", BuiltIn, Optional, "a screen and a keyboard can be the console", &[]),
    row(Console, "SERIAL_8250", BuiltIn, Optional, "the serial line", &[]),
    row(Console, "SERIAL_8250_CONSOLE", BuiltIn, Optional, "the serial line can be the console: console=ttyS0", &[]),
    row(Console, "VIRTIO_CONSOLE", Module("virtio_console"), Optional, "console=hvc0 of a virtual machine", &[]),
    row(Console, "UNIX98_PTYS", BuiltIn, Optional, "ssh and terminal windows", &[]),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn symbols_and_modules_stand_once_and_groups_stand_together() {
        let symbols: BTreeSet<_> = REQUIREMENTS.iter().map(|row| row.symbol).collect();
        assert_eq!(symbols.len(), REQUIREMENTS.len());
        assert!(REQUIREMENTS.is_sorted_by_key(|row| row.group), "groups stand in the order of Group::ALL");
        let modules: Vec<_> = Group::ALL.into_iter().flat_map(modules).collect();
        assert_eq!(modules.iter().collect::<BTreeSet<_>>().len(), modules.len());
        assert!(modules.iter().all(|name| !name.contains('-')), "module names are as in lsmod");
    }

    /// Whatever an initramfs can mount it can have the modules for, and no file system is written down here a second time.
    #[test]
    fn every_part_of_a_file_system_is_in_its_group() {
        for file_system in &FILE_SYSTEMS {
            let group = if file_system.packed == Packed::Always { Media } else { State };
            for part in file_system.kernel {
                let rows: Vec<_> = REQUIREMENTS.iter().filter(|row| row.symbol == part.symbol).collect();
                assert_eq!(rows.len(), 1, "{}", part.symbol);
                let module = if let Module(name) = rows[0].form { Some(name) } else { None };
                assert_eq!((rows[0].group, module, rows[0].why), (group, part.module, part.why));
            }
        }
        let parts = FILE_SYSTEMS.iter().filter(|row| row.packed == Packed::WhenAskedFor);
        let parts = parts.map(|row| row.kernel.len()).sum();
        assert_eq!(REQUIREMENTS.iter().filter(|row| row.group == State).count(), parts);
    }

    #[test]
    fn reasons_are_one_sentence() {
        for row in REQUIREMENTS.iter() {
            assert!(
                !row.why.is_empty() && !row.why.ends_with('.') && !row.why.contains('\n'),
                "{}",
                row.symbol
            );
        }
    }
}
