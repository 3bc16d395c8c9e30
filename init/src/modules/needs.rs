//! What a boot wants modules for, as data: pure.

use std::borrow::Cow;

use super::devices::Device;
use crate::plan::Step;

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

    /// A driver.
    pub(super) fn device(device: Device) -> Self {
        Self::new(device.modalias, format!("device {}", device.name))
    }
}

/// What mounting a file system takes. FAT and Joliet need character sets, which the kernel asks for by name when it mounts.
pub fn of_file_system(driver: &str) -> Vec<Need> {
    let why = format!("file system {driver}");
    let mut needs = vec![Need::new(format!("fs-{driver}"), &*why)];
    if ["vfat", "iso9660"].contains(&driver) {
        needs.push(Need::new("nls_*", why));
    }
    needs
}

/// What attaching an image takes.
pub fn of_loop_devices() -> Vec<Need> {
    vec![Need::new("loop", "images on loop devices")]
}

/// What a step takes, as far as that is known before it is done: the file system of an image is known when it is open.
pub fn of_step(step: &Step) -> Vec<Need> {
    match step {
        Step::Mount(mount) => of_file_system(mount.kind),
        Step::OpenVerity(_) => {
            // Not all of these need each other's symbols: the hash is found by its name.
            let why = "images checked by dm-verity";
            // device-mapper by its own name too: without dm-verity the kernel shall say that it is this target that is missing.
            ["crypto-sha256", "dm_mod", "dm_verity"].map(|what| Need::new(what, why)).to_vec()
        }
        Step::StackLayers { .. } => of_file_system("overlay"),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan;
    use crate::store::medium::Medium;

    #[test]
    fn a_medium_needs_its_file_system_and_fat_its_character_sets() {
        let what = |driver: &'static str| -> Vec<String> {
            let stages =
                plan::medium(&Medium::Device { path: "/dev/vda".into(), driver, write_protected: false });
            let steps = stages.iter().flat_map(|stage| stage.steps());
            steps.flat_map(of_step).map(|need| need.what.into_owned()).collect()
        };
        assert_eq!(what("ext4"), ["fs-ext4"]);
        assert_eq!(what("vfat"), ["fs-vfat", "nls_*"]);
        assert_eq!(what("iso9660"), ["fs-iso9660", "nls_*"]);
    }

    #[test]
    fn steps_of_a_stack_need_what_they_are_made_of() {
        let stack = Step::StackLayers { lower: Vec::new(), above: plan::Above::Nothing };
        assert_eq!(of_step(&stack)[0].what, "fs-overlay");
        assert_eq!(of_step(&stack)[0].why, "file system overlay");
        assert!(of_step(&Step::CheckInit("/sbin/init".into())).is_empty());
    }
}
