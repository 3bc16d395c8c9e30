//! From JSON to [`BootReport`].

use std::fmt;

use serde_json::Value;

use crate::paths;
use crate::reading::{Attempt, BootReport, Layer, Ledger, Module, Outcome, Profile, Step, Top};

/// Why a text is no report of a boot.
#[derive(Debug)]
pub enum ParseError {
    /// It is no JSON.
    Json(serde_json::Error),
    /// It is JSON about something else: `format` or `steps` is missing.
    OtherJson,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => write!(f, "is no JSON: {error}"),
            Self::OtherJson => f.write_str("is no report of a boot: `format` or `steps` is missing"),
        }
    }
}

impl std::error::Error for ParseError {}

impl BootReport {
    /// Reads the text of a report.
    ///
    /// # Errors
    /// The text is no JSON, or no report.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        let value: Value = serde_json::from_slice(text).map_err(ParseError::Json)?;
        let report = report(&value);
        if report.format == 0 || !value["steps"].is_array() {
            return Err(ParseError::OtherJson);
        }
        Ok(report)
    }
}

/// The report in a JSON object.
fn report(value: &Value) -> BootReport {
    let node = Node(value);
    let profile = node.at("profile");
    BootReport {
        format: node.number("format"),
        outcome: node.at("outcome").outcome(),
        kernel: node.text("kernel"),
        store: node.text("store"),
        medium: node.text("medium"),
        store_folder: node.text("store_folder"),
        profile: profile.0.is_object().then(|| profile.profile()),
        root: node.text("root"),
        top: node.at("top").top(),
        layers: node.each("layers", Node::layer),
        overrides: node.texts("overrides"),
        attempts: node.each("attempts", Node::attempt),
        ledger: node.at("ledger").ledger(),
        modules: node.at("modules").modules(),
        later_modules: node.at("modules").each("later", |_| ()).len() as u64,
        log_from: node.number("log_from"),
        warnings: node.texts("warnings"),
        steps: node.each("steps", Node::step),
        began: node.number("began_us"),
        ended: node.number("ended_us"),
        peak_kib: node.number("peak_kib"),
    }
}

/// A part of the report. What is not there, or of another type, is empty.
#[derive(Clone, Copy)]
struct Node<'a>(&'a Value);

impl<'a> Node<'a> {
    fn at(self, key: &str) -> Node<'a> {
        Node(&self.0[key])
    }

    fn text(self, key: &str) -> String {
        self.0[key].as_str().unwrap_or_default().to_owned()
    }

    fn number(self, key: &str) -> u64 {
        self.0[key].as_u64().unwrap_or_default()
    }

    fn truth(self, key: &str) -> bool {
        self.0[key].as_bool().unwrap_or_default()
    }

    fn each<T>(self, key: &str, read: impl Fn(Node<'a>) -> T) -> Vec<T> {
        self.0[key].as_array().into_iter().flatten().map(|value| read(Node(value))).collect()
    }

    fn texts(self, key: &str) -> Vec<String> {
        self.each(key, |node| node.0.as_str().unwrap_or_default().to_owned())
    }

    fn outcome(self) -> Outcome {
        Outcome {
            state: self.text("state"),
            init: self.text("init"),
            step: self.text("step"),
            object: self.text("object"),
            why: self.text("why"),
            remedies: self.texts("try"),
        }
    }

    fn profile(self) -> Profile {
        Profile {
            name: self.text("name"),
            generation: self.number("generation"),
            digest: self.text("digest"),
            signed_by: self.text("signed_by"),
            bound: self.truth("bound"),
        }
    }

    fn top(self) -> Top {
        Top {
            kind: self.text("kind"),
            path: self.text("path"),
            device: self.text("device"),
            file_system: self.text("file_system"),
            folder: self.text("folder"),
            action: self.text("action"),
            aside: self.text("aside"),
            fell_back: self.text("fell_back"),
        }
    }

    fn layer(self) -> Layer {
        let name = self.text("name");
        let verified = match &self.0["verified"] {
            // Format 1 knew one way only.
            Value::Bool(true) => "digest".to_owned(),
            Value::String(way) => way.clone(),
            _ => "none".to_owned(),
        };
        let path = match self.text("path") {
            path if path.is_empty() => format!("{}/{name}", paths::LAYERS),
            path => path,
        };
        Layer {
            version: self.text("version"),
            id: self.text("id"),
            digest: self.text("digest"),
            size: self.number("size"),
            file_system: self.text("file_system"),
            corrects_errors: self.truth("corrects_errors"),
            device: self.text("device"),
            backing: self.text("backing"),
            name,
            verified,
            path,
        }
    }

    fn attempt(self) -> Attempt {
        Attempt {
            candidate: self.text("candidate"),
            profile: self.text("profile"),
            generation: self.number("generation"),
            outcome: self.text("outcome"),
            step: self.text("step"),
            object: self.text("object"),
            why: self.text("why"),
            suspects: self.texts("suspects"),
            kernel: self.texts("kernel"),
        }
    }

    fn ledger(self) -> Ledger {
        Ledger {
            counted: self.truth("counted"),
            attempt: self.number("attempt"),
            why_not: self.text("why_not"),
        }
    }

    /// The init of an earlier time left nothing but names, which say too little.
    fn modules(self) -> Vec<Module> {
        let modules = self.each("loaded", |node| Module {
            name: node.text("name"),
            why: node.text("why"),
            length: node.number("length_us"),
        });
        modules.into_iter().filter(|module| !module.name.is_empty()).collect()
    }

    fn step(self) -> Step {
        Step {
            stage: self.text("stage"),
            step: self.text("step"),
            object: self.text("object"),
            start: self.number("start_us"),
            length: self.number("length_us"),
        }
    }
}
