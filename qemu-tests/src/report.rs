//! `/run/lamina/report.json`: what init did, as it left it for the running system (ARCHITECTURE.md).

use serde::Deserialize;

use crate::failure::Failure;

/// The whole report.
#[derive(Debug, Deserialize)]
pub struct BootReport {
    /// `uname -r` of the kernel.
    pub kernel: String,
    /// The name of the profile.
    pub profile: String,
    /// What init did, in order.
    pub steps: Vec<Step>,
    /// The images of the stack, bottom first.
    pub layers: Vec<Layer>,
}

/// One thing that init did.
#[derive(Debug, Deserialize)]
pub struct Step {
    /// What was done.
    pub name: String,
    /// To what.
    pub object: String,
    /// Microseconds of CLOCK_BOOTTIME.
    pub start: u64,
    /// Microseconds.
    pub length: u64,
}

/// One image of the stack.
#[derive(Debug, Deserialize)]
pub struct Layer {
    /// The package.
    pub name: String,
    /// SHA-256 of the image, `sha256:HEX`.
    pub digest: String,
}

impl BootReport {
    /// Reads the JSON.
    pub fn parse(json: &str) -> Result<Self, Failure> {
        serde_json::from_str(json).map_err(Failure::about("/run/lamina/report.json"))
    }
}
