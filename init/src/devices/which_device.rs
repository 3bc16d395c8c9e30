//! Which one is meant of the devices that answer to a name. A disk may show a file system that only one of its partitions has, or
//! that is long gone; and what is a part of something else (a RAID, a volume group, an encrypted volume) is never used by itself.

use block_probe::superblock::{Superblock, part_of};
use profiles::DeviceSpec;

use crate::devices::block_devices::BlockDevice;
use crate::error::Failure;

/// The partitions of that disk.
pub fn partitions<'a>(disk: &BlockDevice, devices: &'a [BlockDevice]) -> Vec<&'a BlockDevice> {
    devices.iter().filter(|device| device.disk.as_ref() == Some(&disk.name)).collect()
}

/// The one that is meant among those that were `found` by the name; `None`: it is not there (yet). `parameter`: where a person
/// would say which.
pub fn one<'a>(
    spec: &DeviceSpec,
    found: Vec<&'a BlockDevice>,
    devices: &'a [BlockDevice],
    parameter: &str,
) -> Result<Option<&'a BlockDevice>, Failure> {
    let mut obstacle = None;
    let mut usable = Vec::new();
    for device in found {
        match why_not(device, devices) {
            Some(failure) => obstacle = obstacle.or(Some(failure)),
            None => usable.push(device),
        }
    }
    let mut meant: Vec<&BlockDevice> = Vec::new();
    for device in usable.iter().filter(|device| !is_cut(device, devices)) {
        let place = if matches!(spec, DeviceSpec::Path(_)) {
            Some(*device)
        } else {
            place(spec, device, &usable, devices)?
        };
        meant.extend(place.filter(|place| !meant.iter().any(|other| other.name == place.name)));
    }
    match (meant.as_slice(), obstacle) {
        ([], Some(failure)) if usable.is_empty() => Err(failure),
        ([], _) => Ok(None),
        ([only], _) => Ok(Some(*only)),
        (several, _) => Err(which(spec, several, parameter)),
    }
}

/// Why this device is not used by itself.
fn why_not(device: &BlockDevice, devices: &[BlockDevice]) -> Option<Failure> {
    let path = device.path();
    let disk = device.disk.as_ref().and_then(|disk| devices.iter().find(|other| other.name == *disk));
    let parts = partitions(device, devices);
    let held = [device].into_iter().chain(disk).chain(parts).find(|device| !device.holders.is_empty());
    if let Some(held) = held {
        let holders: Vec<String> =
            held.holders.iter().map(|name| format!("/dev/{}", name.replace('!', "/"))).collect();
        let holders = holders.join(", ");
        let what =
            if held.name == device.name { path } else { format!("{path}, or {} beside it,", held.path()) };
        return Some(
            Failure::new(format!("{what} is in use by {holders}"))
                .having_seen([device.to_string()])
                .try_this(format!("name what is made of it: {holders}")),
        );
    }
    let whole = disk.filter(|disk| reaches(disk, device.start) && !is_of_last_partition(disk, devices));
    let member = [device].into_iter().chain(whole).find_map(|device| {
        let found = device.superblock.as_ref()?;
        // Mounting one of several devices takes a search for the others.
        let one_of_several =
            (found.kind == "btrfs" && found.driver.is_none()).then_some("one of several devices of a btrfs");
        part_of(found.kind).or(one_of_several).map(|what| (device, found.kind, what))
    });
    let (member, kind, what) = member?;
    let of =
        if member.name == device.name { String::new() } else { format!(" lies on {}, which", member.path()) };
    let member = member.path();
    Some(
        Failure::new(format!("{path}{of} is {what}, and is not used by itself"))
            .having_seen([device.to_string()])
            .try_this("init assembles and unlocks nothing: use a device of its own, or have the kernel (md=, dm-mod.create=) or a hook of the initramfs (before-store) do it")
            .try_this(format!(
                "if {member} is {what} no longer, erase that mark on another system: `wipefs --all --types {kind} {member}`"
            )),
    )
}

/// Whether what lies on the disk as a whole fills that place too.
fn reaches(disk: &BlockDevice, start: u64) -> bool {
    disk.superblock.as_ref().and_then(|found| found.length).is_some_and(|length| start < length)
}

/// A RAID of version 0.90 does not say where it begins: on a disk whose last partition is a part of one, so seems to be the disk.
fn is_of_last_partition(disk: &BlockDevice, devices: &[BlockDevice]) -> bool {
    let kind = |device: &BlockDevice| device.superblock.as_ref().map(|found| found.kind);
    let parts = partitions(disk, devices);
    let last = parts.iter().max_by_key(|device| device.start);
    last.is_some_and(|last| kind(last) == kind(disk))
}

/// What programs put behind an ISO, and count to its length.
const PADDING: u64 = 1 << 20;

/// Whether it is a partition that begins with its disk and ends before the file system does. An ISO counts the partitions that were
/// appended to it to its own length: where they fill the rest, nothing is missing.
fn is_cut(device: &BlockDevice, devices: &[BlockDevice]) -> bool {
    let Some(length) = device.superblock.as_ref().and_then(|found| found.length) else { return false };
    let Some(disk) = device.disk.as_ref().and_then(|disk| devices.iter().find(|other| other.name == *disk))
    else {
        return false;
    };
    let fills = |other: &&BlockDevice| {
        other.start >= device.size && other.start.saturating_add(other.size).saturating_add(PADDING) >= length
    };
    let shows_the_disk = device.start == 0 && disk.superblock == device.superblock;
    shows_the_disk && length > device.size && !partitions(disk, devices).iter().any(fills)
}

