use super::*;
use block_probe::partition_table::Partition;

const MIB: u64 = 1 << 20;

/// A disk of 100 MiB, or a partition with its place in MiB, and what lies there: kind, label, UUID and length in MiB.
fn device(
    name: &str,
    extent: Option<(u64, u64)>,
    found: Option<(&'static str, &str, &str, u64)>,
) -> BlockDevice {
    let disk = extent.map(|_| name.trim_end_matches(|last: char| last.is_ascii_digit()).to_owned());
    let (start, size) = extent.unwrap_or((0, 100));
    let superblock = found.map(|(kind, label, uuid, length)| Superblock {
        kind,
        driver: Some(kind).filter(|kind| part_of(kind).is_none()),
        label: Some(label.to_owned()).filter(|label| !label.is_empty()),
        uuid: Some(uuid.to_owned()).filter(|uuid| !uuid.is_empty()),
        length: Some(length * MIB).filter(|length| *length > 0),
    });
    let partition = disk.as_ref().map(|_| Partition { number: 1, uuid: format!("id-{name}"), label: None });
    BlockDevice {
        name: name.into(),
        disk,
        start: start * MIB,
        size: size * MIB,
        superblock,
        partition,
        ..BlockDevice::default()
    }
}

/// The name of the one that is meant, or why none is.
fn meant(spec: &str, devices: &[BlockDevice]) -> Result<Option<String>, String> {
    let spec = DeviceSpec::parse(spec).unwrap();
    let found = devices.iter().filter(|device| device.answers_to(&spec)).collect();
    let one = one(&spec, found, devices, "lamina.store=");
    one.map(|device| device.map(|device| device.name.clone())).map_err(|failure| {
        format!("{}; {}; {}", failure.why, failure.seen.join(", "), failure.remedies.join("; "))
    })
}

fn is(name: &str) -> Result<Option<String>, String> {
    Ok(Some(name.to_owned()))
}

#[test]
fn a_hybrid_iso_is_its_partition_whether_it_begins_with_the_disk_or_not() {
    let iso = Some(("iso9660", "LIVE", "2026", 50));
    for start in [0, 1] {
        let devices = [device("sda", None, iso), device("sda1", Some((start, 60)), iso)];
        assert_eq!(meant("LABEL=LIVE", &devices), is("sda1"));
        assert_eq!(meant("UUID=2026", &devices), is("sda1"));
        assert_eq!(meant("/dev/sda", &devices), is("sda"));
        assert_eq!(meant("PARTUUID=id-sda1", &devices), is("sda1"));
    }
    let undated = Some(("iso9660", "LIVE", "", 50));
    let devices = [device("sda", None, undated), device("sda1", Some((0, 60)), undated)];
    assert_eq!(meant("LABEL=LIVE", &devices), is("sda1"));
}

#[test]
fn a_hybrid_iso_none_of_whose_partitions_is_whole_is_its_disk() {
    let iso = Some(("iso9660", "LIVE", "2026", 50));
    let efi = device("sda2", Some((10, 2)), Some(("vfat", "EFI", "1-2", 2)));
    let devices = [device("sda", None, iso), device("sda1", Some((0, 10)), iso), efi.clone()];
    assert_eq!(meant("LABEL=LIVE", &devices), is("sda"));
    assert_eq!(meant("UUID=2026", &[device("sda", None, iso), efi]), is("sda"));
    // It counts what was appended to it.
    let appended = device("sda2", Some((10, 39)), None);
    let devices = [device("sda", None, iso), device("sda1", Some((0, 10)), iso), appended];
    assert_eq!(meant("LABEL=LIVE", &devices), is("sda1"));
}

#[test]
fn the_partition_wins_over_what_was_there_before_it() {
    for old in
        [("ext4", "lamina", "old", 100), ("iso9660", "lamina", "old", 50), ("vfat", "lamina", "old", 90)]
    {
        let devices = [
            device("vda", None, Some(old)),
            device("vda1", Some((1, 99)), Some(("ext4", "lamina", "new", 99))),
        ];
        assert_eq!(meant("LABEL=lamina", &devices), is("vda1"), "{old:?}");
        assert_eq!(meant("UUID=new", &devices), is("vda1"), "{old:?}");
    }
}

#[test]
fn where_it_cannot_be_known_the_boot_stops_and_says_what_to_erase() {
    let new = device("vda1", Some((60, 40)), Some(("ext4", "lamina", "new", 40)));
    let other = device("vda1", Some((1, 40)), Some(("ext4", "other", "new", 40)));
    for (kind, part) in [("ext4", &new), ("iso9660", &new), ("ext4", &other)] {
        let devices = [device("vda", None, Some((kind, "lamina", "old", 50))), part.clone()];
        let why = meant("LABEL=lamina", &devices).unwrap_err();
        assert!(why.contains(&format!("`wipefs --all --types {kind} /dev/vda`")), "{why}");
        assert_eq!(meant("/dev/vda", &devices), is("vda"));
    }
}

#[test]
fn a_partition_that_does_not_answer_yet_is_waited_for() {
    let mut devices =
        [device("vda", None, Some(("iso9660", "LIVE", "2026", 50))), device("vda1", Some((0, 60)), None)];
    devices[1].silent = true;
    assert_eq!(meant("LABEL=LIVE", &devices), Ok(None));
}

#[test]
fn a_part_of_something_else_is_named_with_what_it_is() {
    let member = Some(("linux_raid_member", "data", "u", 100));
    let devices = [device("vda", None, member), device("vdb", None, member)];
    for spec in ["LABEL=data", "UUID=u", "/dev/vdb"] {
        let why = meant(spec, &devices).unwrap_err();
        assert!(why.contains("is a part of a RAID (md), and is not used by itself"), "{why}");
        assert!(why.contains("wipefs --all --types linux_raid_member /dev/vd"), "{why}");
        assert!(why.contains(" or a hook of the initramfs (before-store) do it"), "{why}");
    }
    // What the kernel made of them is used.
    let mut devices =
        [devices[0].clone(), devices[1].clone(), device("md0", None, Some(("ext4", "data", "u", 99)))];
    assert_eq!(meant("LABEL=data", &devices), is("md0"));
    devices[0].superblock = devices[2].superblock.clone();
    devices[0].holders.push("md0".into());
    assert_eq!(meant("LABEL=data", &devices), is("md0"));
    let why = meant("/dev/vda", &devices).unwrap_err();
    assert!(why.contains("/dev/vda is in use by /dev/md0"), "{why}");
}

#[test]
fn one_of_several_devices_of_a_btrfs_is_named_so() {
    let mut devices = ["vda", "vdb"].map(|name| device(name, None, Some(("btrfs", "data", "u", 0))));
    devices.iter_mut().filter_map(|device| device.superblock.as_mut()).for_each(|found| found.driver = None);
    let why = meant("LABEL=data", &devices).unwrap_err();
    assert!(
        why.starts_with("/dev/vda is one of several devices of a btrfs, and is not used by itself"),
        "{why}"
    );
}

#[test]
fn a_partition_of_a_disk_that_is_a_part_of_something_else_is_one_too() {
    let ext4 = device("vda1", Some((1, 50)), Some(("ext4", "data", "u", 50)));
    let of = |kind, length| [device("vda", None, Some((kind, "", "", length))), ext4.clone()];
    let why = meant("LABEL=data", &of("linux_raid_member", 100)).unwrap_err();
    assert!(why.contains("/dev/vda1 lies on /dev/vda, which is a part of a RAID"), "{why}");
    // Their data do not begin with the device: what is there is older than the table.
    assert_eq!(meant("LABEL=data", &of("LVM2_member", 0)), is("vda1"));
    // Several paths to one disk.
    let mut devices =
        [device("vda", None, None), ext4.clone(), device("dm-1", None, Some(("ext4", "data", "u", 50)))];
    devices[0].holders.push("dm-0".into());
    assert_eq!(meant("UUID=u", &devices), is("dm-1"));
    // The last partition is the part.
    let last = device("vda2", Some((60, 40)), Some(("linux_raid_member", "", "", 40)));
    let [disk, first] = of("linux_raid_member", 100);
    assert_eq!(meant("LABEL=data", &[disk, first, last]), is("vda1"));
}

#[test]
fn several_are_told_apart_by_what_one_of_them_has_alone() {
    let copies = [("vda1", Some((1, 50))), ("vdb", None)];
    let devices = copies.map(|(name, extent)| device(name, extent, Some(("ext4", "data", "u", 50))));
    let why = meant("UUID=u", &devices).unwrap_err();
    assert!(why.contains("2 devices answer to UUID=u"), "{why}");
    assert!(why.contains("say which: lamina.store=PARTUUID=id-vda1 or lamina.store=/dev/vdb"), "{why}");
    assert!(why.contains("copies of one file system") && !why.contains("lamina.store=UUID="), "{why}");
    let devices = ["vda", "vdb"].map(|name| device(name, None, Some(("ext4", "data", name, 50))));
    let why = meant("LABEL=data", &devices).unwrap_err();
    assert!(why.contains("lamina.store=UUID=vda or lamina.store=UUID=vdb"), "{why}");
}

#[test]
fn whoever_names_a_disk_with_partitions_hears_what_that_means() {
    let devices = [device("vda", None, None), device("vda1", Some((1, 2)), None), device("vdb", None, None)];
    let line = |path: &str| about_whole_disk(&DeviceSpec::parse(path).unwrap(), &devices);
    assert!(line("/dev/vda").unwrap().contains("/dev/vda1 cannot be used beside it"));
    assert_eq!((line("/dev/vdb"), line("/dev/vda1"), line("LABEL=x")), (None, None, None));
}
