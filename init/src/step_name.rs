//! The steps of a boot, by the names of `docs/boot.md`. Code compares the values; the names are for people and for the report.

use std::fmt;

/// What a boot was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepName {
    /// Reads what the kernel was started with.
    ReadCommandLine,
    /// Compares what mkinitramfs wrote about the initramfs with this init and the running kernel.
    CheckInitramfs,
    /// Reads the keys that profiles are signed with.
    ReadKeys,
    /// Loads the kernel modules that the devices of this machine ask for.
    LoadModules,
    /// Runs a program of a drop-in.
    RunHook,
    /// Waits for the medium with the store.
    FindStore,
    /// Looks for the wanted generation of the profile in the store.
    FindProfile,
    /// Checks the signature of the profile, reads its text, and applies what the command line changes.
    ReadProfile,
    /// Mounts the file system of a writable top that lasts.
    OpenState,
    /// Mounts the file system of the medium, or a tmpfs.
    Mount,
    /// Opens the file of an image, and compares its length with that in the profile.
    OpenImage,
    /// Compares the SHA-256 of an image with that in the profile.
    CheckImage,
    /// Attaches an image to a loop device.
    AttachImage,
    /// Puts dm-verity over the loop device of an image.
    OpenVerity,
    /// Mounts the squashfs or EROFS of an image.
    MountLayer,
    /// Binds a folder to a second place.
    Bind,
    /// Mounts the overlayfs of all layers.
    StackLayers,
    /// Looks in the new root for the folders to which `/proc`, `/dev` and the like move.
    FindMountPoints,
    /// Reads the real init to its last byte, with its interpreters and libraries.
    ReadInit,
    /// Looks whether the kernel would start the real init.
    CheckInit,
    /// Makes the new root read-only, as `ro` asks.
    ProtectRoot,
    /// Makes the new root `/`.
    SwitchRoot,
    /// Becomes the real init, by execve(2).
    StartInit,
    /// No failure: `lamina.rescue` asks for the recovery screen.
    Rescue,
    /// A bug, or a crash, of this program.
    RunInit,
}

impl StepName {
    /// As messages, reports and `docs/boot.md` have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadCommandLine => "read the command line",
            Self::CheckInitramfs => "check the initramfs",
            Self::ReadKeys => "read keys",
            Self::LoadModules => "load modules",
            Self::RunHook => "run hook",
            Self::FindStore => "find the store",
            Self::FindProfile => "find the profile",
            Self::ReadProfile => "read the profile",
            Self::OpenState => "open the state",
            Self::Mount => "mount",
            Self::OpenImage => "open image",
            Self::CheckImage => "check image",
            Self::AttachImage => "attach image",
            Self::OpenVerity => "open verity",
            Self::MountLayer => "mount layer",
            Self::Bind => "bind",
            Self::StackLayers => "stack layers",
            Self::FindMountPoints => "find mount points",
            Self::ReadInit => "read init",
            Self::CheckInit => "check init",
            Self::ProtectRoot => "protect root",
            Self::SwitchRoot => "switch root",
            Self::StartInit => "start init",
            Self::Rescue => "rescue",
            Self::RunInit => "run init",
        }
    }
}

impl fmt::Display for StepName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `following` is a match without a rest, so that the compiler asks for a new name here.
    #[test]
    fn the_documentation_has_a_line_for_each() {
        let documentation = include_str!("../../docs/boot.md");
        let mut next = Some(StepName::ReadCommandLine);
        let mut count = 0;
        while let Some(step) = next {
            assert!(documentation.contains(&format!("| {step} |")), "docs/boot.md has no line for `{step}`");
            count += 1;
            next = following(step);
        }
        assert_eq!(count, StepName::RunInit as usize + 1);
    }

    fn following(step: StepName) -> Option<StepName> {
        Some(match step {
            StepName::ReadCommandLine => StepName::CheckInitramfs,
            StepName::CheckInitramfs => StepName::ReadKeys,
            StepName::ReadKeys => StepName::LoadModules,
            StepName::LoadModules => StepName::RunHook,
            StepName::RunHook => StepName::FindStore,
            StepName::FindStore => StepName::FindProfile,
            StepName::FindProfile => StepName::ReadProfile,
            StepName::ReadProfile => StepName::OpenState,
            StepName::OpenState => StepName::Mount,
            StepName::Mount => StepName::OpenImage,
            StepName::OpenImage => StepName::CheckImage,
            StepName::CheckImage => StepName::AttachImage,
            StepName::AttachImage => StepName::OpenVerity,
            StepName::OpenVerity => StepName::MountLayer,
            StepName::MountLayer => StepName::Bind,
            StepName::Bind => StepName::StackLayers,
            StepName::StackLayers => StepName::FindMountPoints,
            StepName::FindMountPoints => StepName::ReadInit,
            StepName::ReadInit => StepName::CheckInit,
            StepName::CheckInit => StepName::ProtectRoot,
            StepName::ProtectRoot => StepName::SwitchRoot,
            StepName::SwitchRoot => StepName::StartInit,
            StepName::StartInit => StepName::Rescue,
            StepName::Rescue => StepName::RunInit,
            StepName::RunInit => return None,
        })
    }
}
