//! Which device holds the state, and whether a file system has to be made on it first.

use std::fs::File;

use block_probe::superblock;
use profiles::{DeviceSpec, State, StateFileSystem};

use super::marker;
use crate::devices::block_devices::BlockDevice;
use crate::devices::which_device;
use crate::error::Failure;

const NEVER_FORMATTED: &str = "init never formats what is not empty: when nothing on it is needed, empty it with `wipefs --all` \
                               and overwrite its first and last MiB with zeros";

/// What is to be done with the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Mount it.
    Mount {
        /// `/dev/NAME`.
        path: String,
        /// The driver of its file system.
        driver: &'static str,
    },
    /// Make a file system, then mount it.
    Make {
        /// The device, which is empty.
        device: Box<BlockDevice>,
        /// The file system to make.
        kind: StateFileSystem,
    },
}

/// What lies on a device without a file system that can hold the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Nothing.
    Blank,
    /// A file system that init began to make, and did not finish.
    HalfMade,
    /// Anything else.
    Something,
}

/// Looks at the device itself.
pub fn content(device: &BlockDevice) -> Content {
    match File::open(device.path()) {
        Ok(file) => content_of(&file, device),
        Err(_) => Content::Something,
    }
}

fn content_of(file: &File, device: &BlockDevice) -> Content {
    let uuid = device.superblock.as_ref().map(|found| found.uuid.as_deref());
    match (marker::read(file, device.size), uuid) {
        (Some(_), None) => Content::HalfMade,
        // Between the first and the last write of the program that makes it, it may look whole.
        (Some(being_made), Some(Some(uuid))) if being_made.eq_ignore_ascii_case(uuid) => Content::HalfMade,
        (_, None) if superblock::is_blank(file) => Content::Blank,
        _ => Content::Something,
    }
}

/// Chooses among the devices; `None`: it is not there (yet). `content` is asked about one device at most.
pub fn choose(
    state: &State,
    devices: &[BlockDevice],
    content: impl Fn(&BlockDevice) -> Content,
) -> Result<Option<Found>, Failure> {
    let place = &state.place;
    let mut found: Vec<&BlockDevice> = devices.iter().filter(|device| device.answers_to(place)).collect();
    // An empty partition has no label of its own yet; the name that it has in the partition table stands for it.
    if let DeviceSpec::Label(label) = place
        && found.is_empty()
    {
        let named = DeviceSpec::PartLabel(label.clone());
        found.extend(devices.iter().filter(|device| device.answers_to(&named)));
        found.retain(|device| device.superblock.is_none());
    }
    let Some(device) = which_device::one(place, found, devices, "lamina.state=")? else { return Ok(None) };
    // Whatever its first blocks look like: to write there would destroy the partitions.
    let partitions = which_device::partitions(device, devices);
    if !partitions.is_empty() {
        let path = device.path();
        return Err(Failure::new(format!(
            "{path} is a disk with partitions, and cannot hold the state as a whole"
        ))
        .having_seen(partitions.into_iter().map(ToString::to_string))
        .try_this("name one of its partitions: PARTUUID= or PARTLABEL= in the profile or in lamina.state=")
        .try_this(NEVER_FORMATTED));
    }
    judge(state, device, content(device)).map(Some)
}

