//! `report.json`: what a boot leaves in writing. `docs/boot.md` describes the schema.

use profiles::resolved::BootProfile;
use profiles::{Digest, Verify};
use running::layer_devices::Device;
use serde::Serialize;

use crate::error::BootError;
use crate::report::TopRecord;

/// The whole report.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// [`running::report::FORMAT`].
    pub format: u64,
    /// How the boot ended.
    pub outcome: Outcome,
    /// Release of the kernel.
    pub kernel: String,
    /// As `/proc/cmdline` has it.
    pub command_line: String,
    /// `lamina.store=`.
    pub store: Option<String>,
    /// What answered to it.
    pub medium: Option<String>,
    /// The store's folder in the running system.
    pub store_folder: Option<String>,
    /// The profile whose root stands.
    pub profile: Option<ProfileRecord>,
    /// The node `root` of the profile.
    pub root: Option<String>,
    /// What the writable top became.
    pub top: Option<TopRecord>,
    /// The stack, bottom first.
    pub layers: Vec<LayerRecord>,
    /// Parameters that changed the profile.
    pub overrides: Vec<String>,
    /// Every profile that was tried, in order.
    pub attempts: Vec<AttemptRecord>,
    /// Whether boots are counted.
    pub ledger: LedgerRecord,
    /// Kernel modules, by what became of them.
    pub modules: ModuleRecord,
    /// The first record of the kernel's log in which devices are those of `layers`.
    pub log_from: u64,
    /// Sentences that stood on the console.
    pub warnings: Vec<String>,
    /// CLOCK_BOOTTIME when init began, in microseconds.
    pub began_us: u64,
    /// CLOCK_BOOTTIME when the report was written, in microseconds.
    pub ended_us: u64,
    /// The most memory that init had resident (`ru_maxrss` of getrusage(2)), in KiB.
    pub peak_kib: u64,
    /// What was done, in order.
    pub steps: Vec<StepRecord>,
}

/// How a boot ended.
#[derive(Debug, Default, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Outcome {
    /// It has not.
    #[default]
    Running,
    /// The real init was started.
    Started {
        /// Its path in the booted system.
        init: String,
    },
    /// The recovery screen.
    Failed {
        /// The step that failed, by its name in `docs/boot.md`.
        step: String,
        /// What the step was about, as on the recovery screen.
        object: String,
        /// Why it failed, as on the recovery screen.
        why: String,
        /// Others of the same stage.
        also: Vec<String>,
        /// What was there instead.
        seen: Vec<String>,
        /// What to try.
        r#try: Vec<String>,
    },
}

/// A profile and where its bytes come from.
#[derive(Debug, Clone, Serialize)]
pub struct ProfileRecord {
    /// As its text has it.
    pub name: String,
    /// The number of its file in the store.
    pub generation: u64,
    /// SHA-256 of its file.
    pub digest: String,
    /// The key of the initramfs that signed it.
    pub signed_by: Option<String>,
    /// The command line names the digest.
    pub bound: bool,
}

/// A layer of the stack.
#[derive(Debug, Serialize)]
pub struct LayerRecord {
    /// Name of the package, as in its recipe.
    pub name: String,
    /// Version of the package, as in its recipe.
    pub version: String,
    /// The id of its build.
    pub id: Option<String>,
    /// SHA-256 of the image.
    pub digest: String,
    /// Bytes of the image.
    pub size: u64,
    /// `squashfs` or `erofs`.
    pub file_system: &'static str,
    /// `verity`, `digest` or `none`.
    pub verified: String,
    /// Whether damage is healed as it is read.
    pub corrects_errors: bool,
    /// Where it is mounted.
    pub path: String,
    /// `MAJOR:MINOR` of the block device that is mounted; none for an EROFS that is mounted from its file.
    pub device: Option<String>,
    /// `MAJOR:MINOR` of the loop device below it, when dm-verity is between: what the kernel's log names.
    pub backing: Option<String>,
}

/// What was found when a layer was mounted.
#[derive(Debug, Clone, Copy)]
pub struct LayerFacts {
    /// `squashfs` or `erofs`.
    pub file_system: &'static str,
    /// Whether damage is healed as it is read.
    pub corrects_errors: bool,
    /// The device that is mounted.
    pub device: Option<Device>,
    /// The loop device below dm-verity.
    pub backing: Option<Device>,
}

