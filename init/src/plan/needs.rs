//! What the steps of a plan want modules for: pure.

use crate::modules::needs::{self, Need};
use crate::plan::BootStep;

/// What a step takes, as far as that is known before it is done: the file system of an image is known when it is open.
pub fn of_step(step: &BootStep) -> Vec<Need> {
    match step {
        BootStep::Mount(mount) => needs::of_file_system(mount.kind),
        BootStep::OpenVerity(_) => needs::of_verity(),
        BootStep::StackLayers { .. } => needs::of_file_system("overlay"),
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
        let stack = BootStep::StackLayers { lower: Vec::new(), above: plan::Above::Nothing };
        assert_eq!(of_step(&stack)[0].what, "fs-overlay");
        assert_eq!(of_step(&stack)[0].why, "file system overlay");
        assert!(of_step(&BootStep::CheckInit("/sbin/init".into())).is_empty());
    }
}
