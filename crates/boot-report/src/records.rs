//! `report.json` as a boot leaves it. `docs/boot.md` describes the schema.

use std::fmt::Arguments;
use std::io::{self, Write};

use serde::Serialize;

use crate::{Rendered, layout, paths};

/// The report without what may be hundreds: `layers`, [`LayerRecord`]s, and `steps`, [`StepRecord`]s.
#[derive(Debug, Default, Serialize)]
pub struct BootRecord {
    /// [`crate::FORMAT`].
    pub format: u64,
    /// How the boot ended.
    pub outcome: OutcomeRecord,
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
}

/// How a boot ended.
#[derive(Debug, Default, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum OutcomeRecord {
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

impl BootRecord {
    /// Writes the report as JSON, laid out for people, who meet it on the recovery screen. Layers come bottom first, and steps in
    /// order.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, layers: &Rendered, steps: &[&Rendered], out: &mut dyn Write) -> io::Result<()> {
        layout::write(out, self, &[("layers", &[layers]), ("steps", steps)])?;
        out.write_all(b"\n")
    }
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
pub struct LayerRecord<'a> {
    /// Name of the package, as in its recipe.
    pub name: &'a str,
    /// Version of the package, as in its recipe.
    pub version: &'a str,
    /// The id of its build.
    pub id: Option<String>,
    /// SHA-256 of the image.
    pub digest: String,
    /// Bytes of the image.
    pub size: u64,
    /// `squashfs` or `erofs`.
    pub file_system: &'static str,
    /// `verity`, `digest` or `none`.
    pub verified: &'static str,
    /// Whether damage is healed as it is read.
    pub corrects_errors: bool,
    /// Where it is mounted.
    pub path: String,
    /// `MAJOR:MINOR` of the block device that is mounted; none for an EROFS that is mounted from its file.
    pub device: Option<String>,
    /// `MAJOR:MINOR` of the loop device below it, when dm-verity is between: what the kernel's log names.
    pub backing: Option<String>,
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

    /// Notes which generation was found, and the digest of its file, `sha256:HEX`.
    pub fn found(&mut self, generation: u64, digest: String) {
        self.generation = Some(generation);
        self.digest = Some(digest);
    }

    /// It was not tried, because something else is to come first.
    pub fn skipped(&mut self, why: &str) {
        self.outcome = "skipped";
        self.why = Some(why.to_owned());
    }

    /// Notes which step failed, on what, and why.
    pub fn failed(&mut self, step: &str, object: &str, why: &str) {
        self.outcome = "failed";
        self.step = Some(step.to_owned());
        self.object = Some(object.to_owned());
        self.why = Some(why.to_owned());
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
pub struct StepRecord<'a> {
    /// The stage that it belongs to.
    pub stage: &'static str,
    /// As `docs/boot.md` names it.
    pub step: &'static str,
    /// What it was about: a device, a file, a folder.
    pub object: Arguments<'a>,
    /// When it began.
    pub start_us: u64,
    /// How long it took.
    pub length_us: u64,
}

/// The `top` of `report.json`; `docs/boot.md` has its fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TopRecord {
    /// `none`, `tmpfs` or `state`.
    pub kind: &'static str,
    /// Where the top is, when there is one.
    pub path: Option<&'static str>,
    /// `/dev/NAME` of a state.
    pub device: Option<String>,
    /// The driver of a state.
    pub file_system: Option<String>,
    /// The folder of a state, in the running system.
    pub folder: Option<String>,
    /// `created`, `reused`, `kept`, `set aside` or `taken back`.
    pub action: Option<String>,
    /// The folder in which the top that was there is now.
    pub aside: Option<String>,
    /// What the file system's own program found, when it was asked: `good`, `repaired` or `not packed`.
    pub check: Option<&'static str>,
    /// Why a tmpfs serves in place of the state.
    pub fell_back: Option<String>,
}

impl TopRecord {
    /// A read-only root.
    pub fn none() -> Self {
        Self { kind: "none", ..Self::default() }
    }

    /// A tmpfs: the profile wants one, or the state cannot be used for the reason in `fell_back`.
    pub fn tmpfs(fell_back: Option<String>) -> Self {
        Self { kind: "tmpfs", path: Some(paths::TOP), fell_back, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_has_the_documented_keys() {
        let json = serde_json::to_value(TopRecord::tmpfs(Some("gone".into()))).unwrap();
        let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
        assert_eq!(
            keys,
            ["action", "aside", "check", "device", "fell_back", "file_system", "folder", "kind", "path"]
        );
        assert_eq!((&json["kind"], &json["fell_back"]), (&"tmpfs".into(), &"gone".into()));
        assert_eq!(serde_json::to_value(TopRecord::none()).unwrap()["path"], serde_json::Value::Null);
    }
}
