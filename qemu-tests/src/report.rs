//! `/run/lamina/report.json`: what init did, as it left it for the running system (ARCHITECTURE.md).

use serde::Deserialize;

use crate::failure::Failure;

/// The whole report; `docs/boot.md` has all of its fields.
#[derive(Debug, Deserialize)]
pub struct BootReport {
    /// `uname -r` of the kernel.
    pub kernel: String,
    /// The profile that was booted.
    pub profile: Profile,
    /// What init did, in order.
    pub steps: Vec<Step>,
    /// The images of the stack, bottom first.
    pub layers: Vec<Layer>,
}

/// The profile that was booted.
#[derive(Debug, Deserialize)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// Its generation in the store.
    pub generation: u64,
}

/// One thing that init did.
#[derive(Debug, Deserialize)]
pub struct Step {
    /// What was done.
    pub step: String,
    /// To what.
    pub object: String,
    /// When: microseconds of CLOCK_BOOTTIME.
    pub start_us: u64,
    /// How long: microseconds.
    pub length_us: u64,
}

/// One image of the stack.
#[derive(Debug, Deserialize)]
pub struct Layer {
    /// The package.
    pub name: String,
    /// SHA-256 of the image, `sha256:HEX`.
    pub digest: String,
    /// `squashfs` or `erofs`.
    pub file_system: String,
    /// How it is checked: `verity`, `digest` or `none`.
    pub verified: String,
    /// Whether damaged blocks are healed.
    pub corrects_errors: bool,
}

impl BootReport {
    /// Reads the JSON.
    pub fn parse(json: &str) -> Result<Self, Failure> {
        serde_json::from_str(json).map_err(Failure::about("/run/lamina/report.json"))
    }
}
