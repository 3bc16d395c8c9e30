//! What has been done, and when: shown on the console while it happens, and left as `report.json`.

use std::fmt::Arguments;
use std::io::{self, Write};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use boot_report::Rendered;
use boot_report::records::{
    AttemptRecord, BootRecord, LedgerRecord, ModuleRecord, OutcomeRecord, ProfileRecord, StepRecord,
    TopRecord,
};
use nix::sys::resource::{UsageWho, getrusage};
use profiles::resolved::BootProfile;

use crate::clock::{micros, milliseconds, now};
use crate::console;
use crate::error::{BootError, Failure};
use crate::report::layers::{LayerFacts, layers as rendered};
use crate::request::Verbosity;
use crate::step_name::StepName;

/// A step with its two times.
#[derive(Debug, Clone, Copy)]
pub struct Timed<'a> {
    /// Name of the step.
    pub step: StepName,
    /// What it is done to, as messages name it.
    pub object: Arguments<'a>,
    /// CLOCK_BOOTTIME at its begin.
    pub start: Duration,
    /// CLOCK_BOOTTIME at its end.
    pub end: Duration,
}

/// The steps that were done in a stage.
pub trait Steps: Send + Sync + 'static {
    /// Shows each, in the order of the plan.
    fn each(&self, see: &mut dyn FnMut(Timed<'_>));
}

/// A part of the report, made by whoever wants it first, or by a thread that has nothing else to do.
pub type Part = Arc<LazyLock<Rendered, Box<dyn FnOnce() -> Rendered + Send>>>;

fn part(make: impl FnOnce() -> Rendered + Send + 'static) -> Part {
    Arc::new(LazyLock::new(Box::new(make)))
}

/// The layers of a profile, for the report; `facts` tells what was found of the one at each position.
pub fn layers(
    profile: Arc<BootProfile>,
    facts: impl Fn(usize) -> Option<LayerFacts> + Send + 'static,
) -> Part {
    part(move || rendered(&profile, facts))
}

/// The report while it is written.
#[derive(Debug)]
pub struct Journal {
    report: BootRecord,
    layers: Part,
    steps: Vec<Part>,
    verbosity: Verbosity,
    began: Duration,
}

/// One thing outside of any plan.
struct Alone {
    step: StepName,
    object: String,
    start: Duration,
    end: Duration,
}

impl Steps for Alone {
    fn each(&self, see: &mut dyn FnMut(Timed<'_>)) {
        let Self { step, object, start, end } = self;
        see(Timed { step: *step, object: format_args!("{object}"), start: *start, end: *end });
    }
}

impl Journal {
    /// An empty journal; says nothing on the console until the verbosity is known.
    pub fn begin() -> Self {
        let report = BootRecord { format: boot_report::FORMAT, ..BootRecord::default() };
        Self {
            report,
            layers: part(Rendered::default),
            steps: Vec::new(),
            verbosity: Verbosity::Quiet,
            began: now(),
        }
    }

    /// From here on the console hears as much as was asked for.
    pub fn speak(&mut self, verbosity: Verbosity, kernel: &str, command_line: &str) {
        self.verbosity = verbosity;
        self.report.kernel = kernel.to_owned();
        self.report.command_line = command_line.to_owned();
        self.say(&format!("kernel {kernel}"));
        self.debug(|| format!("command line: {command_line}"));
    }

    /// When init began, on CLOCK_BOOTTIME.
    pub fn began(&self) -> Duration {
        self.began
    }

    /// A line that `quiet` silences.
    pub fn say(&self, line: &str) {
        if self.verbosity >= Verbosity::Normal {
            console::write_line(line);
        }
    }

    /// A line, or several, for `lamina.debug`.
    pub fn debug(&self, lines: impl FnOnce() -> String) {
        if self.verbosity >= Verbosity::Debug {
            lines().lines().for_each(console::write_line);
        }
    }

    /// Something that a person should know although the boot goes on: on the console and in the kernel's log, also
    /// when it is quiet.
    pub fn warn(&mut self, line: String) {
        console::write_line(&format!("warning: {line}"));
        console::to_kernel_log(4, &format!("warning: {line}"));
        self.report.warnings.push(line);
    }

    /// A warning that nobody must miss: in red.
    pub fn alarm(&mut self, line: String) {
        console::write_red_line(&format!("warning: {line}"));
        console::to_kernel_log(3, &format!("warning: {line}"));
        self.report.warnings.push(line);
    }

    /// Does one thing outside of any plan, with its time, and gives its error the step and the object.
    pub fn step<T>(
        &mut self,
        step: StepName,
        object: &str,
        action: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, BootError> {
        let start = now();
        let result = action(self).map_err(|failure| failure.at(step, object));
        let done = Alone { step, object: object.to_owned(), start, end: now() };
        self.stage_done(step.as_str(), Arc::new(done));
        result
    }

    /// Takes the steps of a stage, and says one line about it, or one a step with `lamina.debug`. Returns what the report will have
    /// of them.
    pub fn stage_done(&mut self, stage: &'static str, steps: Arc<impl Steps>) -> Part {
        self.say_done(stage, &*steps);
        let records = part(move || {
            let mut records = Rendered::default();
            steps.each(&mut |Timed { step, object, start, end }| {
                let (start_us, length_us) = (micros(start), micros(end.saturating_sub(start)));
                records.push(&StepRecord { stage, step: step.as_str(), object, start_us, length_us });
            });
            records
        });
        self.steps.push(records.clone());
        records
    }

    fn say_done(&self, stage: &str, steps: &dyn Steps) {
        if self.verbosity < Verbosity::Normal {
            return;
        }
        let (mut count, mut detail) = (0, String::new());
        let (mut begin, mut finish) = (Duration::MAX, Duration::ZERO);
        steps.each(&mut |Timed { object, start, end, .. }| {
            (begin, finish) = (begin.min(start), finish.max(end));
            count += 1;
            if count == 1 {
                detail = object.to_string();
            }
        });
        if count != 1 {
            detail = format!("{count} steps");
        }
        self.say(&format!("{:>9} {stage}: {detail}", milliseconds(finish.saturating_sub(begin))));
        if self.verbosity == Verbosity::Debug {
            steps.each(&mut |Timed { step, object, start, end }| {
                let length = milliseconds(end.saturating_sub(start));
                console::write_line(&format!("{length:>19} {step} {object}"));
            });
        }
    }

    /// Notes the store that was asked for and the medium that was found.
    pub fn medium(&mut self, store: String, medium: String) {
        self.report.store = Some(store);
        self.report.medium = Some(medium);
    }

    /// Notes what became of the modules.
    pub fn modules(&mut self, modules: ModuleRecord) {
        for module in &modules.loaded {
            let length = Duration::from_micros(module.length_us);
            self.debug(|| format!("{:>19} module {}: {}", milliseconds(length), module.name, module.why));
        }
        for module in &modules.failed {
            self.debug(|| format!("module not loaded: {module}"));
        }
        self.report.modules = modules;
    }

    /// Notes where the store's folder is.
    pub fn store_folder(&mut self, folder: String) {
        self.report.store_folder = Some(folder);
    }

    /// Notes the profile that is tried now, and what the command line changes of it.
    pub fn profile(&mut self, profile: &Arc<BootProfile>, record: ProfileRecord, overrides: Vec<String>) {
        overrides
            .iter()
            .for_each(|change| self.say(&format!("changed by the kernel command line: {change}")));
        self.report.root = Some(profile.root.to_string());
        self.report.profile = Some(record);
        self.report.overrides = overrides;
        self.layers = layers(profile.clone(), |_| None);
    }

    /// Takes what was found of the layers. `log_from`: the first record of the kernel's log that can be about their devices.
    pub fn layers(&mut self, log_from: u64, layers: Part) {
        (self.report.log_from, self.layers) = (log_from, layers);
    }

    /// Notes what the writable top became.
    pub fn top(&mut self, top: TopRecord) {
        self.report.top = Some(top);
    }

    /// Notes whether the boot was counted.
    pub fn ledger(&mut self, record: LedgerRecord) {
        self.report.ledger = record;
    }

    /// Notes what became of a candidate.
    pub fn attempt(&mut self, record: AttemptRecord) {
        self.report.attempts.push(record);
    }

    /// The candidates that were not booted, one line each.
    pub fn failed_attempts(&self) -> Vec<String> {
        let failed = self.report.attempts.iter().filter(|attempt| attempt.outcome != "started");
        failed.map(AttemptRecord::line).collect()
    }

    /// The last line of a boot that went well.
    pub fn started(&mut self, init: &str, summary: &str) {
        let took = milliseconds(now().saturating_sub(self.began));
        let line = format!("{summary}; {}, starting {init}", took.trim_start());
        self.say(&line);
        console::to_kernel_log(6, &line);
        self.report.outcome = OutcomeRecord::Started { init: init.to_owned() };
    }

    /// The end of a boot that did not.
    pub fn failed(&mut self, error: &BootError) {
        let BootError { step, object, failure, .. } = error;
        console::to_kernel_log(3, &format!("boot stopped at: {step}: {object}: {}", failure.why));
        self.report.outcome = outcome(error);
    }

    /// Writes the report as JSON, laid out for people, who meet it on the recovery screen.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_json(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.report.began_us = micros(self.began);
        self.report.ended_us = micros(now());
        self.report.peak_kib = peak_kib();
        let steps: Vec<&Rendered> = self.steps.iter().map(|steps| &***steps).collect();
        self.report.write(&self.layers, &steps, out)
    }

    /// What [`Journal::write_json`] writes.
    pub fn json(&mut self) -> String {
        let mut text = Vec::new();
        // Memory takes everything, and JSON is text.
        let _ = self.write_json(&mut text);
        String::from_utf8(text).unwrap_or_default()
    }
}

/// The end of a boot that stopped.
fn outcome(error: &BootError) -> OutcomeRecord {
    let failure = (*error.failure).clone();
    OutcomeRecord::Failed {
        step: error.step.to_string(),
        object: error.object.clone(),
        why: failure.why,
        also: error.also.clone(),
        seen: failure.seen,
        r#try: failure.remedies,
    }
}

/// `ru_maxrss` of getrusage(2); 0 when the kernel does not tell.
fn peak_kib() -> u64 {
    getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| u64::try_from(usage.max_rss()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use running::layer_devices::Device;

    #[test]
    fn the_report_has_the_documented_shape() {
        let mut journal = Journal::begin();
        let error = journal
            .step(StepName::FindStore, "LABEL=x", |_| Err::<(), _>(Failure::new("none \"there\"")))
            .unwrap_err();
        journal.failed(&error);
        let json: serde_json::Value = serde_json::from_str(&journal.json()).unwrap();
        assert_eq!(json["format"], 2);
        assert_eq!(json["outcome"]["state"], "failed");
        assert_eq!(json["outcome"]["why"], "none \"there\"");
        assert_eq!(json["steps"][0]["step"], "find the store");
        assert!(json["steps"][0]["length_us"].is_u64());
        journal.started("/sbin/init", "summary");
        let json: serde_json::Value = serde_json::from_str(&journal.json()).unwrap();
        assert_eq!(json["outcome"], serde_json::json!({ "state": "started", "init": "/sbin/init" }));
    }

    #[test]
    fn layers_are_told_before_they_are_mounted_and_after() {
        let text = include_bytes!("../../tests/golden/web.kdl");
        let profile = Arc::new(BootProfile::parse("web.kdl", text).unwrap());
        let record = ProfileRecord {
            name: "web".into(),
            generation: 1,
            digest: "sha256:x".into(),
            signed_by: None,
            bound: false,
        };
        let mut journal = Journal::begin();
        let layers_of = |journal: &mut Journal| {
            let json: serde_json::Value = serde_json::from_str(&journal.json()).unwrap();
            json["layers"].as_array().unwrap().clone()
        };
        assert!(layers_of(&mut journal).is_empty());
        journal.profile(&profile, record, Vec::new());
        let before = layers_of(&mut journal);
        assert_eq!(before.len(), profile.images.len());
        assert_eq!((&before[0]["file_system"], &before[0]["device"]), (&"unknown".into(), &().into()));
        let facts = |position| {
            let device = Device { major: 7, minor: position as u32 };
            let found = LayerFacts {
                file_system: "erofs",
                corrects_errors: false,
                device: Some(device),
                backing: None,
            };
            (position > 0).then_some(found)
        };
        journal.layers(5, layers(profile, facts));
        let after = layers_of(&mut journal);
        assert_eq!(after[0], before[0]);
        assert_eq!((&after[1]["file_system"], &after[1]["device"]), (&"erofs".into(), &"7:1".into()));
    }
}
