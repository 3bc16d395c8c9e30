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
    /// When init began: microseconds of CLOCK_BOOTTIME.
    pub began_us: u64,
    /// When it wrote the report.
    pub ended_us: u64,
    /// What init did, in order.
    pub steps: Vec<Step>,
    /// The images of the stack, bottom first.
    pub layers: Vec<Layer>,
}

/// The profile that was booted.
#[derive(Debug, Deserialize)]
pub struct Profile {
    /// As its text has it.
    pub name: String,
    /// Its generation in the store.
    pub generation: u64,
}

/// One thing that init did.
#[derive(Debug, Deserialize)]
pub struct Step {
    /// The group of steps that it belongs to.
    pub stage: String,
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
    /// `MAJOR:MINOR` of the device that is mounted.
    pub device: Option<String>,
    /// `MAJOR:MINOR` of the loop device below it.
    pub backing: Option<String>,
}

impl BootReport {
    /// Reads the JSON, and refuses times that no clock gives that only goes forward.
    pub fn parse(json: &str) -> Result<Self, Failure> {
        let report: Self = serde_json::from_str(json).map_err(Failure::about("/run/lamina/report.json"))?;
        report.check_times()?;
        Ok(report)
    }

    /// Every step lies between begin and end, and no stage begins before the one that stands before it. The steps of a stage
    /// may be done at the same time.
    fn check_times(&self) -> Result<(), Failure> {
        let mut stage_began = self.began_us;
        for steps in self.steps.chunk_by(|one, other| one.stage == other.stage) {
            let first = steps.iter().map(|step| step.start_us).min().unwrap_or_default();
            let last = steps.iter().map(|step| step.start_us + step.length_us).max().unwrap_or_default();
            if first < stage_began || last > self.ended_us {
                let stage = &steps[0].stage;
                return Err(Failure::new(format!(
                    "report.json: the stage `{stage}` was from {first} to {last}, after {stage_began} and before {}",
                    self.ended_us
                )));
            }
            stage_began = first;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_go_back_are_refused() {
        let report = |second: u64| {
            let step = |stage, start_us, length_us| {
                let (step, object) = (String::new(), String::new());
                Step { stage: String::from(stage), step, object, start_us, length_us }
            };
            BootReport {
                kernel: String::new(),
                profile: Profile { name: String::new(), generation: 1 },
                began_us: 10,
                ended_us: 50,
                steps: vec![step("one", 20, 5), step("one", 19, 9), step("two", second, 10)],
                layers: Vec::new(),
            }
        };
        assert!(report(28).check_times().is_ok() && report(40).check_times().is_ok());
        assert!(report(41).check_times().is_err() && report(18).check_times().is_err());
    }
}
