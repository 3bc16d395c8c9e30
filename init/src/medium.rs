//! Which medium holds the store: what was asked for, matched against what is there. Pure: the waiting is in `wait`.

use std::fmt;

use crate::block_devices::BlockDevice;
use crate::error::Failure;

/// Where `lamina.store=` says that the store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreSpec {
    /// `LABEL=`: of the file system, compared as it stands.
    Label(String),
    /// `UUID=`: of the file system, in any case of letters.
    Uuid(String),
    /// `PARTLABEL=`: of a GPT partition.
    PartLabel(String),
    /// `PARTUUID=`: of a GPT or MBR partition, in any case of letters.
    PartUuid(String),
    /// `/dev/NAME`.
    Path(String),
    /// `9p:TAG` or `virtiofs:TAG`: a folder that the host of a virtual machine shares.
    Share(Share),
    /// `initramfs`: the store is packed into the initramfs.
    Initramfs,
}

/// A folder shared by the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// How it is shared.
    pub protocol: Protocol,
    /// The name that the host gave it.
    pub tag: String,
}

/// How a host shares a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `Documentation/filesystems/9p.rst`.
    NineP,
    /// `Documentation/filesystems/virtiofs.rst`.
    Virtiofs,
}

impl Protocol {
    /// The name of the kernel's file system.
    pub fn driver(self) -> &'static str {
        match self {
            Self::NineP => "9p",
            Self::Virtiofs => "virtiofs",
        }
    }
}

impl StoreSpec {
    /// Reads the value of `lamina.store=`.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let share = |protocol, tag: &str| Self::Share(Share { protocol, tag: tag.to_owned() });
        let spec = match text.split_once(['=', ':']) {
            Some((_, "")) => None,
            Some(("LABEL", label)) => Some(Self::Label(label.to_owned())),
            Some(("UUID", uuid)) => Some(Self::Uuid(uuid.to_owned())),
            Some(("PARTLABEL", label)) => Some(Self::PartLabel(label.to_owned())),
            Some(("PARTUUID", uuid)) => Some(Self::PartUuid(uuid.to_owned())),
            Some(("9p", tag)) => Some(share(Protocol::NineP, tag)),
            Some(("virtiofs", tag)) => Some(share(Protocol::Virtiofs, tag)),
            _ if text == "initramfs" => Some(Self::Initramfs),
            _ if text.starts_with("/dev/") => Some(Self::Path(text.to_owned())),
            _ => None,
        };
        spec.ok_or_else(|| {
            Failure::new("it names no place that a store can be").try_this(
                "write LABEL=, UUID=, PARTLABEL=, PARTUUID=, /dev/NAME, 9p:TAG, virtiofs:TAG or initramfs",
            )
        })
    }

    fn matches(&self, device: &BlockDevice) -> bool {
        let superblock = device.superblock.as_ref();
        let partition = device.partition.as_ref();
        let same = |found: Option<&String>, wanted: &str| {
            found.is_some_and(|text| text.eq_ignore_ascii_case(wanted))
        };
        match self {
            Self::Label(label) => superblock.and_then(|found| found.label.as_ref()) == Some(label),
            Self::Uuid(uuid) => same(superblock.and_then(|found| found.uuid.as_ref()), uuid),
            Self::PartLabel(label) => partition.and_then(|found| found.label.as_ref()) == Some(label),
            Self::PartUuid(uuid) => same(partition.map(|found| &found.uuid), uuid),
            Self::Path(path) => *path == device.path(),
            Self::Share(_) | Self::Initramfs => false,
        }
    }
}

impl fmt::Display for StoreSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(text) => write!(f, "LABEL={text}"),
            Self::Uuid(text) => write!(f, "UUID={text}"),
            Self::PartLabel(text) => write!(f, "PARTLABEL={text}"),
            Self::PartUuid(text) => write!(f, "PARTUUID={text}"),
            Self::Path(text) => f.write_str(text),
            Self::Share(share) => write!(f, "{}:{}", share.protocol.driver(), share.tag),
            Self::Initramfs => f.write_str("initramfs"),
        }
    }
}