/// A profile that was tried.
#[derive(Debug, Clone, Serialize)]
pub struct AttemptRecord {
    /// Why it was tried, in words.
    pub candidate: String,
    /// Name of the profile; empty when the command line names none.
    pub profile: String,
    /// The number of its file, when it was found.
    pub generation: Option<u64>,
    /// SHA-256 of its file, when it was found.
    pub digest: Option<String>,
    /// `started`, `skipped` or `failed`.
    pub outcome: &'static str,
    /// The step that failed, by its name in `docs/boot.md`.
    pub step: Option<String>,
    /// What the step was about, as on the recovery screen.
    pub object: Option<String>,
    /// The cause, or why it was skipped.
    pub why: Option<String>,
    /// Layers that the last good generation does not have.
    pub suspects: Vec<String>,
    /// The kernel's warnings meanwhile, with the layers that they are about.
    pub kernel: Vec<String>,
}

impl AttemptRecord {
    /// Nothing is known of it yet.
    pub fn of(candidate: String, profile: String) -> Self {
        Self {
            candidate,
            profile,
            generation: None,
            digest: None,
            outcome: "failed",
            step: None,
            object: None,
            why: None,
            suspects: Vec::new(),
            kernel: Vec::new(),
        }
    }

    /// Notes which generation was found, and its digest.
    pub fn found(&mut self, generation: u64, digest: &Digest) {
        self.generation = Some(generation);
        self.digest = Some(digest.to_string());
    }

    /// It was not tried, because something else is to come first.
    pub fn skipped(&mut self, why: &str) {
        self.outcome = "skipped";
        self.why = Some(why.to_owned());
    }

    /// Notes which step failed, on what, and why.
    pub fn failed(&mut self, error: &BootError) {
        self.outcome = "failed";
        self.step = Some(error.step.to_string());
        self.object = Some(error.object.clone());
        self.why = Some(error.failure.why.clone());
    }

    /// One line for the screen.
    pub fn line(&self) -> String {
        let what = [&self.step, &self.object, &self.why];
        let why: Vec<&str> =
            what.into_iter().flatten().map(|text| text.lines().next().unwrap_or("")).collect();
        let suspects = match self.suspects.as_slice() {
            [] => String::new(),
            names => format!(" (suspect: {})", names.join(", ")),
        };
        format!("{} {}: {}{suspects}", self.candidate, self.outcome, why.join(": "))
    }
}

/// Whether boots are counted.
#[derive(Debug, Default, Clone, Serialize)]
pub struct LedgerRecord {
    /// The attempt was noted.
    pub counted: bool,
    /// Attempts since the last blessing, with this one.
    pub attempt: Option<u32>,
    /// Why it was not noted.
    pub why_not: Option<String>,
}

/// Modules by what became of them.
#[derive(Debug, Default, Clone, Serialize)]
pub struct ModuleRecord {
    /// Loaded by init, in order.
    pub loaded: Vec<LoadedModule>,
    /// Built in, or loaded already.
    pub present: Vec<String>,
    /// `NAME: why`.
    pub failed: Vec<String>,
    /// Nothing had asked for them: loaded while the real init starts.
    pub later: Vec<String>,
}

/// A module that was loaded, with its times in microseconds of CLOCK_BOOTTIME.
#[derive(Debug, Clone, Serialize)]
pub struct LoadedModule {
    /// As in `lsmod`.
    pub name: String,
    /// What asked for it.
    pub why: String,
    /// When it began.
    pub start_us: u64,
    /// How long it took.
    pub length_us: u64,
}

/// A step with its times, in microseconds of CLOCK_BOOTTIME.
#[derive(Debug, Serialize)]
pub struct StepRecord {
    /// The stage that it belongs to.
    pub stage: &'static str,
    /// As `docs/boot.md` names it.
    pub step: &'static str,
    /// What it was about: a device, a file, a folder.
    pub object: String,
    /// When it began.
    pub start_us: u64,
    /// How long it took.
    pub length_us: u64,
}

impl Outcome {
    /// The end of a boot that stopped.
    pub fn failed(error: &BootError) -> Self {
        let failure = (*error.failure).clone();
        Self::Failed {
            step: error.step.to_string(),
            object: error.object.clone(),
            why: failure.why,
            also: error.also.clone(),
            seen: failure.seen,
            r#try: failure.remedies,
        }
    }
}

/// The layers of a profile, bottom first, as far as they are known before they are mounted.
pub fn layers(profile: &BootProfile) -> Vec<LayerRecord> {
    let verified = match profile.verify {
        Verify::None => "none",
        Verify::Digest => "digest",
        Verify::Verity => "verity",
    };
    let record = |image: &profiles::resolved::ImageRef| LayerRecord {
        name: image.name.as_str().to_owned(),
        version: image.version.clone(),
        id: image.id.map(|id| id.hex()),
        digest: image.digest.to_string(),
        size: image.size,
        file_system: "unknown",
        verified: verified.to_owned(),
        corrects_errors: false,
        path: format!("{}/{}", crate::paths::LAYERS, image.name),
        device: None,
        backing: None,
    };
    profile.images.iter().map(record).collect()
}