/// What is meant by a device that shows the name: of a disk with partitions, one of them as a rule. To mount the whole disk would
/// keep all of them from use, and what is there may be what was there before the partitions.
fn place<'a>(
    spec: &DeviceSpec,
    device: &'a BlockDevice,
    usable: &[&'a BlockDevice],
    devices: &'a [BlockDevice],
) -> Result<Option<&'a BlockDevice>, Failure> {
    let parts = partitions(device, devices);
    let Some(own) = device.superblock.as_ref().filter(|_| !parts.is_empty()) else { return Ok(Some(device)) };
    if parts.iter().any(|part| part.silent) {
        return Ok(None);
    }
    let parts: Vec<&BlockDevice> = parts.into_iter().filter(|part| !is_cut(part, devices)).collect();
    if let Some(twin) = parts.iter().find(|part| is_same(own, part)) {
        return match why_not(twin, devices) {
            Some(failure) => Err(failure),
            None => Ok(Some(*twin)),
        };
    }
    let within = |part: &&&BlockDevice| own.length.is_none_or(|length| part.start < length);
    let named: Vec<&&BlockDevice> =
        parts.iter().filter(|part| usable.iter().any(|other| other.name == part.name)).collect();
    // The partition is in the place of what was there before it.
    if named.iter().any(&within) {
        return Ok(None);
    }
    // A hybrid ISO none of whose partitions is the ISO: it is only read.
    if named.is_empty() && (own.kind == "iso9660" || !parts.iter().any(|part| within(&part))) {
        return Ok(Some(device));
    }
    Err(left_over(spec, device, own, &parts))
}

/// The same file system, seen on the disk and on its partition.
fn is_same(own: &Superblock, part: &BlockDevice) -> bool {
    part.superblock.as_ref().is_some_and(|found| {
        let named = own.uuid.is_some() || part.start == 0;
        named && (own.kind, &own.uuid, &own.label) == (found.kind, &found.uuid, &found.label)
    })
}

fn left_over(spec: &DeviceSpec, device: &BlockDevice, own: &Superblock, parts: &[&BlockDevice]) -> Failure {
    let (path, kind) = (device.path(), own.kind);
    let seen = [device].into_iter().chain(parts.iter().copied());
    Failure::new(format!(
        "{path} answers to {spec} as a whole with {kind}, and has partitions: which of them counts cannot be known"
    ))
    .having_seen(seen.map(ToString::to_string))
    .try_this(format!(
        "if the partitions count, erase what is left of the other on another system: `wipefs --all --types {kind} {path}`"
    ))
    .try_this(format!("if the whole disk counts, name it: {path}; or name a partition by PARTUUID="))
}

/// Several remain. Only what one of them has alone tells it from the others.
fn which(spec: &DeviceSpec, several: &[&BlockDevice], parameter: &str) -> Failure {
    type Name = fn(&BlockDevice) -> Option<String>;
    let names: [Name; 4] = [
        |device| Some(format!("PARTUUID={}", device.partition.as_ref()?.uuid)),
        |device| Some(format!("UUID={}", device.superblock.as_ref()?.uuid.as_ref()?)),
        |device| Some(format!("LABEL={}", device.superblock.as_ref()?.label.as_ref()?)),
        |device| Some(device.path()),
    ];
    let alone = |device: &BlockDevice| {
        names.iter().find_map(|name| {
            let own = name(device)?;
            let same =
                |other: &&&BlockDevice| name(other).is_some_and(|other| other.eq_ignore_ascii_case(&own));
            (several.iter().filter(same).count() == 1).then_some(own)
        })
    };
    let choices: Vec<String> = several
        .iter()
        .filter_map(|device| alone(device))
        .map(|name| format!("{parameter}{}", name.escape_debug()))
        .collect();
    let failure = Failure::new(format!("{} devices answer to {spec}", several.len()))
        .having_seen(several.iter().map(ToString::to_string))
        .try_this(format!("say which: {}", choices.join(" or ")));
    let uuid = |device: &BlockDevice| device.superblock.as_ref().and_then(|found| found.uuid.clone());
    let first = several.first().and_then(|device| uuid(device));
    if first.is_some() && several.iter().all(|device| uuid(device) == first) {
        return failure.try_this(
            "they are copies of one file system, or two ways to one disk: unplug one, or give one of them another UUID \
             (`tune2fs -U random`, `xfs_admin -U generate`)",
        );
    }
    failure
}

/// What a person should know who named a whole disk that has partitions.
pub fn about_whole_disk(spec: &DeviceSpec, devices: &[BlockDevice]) -> Option<String> {
    let DeviceSpec::Path(path) = spec else { return None };
    let disk = devices.iter().find(|device| device.path() == *path)?;
    let names: Vec<String> = partitions(disk, devices).into_iter().map(BlockDevice::path).collect();
    (!names.is_empty()).then(|| {
        format!("{path} is used as a whole, as it was named: {} cannot be used beside it", names.join(", "))
    })
}

#[cfg(test)]
#[path = "which_device_tests.rs"]
mod tests;