/// The medium that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Medium {
    /// A block device with the driver that mounts it.
    Device {
        /// `/dev/NAME`.
        path: String,
        /// `ext4`, `vfat` or `iso9660`.
        driver: &'static str,
    },
    /// A shared folder.
    Share(Share),
    /// The initramfs itself: nothing to mount.
    Initramfs,
}

/// Matches the request against the devices. `None`: not there (yet).
pub fn choose(spec: &StoreSpec, devices: &[BlockDevice]) -> Result<Option<Medium>, Failure> {
    let found: Vec<&BlockDevice> = devices.iter().filter(|device| spec.matches(device)).collect();
    // A hybrid ISO shows its volume twice: on the disk and on its first partition. The disk is the medium.
    let whole_disk = |device: &&&BlockDevice| {
        let name = Some(&device.name);
        found.iter().all(|other| other.name == device.name || other.disk.as_ref() == name)
    };
    let device = match found.as_slice() {
        [] => return Ok(None),
        [only] => only,
        several => several.iter().find(whole_disk).ok_or_else(|| {
            Failure::new(format!("{} devices answer to {spec}", several.len()))
                .having_seen(several.iter().map(ToString::to_string))
                .try_this("say which: lamina.store=UUID= or lamina.store=PARTUUID=")
        })?,
    };
    let unusable = |what: String| {
        let remedy = "put the store on ext4, vfat or ISO 9660, or choose another device";
        Failure::new(what).having_seen([device.to_string()]).try_this(remedy)
    };
    match &device.superblock {
        None => Err(unusable(format!("{} has no file system that init knows", device.path()))),
        Some(superblock) => match superblock.driver {
            None => {
                Err(unusable(format!("{} has {}, which cannot hold a store", device.path(), superblock.kind)))
            }
            Some(driver) => Ok(Some(Medium::Device { path: device.path(), driver })),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stack::partition_table::Partition;
    use stack::superblock::Superblock;

    fn device(name: &str, disk: Option<&str>, kind: &'static str, label: &str) -> BlockDevice {
        let driver = matches!(kind, "ext4" | "vfat" | "iso9660").then_some(kind);
        let superblock =
            Superblock { kind, driver, label: Some(label.into()), uuid: Some("12AB-CD34".into()) };
        let partition =
            disk.map(|_| Partition { number: 1, uuid: "deadbeef-01".into(), label: Some("os".into()) });
        BlockDevice {
            name: name.into(),
            disk: disk.map(str::to_owned),
            size: 1 << 30,
            superblock: Some(superblock),
            partition,
        }
    }

    fn chosen(spec: &str, devices: &[BlockDevice]) -> Result<Option<Medium>, Failure> {
        choose(&StoreSpec::parse(spec).unwrap(), devices)
    }

    #[test]
    fn specifications_are_read_and_printed() {
        let specs = [
            "LABEL=a b",
            "UUID=1=2",
            "PARTLABEL=x",
            "PARTUUID=y",
            "/dev/vda1",
            "9p:store",
            "virtiofs:t:u",
            "initramfs",
        ];
        for text in specs {
            assert_eq!(StoreSpec::parse(text).unwrap().to_string(), text);
        }
        for text in ["LABEL=", "9p:", "label=x", "vda", "nfs:host", "", "initramfs:x"] {
            assert!(StoreSpec::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn each_way_of_naming_finds_the_device() {
        let devices = [device("vda", None, "swap", "other"), device("vdb1", Some("vdb"), "ext4", "data")];
        for spec in ["LABEL=data", "PARTLABEL=os", "PARTUUID=DEADBEEF-01", "/dev/vdb1"] {
            let medium = Medium::Device { path: "/dev/vdb1".into(), driver: "ext4" };
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
    fn a_hybrid_iso_is_its_disk() {
        let devices =
            [device("sda1", Some("sda"), "iso9660", "LIVE"), device("sda", None, "iso9660", "LIVE")];
        let medium = Medium::Device { path: "/dev/sda".into(), driver: "iso9660" };
        assert_eq!(chosen("LABEL=LIVE", &devices), Ok(Some(medium)));
    }

    #[test]
    fn a_device_that_cannot_hold_a_store_says_what_it_has() {
        let failure = chosen("/dev/vda", &[device("vda", None, "swap", "")]).unwrap_err();
        assert_eq!(failure.why, "/dev/vda has swap, which cannot hold a store");
    }
}
