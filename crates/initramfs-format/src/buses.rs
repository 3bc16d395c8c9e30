//! The buses whose devices ask for kernel modules.

/// A bus, by what the aliases of its drivers begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bus {
    /// `pci` of `pci:v00001AF4d00001001sv…`.
    pub name: &'static str,
    /// Whether init looks into `/sys/bus/NAME/devices` for what is there.
    pub looked_into: bool,
    /// Why it is among these.
    pub why: &'static str,
}

/// All of them. Aliases of processors and the like ask for nothing that a boot needs: their algorithms come where they are used.
pub const BUSES: [Bus; 12] = [
    Bus { name: "pci", looked_into: true, why: "controllers of disks, of USB and of virtio" },
    Bus { name: "virtio", looked_into: true, why: "the devices of virtual machines" },
    Bus { name: "usb", looked_into: true, why: "sticks and keyboards" },
    Bus { name: "scsi", looked_into: true, why: "the disks behind SCSI, SATA and USB" },
    Bus { name: "hid", looked_into: true, why: "keyboards" },
    Bus { name: "i2c", looked_into: true, why: "the built-in keyboards of some laptops" },
    Bus { name: "mmc", looked_into: true, why: "SD cards and eMMC" },
    Bus { name: "vmbus", looked_into: true, why: "what Hyper-V gives its guests" },
    Bus { name: "xen", looked_into: true, why: "what Xen gives its guests" },
    Bus { name: "platform", looked_into: true, why: "what is soldered on" },
    // Both kinds of device appear on the platform bus, with aliases that begin with these words.
    Bus {
        name: "acpi",
        looked_into: false,
        why: "devices that ACPI describes; they are on the platform bus",
    },
    Bus {
        name: "of",
        looked_into: false,
        why: "devices that a device tree describes; they are on the platform bus",
    },
];

/// Whether a driver's alias, such as `acpi*:LNRO0005:*`, is that of a device on one of them.
pub fn names_a_device(alias: &str) -> bool {
    let bus = alias.split([':', '*']).next().unwrap_or_default();
    alias.contains(':') && BUSES.iter().any(|known| known.name == bus)
}

/// The names of those that init looks into.
pub fn looked_into() -> impl Iterator<Item = &'static str> {
    BUSES.iter().filter(|bus| bus.looked_into).map(|bus| bus.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_device_tree_or_acpi_describes_is_found_on_the_platform_bus() {
        for alias in ["acpi*:LNRO0005:*", "of:N*T*Cvirtio,mmio", "pci:v1", "platform:virtio-mmio"] {
            assert!(names_a_device(alias), "{alias}");
        }
        for alias in ["cpu:type:x86*", "fs-ext4", "crypto-sha256", "pci", ""] {
            assert!(!names_a_device(alias), "{alias}");
        }
        let looked_into: Vec<_> = looked_into().collect();
        assert_eq!(
            looked_into,
            ["pci", "virtio", "usb", "scsi", "hid", "i2c", "mmc", "vmbus", "xen", "platform"]
        );
    }
}
