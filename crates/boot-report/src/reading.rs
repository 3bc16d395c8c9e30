//! `report.json` as commands read it.

use crate::FORMAT;

/// The report of a boot. Texts that are absent or null are empty, numbers 0.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BootReport {
    /// The version of its format.
    pub format: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Release of the kernel.
    pub kernel: String,
    /// The value of `lamina.store=`.
    pub store: String,
    /// The device or share, with its file system.
    pub medium: String,
    /// The folder of the store in the running system; empty for a store in the initramfs.
    pub store_folder: String,
    /// What was booted.
    pub profile: Option<Profile>,
    /// The writable top, as the profile asks for it.
    pub root: String,
    /// The writable top, as it is.
    pub top: Top,
    /// Bottom first.
    pub layers: Vec<Layer>,
    /// What the command line changed about the profile.
    pub overrides: Vec<String>,
    /// What was tried before, and this boot.
    pub attempts: Vec<Attempt>,
    /// Whether this boot is counted on the medium.
    pub ledger: Ledger,
    /// The kernel modules that were loaded before the system started, in order.
    pub modules: Vec<Module>,
    /// The first record of the kernel's log in which devices are those of `layers`.
    pub log_from: u64,
    /// How many nothing had asked for: they were loaded while the system started.
    pub later_modules: u64,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// What was done, in order.
    pub steps: Vec<Step>,
    /// Begin of init, in microseconds of CLOCK_BOOTTIME.
    pub began: u64,
    /// Its end, in microseconds of CLOCK_BOOTTIME.
    pub ended: u64,
    /// Most memory that init had, in KiB.
    pub peak_kib: u64,
}

/// How the boot ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// `started` or `failed`.
    pub state: String,
    /// The program that was started.
    pub init: String,
    /// The step that failed.
    pub step: String,
    /// What the step was about, as on the recovery screen.
    pub object: String,
    /// Why it failed.
    pub why: String,
    /// What to try.
    pub remedies: Vec<String>,
}

/// The profile that was booted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profile {
    /// As its text has it.
    pub name: String,
    /// The number of its file in the store.
    pub generation: u64,
    /// `sha256:HEX` of its file.
    pub digest: String,
    /// The key whose signature was checked; empty without one.
    pub signed_by: String,
    /// Whether the command line names the digest.
    pub bound: bool,
}

/// The writable top of the root.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Top {
    /// `none`, `tmpfs` or `state`.
    pub kind: String,
    /// The folder with `upper` in it.
    pub path: String,
    /// The device of a persistent one.
    pub device: String,
    /// File system on that device, such as `ext4`.
    pub file_system: String,
    /// The folder on that device.
    pub folder: String,
    /// What happened to it: `created`, `reused`, `kept`, `set aside`.
    pub action: String,
    /// Where the old one was set aside.
    pub aside: String,
    /// Why it is a tmpfs although a persistent one was asked for.
    pub fell_back: String,
}

/// One layer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layer {
    /// Name of the package, as in its recipe.
    pub name: String,
    /// Version of the package, as in its recipe.
    pub version: String,
    /// Its id in hexadecimal digits.
    pub id: String,
    /// `sha256:HEX` of the image.
    pub digest: String,
    /// Bytes of the image.
    pub size: u64,
    /// `squashfs` or `erofs`.
    pub file_system: String,
    /// `verity`, `digest` or `none`.
    pub verified: String,
    /// Whether damaged blocks are mended.
    pub corrects_errors: bool,
    /// `MAJOR:MINOR` of the device that is mounted.
    pub device: String,
    /// `MAJOR:MINOR` of the loop device below it, when dm-verity is between.
    pub backing: String,
    /// Where it is mounted by itself.
    pub path: String,
}

/// One try to boot a profile.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attempt {
    /// Why it was tried, in words: `the profile web`.
    pub candidate: String,
    /// Name of the profile; empty when the command line named none.
    pub profile: String,
    /// The number of its file in the store; 0 when it was not found.
    pub generation: u64,
    /// `failed`, `skipped` or `started`.
    pub outcome: String,
    /// The step that failed.
    pub step: String,
    /// What the step was about, as on the recovery screen.
    pub object: String,
    /// Why it failed, or was skipped.
    pub why: String,
    /// Layers that may be the reason.
    pub suspects: Vec<String>,
    /// The kernel's warnings meanwhile.
    pub kernel: Vec<String>,
}

/// Whether the boot was counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    /// The attempt was written to the medium.
    pub counted: bool,
    /// Attempts without a blessing, this one included.
    pub attempt: u64,
    /// Why it was not counted.
    pub why_not: String,
}

/// A kernel module that was loaded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Module {
    /// As in `lsmod`.
    pub name: String,
    /// What asked for it.
    pub why: String,
    /// In microseconds.
    pub length: u64,
}

/// One step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Step {
    /// The group it belongs to.
    pub stage: String,
    /// What was done, as `docs/boot.md` names it.
    pub step: String,
    /// What it was done to.
    pub object: String,
    /// In microseconds of CLOCK_BOOTTIME.
    pub start: u64,
    /// In microseconds.
    pub length: u64,
}

impl Step {
    /// Its end, in microseconds of CLOCK_BOOTTIME.
    pub fn end(&self) -> u64 {
        self.start.saturating_add(self.length)
    }
}

impl BootReport {
    /// What to say when the report is newer than this reader.
    pub fn caution(&self) -> Option<String> {
        (self.format > FORMAT).then(|| {
            format!(
                "the report has format {}, and this program knows {FORMAT}: something may be missing here",
                self.format
            )
        })
    }
}