fn judge(state: &State, device: &BlockDevice, content: Content) -> Result<Found, Failure> {
    let path = device.path();
    let failure = |why: String| Failure::new(why).having_seen([device.to_string()]);
    if device.write_protected {
        return Err(failure(format!("{path} is write-protected"))
            .try_this("look for a switch on it, or give the virtual machine the disk writable")
            .try_this(
                "or write root writable=\"tmpfs\", or lamina.state=tmpfs, when nothing shall be kept",
            ));
    }
    let place = &state.place;
    let create = format!(
        "to have one made at the next boot, write create=\"ext4\" beside root writable=\"{place}\", or lamina.state={place},create=ext4"
    );
    match (content, state.create, &device.superblock) {
        (Content::Blank | Content::HalfMade, Some(kind), _) => {
            Ok(Found::Make { device: Box::new(device.clone()), kind })
        }
        (Content::Blank, None, _) => Err(failure(format!("{path} is empty")).try_this(create)),
        (Content::HalfMade, None, _) => {
            let why = format!("the file system on {path} was not finished: the power went while it was made");
            Err(failure(why).try_this(create))
        }
        (Content::Something, _, None) => Err(failure(format!(
            "{path} is not empty, and has no file system that init knows"
        ))
        .try_this(
            "if it had one, its first blocks are damaged: try fsck on another system before anything else",
        )
        .try_this(NEVER_FORMATTED)),
        (Content::Something, _, Some(found)) => match found.driver.filter(|_| found.can_hold_top()) {
            Some(driver) => Ok(Found::Mount { path, driver }),
            None => Err(failure(format!("{path} has {}, which cannot hold a writable top", found.kind))
                .try_this(format!(
                    "use {}: overlayfs needs attributes and whiteouts that others do not have",
                    file_systems::listed(StateFileSystem::all().map(StateFileSystem::driver), " or ")
                ))
                .try_this(NEVER_FORMATTED)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use block_probe::partition_table::Partition;
    use block_probe::superblock::Superblock;

    fn device(
        name: &str,
        kind: Option<&'static str>,
        label: Option<&str>,
        partition: Option<&str>,
    ) -> BlockDevice {
        let superblock = kind.map(|kind| Superblock {
            kind,
            driver: file_systems::of_driver(kind).map(|row| row.driver),
            label: label.map(str::to_owned),
            ..Superblock::default()
        });
        let partition =
            partition.map(|label| Partition { number: 1, uuid: "u".into(), label: Some(label.to_owned()) });
        BlockDevice {
            name: name.into(),
            disk: None,
            size: 1 << 30,
            superblock,
            partition,
            ..BlockDevice::default()
        }
    }

    fn state(place: &str, create: Option<StateFileSystem>) -> State {
        State { place: DeviceSpec::parse(place).unwrap(), create, changed: Default::default(), check: false }
    }

    fn ext4() -> StateFileSystem {
        StateFileSystem::parse("ext4").unwrap()
    }

    #[test]
    fn a_file_system_is_mounted_and_never_made_again() {
        let drivers = StateFileSystem::all().map(StateFileSystem::driver);
        for (driver, create) in drivers.zip([None, Some(ext4())].into_iter().cycle()) {
            let devices = [device("vda", Some(driver), Some("state"), None)];
            let found = choose(&state("LABEL=state", create), &devices, |_| Content::Something);
            assert_eq!(found, Ok(Some(Found::Mount { path: "/dev/vda".into(), driver })));
        }
    }

    #[test]
    fn an_empty_device_gets_a_file_system_only_when_the_profile_says_so() {
        let devices = [device("vda", None, None, None), device("vdb1", None, None, Some("state"))];
        for (place, name) in [("LABEL=state", 1), ("PARTLABEL=state", 1), ("/dev/vda", 0), ("/dev/vdb1", 1)] {
            let made = Found::Make { device: Box::new(devices[name].clone()), kind: ext4() };
            let choose = |create, content| choose(&state(place, create), &devices, |_| content);
            assert_eq!(choose(Some(ext4()), Content::Blank), Ok(Some(made.clone())), "{place}");
            assert_eq!(choose(Some(ext4()), Content::HalfMade), Ok(Some(made)), "{place}");
            let failure = choose(None, Content::Blank).unwrap_err();
            assert!(
                failure.why.ends_with("is empty") && failure.remedies[0].contains("create="),
                "{failure:?}"
            );
            let failure = choose(Some(ext4()), Content::Something).unwrap_err();
            assert!(failure.why.contains("is not empty"), "{failure:?}");
            assert!(failure.remedies[1].contains("never formats"), "{failure:?}");
        }
        let nothing = choose(&state("LABEL=other", Some(ext4())), &devices, |_| Content::Blank);
        assert_eq!(nothing, Ok(None));
    }

    #[test]
    fn a_partition_that_has_a_file_system_does_not_stand_for_another() {
        for label in [Some("home"), None] {
            let devices = [device("vda1", Some("ext4"), label, Some("state"))];
            assert_eq!(
                choose(&state("LABEL=state", Some(ext4())), &devices, |_| Content::Something),
                Ok(None)
            );
        }
    }

    #[test]
    fn what_cannot_be_written_is_named_whatever_is_on_it() {
        for content in [Content::Blank, Content::HalfMade, Content::Something] {
            let mut device = device("vdb", Some("ext4"), Some("state"), None);
            device.write_protected = true;
            let failure = choose(&state("LABEL=state", Some(ext4())), &[device], |_| content).unwrap_err();
            assert_eq!(failure.why, "/dev/vdb is write-protected");
        }
    }

    #[test]
    fn what_cannot_hold_a_top_is_named() {
        for (kind, why) in
            [("vfat", "/dev/vda has vfat, which cannot hold"), ("swap", "/dev/vda has swap, which")]
        {
            let devices = [device("vda", Some(kind), Some("state"), None)];
            let failure =
                choose(&state("/dev/vda", Some(ext4())), &devices, |_| Content::Something).unwrap_err();
            assert!(failure.why.starts_with(why), "{failure:?}");
        }
        let devices = ["vda", "vdb"].map(|name| device(name, Some("ext4"), Some("state"), None));
        let failure = choose(&state("LABEL=state", None), &devices, |_| Content::Something).unwrap_err();
        assert_eq!((failure.why.as_str(), failure.seen.len()), ("2 devices answer to LABEL=state", 2));
    }
    /// A power cut while the file system is made, and after it.
    #[test]
    fn only_what_init_itself_left_half_made_is_made_again() {
        let (size, uuid) = (16 << 20, "12345678-1234-4000-8000-123456789abc");
        let file = tempfile::tempfile().unwrap();
        file.set_len(size).unwrap();
        let content = |kind, uuid: Option<&str>| {
            let mut device = device("vda", kind, None, None);
            device.size = size;
            device.superblock.iter_mut().for_each(|found| found.uuid = uuid.map(str::to_owned));
            content_of(&file, &device)
        };
        assert_eq!(content(None, None), Content::Blank);
        marker::write(&file, size, Some(uuid)).unwrap();
        assert_eq!(content(None, None), Content::HalfMade);
        std::os::unix::fs::FileExt::write_all_at(&file, b"first blocks", 4096).unwrap();
        assert_eq!(content(None, None), Content::HalfMade);
        assert_eq!(content(Some("ext4"), Some(uuid)), Content::HalfMade);
        // Somebody made another one since then.
        assert_eq!(content(Some("ext4"), Some("99999999-1234-4000-8000-123456789abc")), Content::Something);
        assert_eq!(content(Some("xfs"), None), Content::Something);
        marker::write(&file, size, None).unwrap();
        assert_eq!(content(Some("ext4"), Some(uuid)), Content::Something);
        assert_eq!(content(None, None), Content::Something);
    }
}
