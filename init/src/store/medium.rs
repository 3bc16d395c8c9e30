//! Which medium holds the store: what was asked for, matched against what is there. Pure: the waiting is in `wait_for_device`.

use file_systems::FILE_SYSTEMS;
use profiles::DeviceSpec;

use crate::devices::block_devices::BlockDevice;
use crate::devices::which_device;
use crate::error::Failure;
use crate::request::store_spec::Share;

/// The medium that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Medium {
    /// A block device with the driver that mounts it.
    Device {
        /// `/dev/NAME`.
        path: String,
        /// Of the table of file systems.
        driver: &'static str,
        /// Nothing can be written to it, and so no journal be replayed.
        write_protected: bool,
    },
    /// A shared folder.
    Share(Share),
    /// The initramfs itself: nothing to mount.
    Initramfs,
}

/// Matches the request against the devices. `None`: not there (yet).
pub fn choose(spec: &DeviceSpec, devices: &[BlockDevice]) -> Result<Option<Medium>, Failure> {
    let found: Vec<&BlockDevice> = devices.iter().filter(|device| device.answers_to(spec)).collect();
    let Some(device) = which_device::one(spec, found, devices, "lamina.store=")? else { return Ok(None) };
    let unusable = |what: String| {
        let known = file_systems::listed(FILE_SYSTEMS.iter().map(|row| row.title), " or ");
        let remedy = format!("put the store on {known}, or choose another device");
        Failure::new(what).having_seen([device.to_string()]).try_this(remedy)
    };
    match &device.superblock {
        None => Err(unusable(format!("{} has no file system that init knows", device.path()))),
        Some(superblock) => match superblock.driver {
            None => {
                Err(unusable(format!("{} has {}, which cannot hold a store", device.path(), superblock.kind)))
            }
            Some(driver) => {
                let write_protected = device.write_protected;
                Ok(Some(Medium::Device { path: device.path(), driver, write_protected }))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use block_probe::partition_table::Partition;
    use block_probe::superblock::Superblock;

    fn device(name: &str, disk: Option<&str>, kind: &'static str, label: &str) -> BlockDevice {
        let driver = file_systems::of_kind(kind).map(|row| row.driver);
        let superblock = Superblock {
            kind,
            driver,
            label: Some(label.into()),
            uuid: Some("12AB-CD34".into()),
            length: None,
        };
        let partition =
            disk.map(|_| Partition { number: 1, uuid: "deadbeef-01".into(), label: Some("os".into()) });
        BlockDevice {
            name: name.into(),
            disk: disk.map(str::to_owned),
            size: 1 << 30,
            superblock: Some(superblock),
            partition,
            ..BlockDevice::default()
        }
    }

    fn chosen(spec: &str, devices: &[BlockDevice]) -> Result<Option<Medium>, Failure> {
        choose(&DeviceSpec::parse(spec).unwrap(), devices)
    }

    #[test]
    fn each_way_of_naming_finds_the_device() {
        let devices = [device("vda", None, "swap", "other"), device("vdb1", Some("vdb"), "ext4", "data")];
        for spec in ["LABEL=data", "PARTLABEL=os", "PARTUUID=DEADBEEF-01", "/dev/vdb1"] {
            let medium = Medium::Device { path: "/dev/vdb1".into(), driver: "ext4", write_protected: false };
            assert_eq!(chosen(spec, &devices), Ok(Some(medium)), "{spec}");
        }
        assert_eq!(chosen("LABEL=DATA", &devices), Ok(None));
    }

    #[test]
    fn two_devices_with_one_name_are_refused_and_shown() {
        let devices = [device("vda", None, "ext4", "data"), device("vdb", None, "ext4", "data")];
        let failure = chosen("UUID=12ab-cd34", &devices).unwrap_err();
        assert_eq!(failure.why, "2 devices answer to UUID=12ab-cd34");
        assert_eq!(failure.seen.len(), 2);
    }

    #[test]
    fn a_hybrid_iso_is_its_partition() {
        let devices =
            [device("sda1", Some("sda"), "iso9660", "LIVE"), device("sda", None, "iso9660", "LIVE")];
        let medium = Medium::Device { path: "/dev/sda1".into(), driver: "iso9660", write_protected: false };
        assert_eq!(chosen("LABEL=LIVE", &devices), Ok(Some(medium)));
    }

    #[test]
    fn a_device_that_cannot_hold_a_store_says_what_it_has() {
        let failure = chosen("/dev/vda", &[device("vda", None, "swap", "")]).unwrap_err();
        assert_eq!(failure.why, "/dev/vda has swap, which cannot hold a store");
        let remedy = "put the store on ext4, vfat, ISO 9660, XFS, btrfs or F2FS, or choose another device";
        assert_eq!(failure.remedies, [remedy]);
    }
}
