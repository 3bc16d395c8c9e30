//! The devices of this machine, as far as they can ask for a driver: the files `modalias` of `/sys/bus/BUS/devices/DEVICE`
//! (`Documentation/ABI/testing/sysfs-bus-pci` and others of the kernel).

use std::fs;
use std::path::Path;

use initramfs_format::buses;

/// A device that asks for a driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Device {
    /// The kernel's name for it, `0000:00:03.0` or `virtio1`.
    pub name: String,
    /// What drivers are chosen by, `virtio:d00000002v00001AF4`.
    pub modalias: String,
}

/// The devices that are there.
pub(super) fn present(bus_folder: &Path) -> Vec<Device> {
    let folders = buses::looked_into().map(|bus| bus_folder.join(bus).join("devices"));
    let mut devices: Vec<Device> = folders
        .flat_map(|folder| fs::read_dir(folder).into_iter().flatten().flatten())
        .filter_map(|entry| {
            let modalias = fs::read_to_string(entry.path().join("modalias")).ok()?;
            let modalias = modalias.trim_end().to_owned();
            let name = entry.file_name().to_string_lossy().into_owned();
            (!modalias.is_empty()).then_some(Device { name, modalias })
        })
        .collect();
    devices.sort_by(|one, other| one.name.cmp(&other.name));
    devices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_without_an_alias_ask_for_nothing() {
        let bus = tempfile::tempdir().unwrap();
        for (name, modalias) in [
            ("pci/devices/0000:00:03.0", Some("pci:v1\n")),
            ("usb/devices/usb1", None),
            ("virtio/devices/virtio0", Some("")),
        ] {
            let folder = bus.path().join(name);
            fs::create_dir_all(&folder).unwrap();
            modalias.iter().for_each(|text| fs::write(folder.join("modalias"), text).unwrap());
        }
        let expected = Device { name: "0000:00:03.0".into(), modalias: "pci:v1".into() };
        assert_eq!(present(bus.path()), [expected]);
    }
}
