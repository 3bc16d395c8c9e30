//! What a boot wants modules for, as data: pure.

use std::borrow::Cow;

use super::devices::Device;

/// Something that a module may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// What modules answer to: a name, `fs-NAME`, `crypto-NAME`, or what a device is called. A name that ends with `*` stands
    /// for all that begin so.
    pub what: Cow<'static, str>,
    /// What for, for the report.
    pub why: String,
}

impl Need {
    fn new(what: impl Into<Cow<'static, str>>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into() }
    }

    /// A driver for a device of `/sys/bus`, by its modalias.
    pub(super) fn device(device: Device) -> Self {
        Self::new(device.modalias, format!("device {}", device.name))
    }
}

/// What mounting a file system takes: its driver, and what the kernel asks for by name when it mounts.
pub fn of_file_system(driver: &str) -> Vec<Need> {
    let why = format!("file system {driver}");
    let mut needs = vec![Need::new(format!("fs-{driver}"), &*why)];
    let loads = file_systems::of_driver(driver).map_or(&[][..], |row| row.loads);
    needs.extend(loads.iter().map(|what| Need::new(*what, &*why)));
    needs
}

/// What attaching an image takes.
pub fn of_loop_devices() -> Vec<Need> {
    vec![Need::new("loop", "images on loop devices")]
}

/// What dm-verity takes. Not all of these need each other's symbols: the hash is found by its name.
pub fn of_verity() -> Vec<Need> {
    let why = "images checked by dm-verity";
    // device-mapper by its own name too: without dm-verity the kernel shall say that it is this target that is missing.
    ["crypto-sha256", "dm_mod", "dm_verity"].map(|what| Need::new(what, why)).to_vec()
}
