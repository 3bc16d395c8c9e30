//! What init writes, the commands read: every field, and what a field means to them.

use boot_report::reading::{Attempt, Layer, Ledger, Module, Outcome, Profile, Step, Top};
use boot_report::records::{
    AttemptRecord, BootRecord, LayerRecord, LedgerRecord, LoadedModule, ModuleRecord, OutcomeRecord,
    ProfileRecord, StepRecord, TopRecord,
};
use boot_report::{BootReport, FORMAT, Rendered};
use serde_json::{Value, json};

/// What is written for people and other programs; no command of ours has a use for it.
const NOT_READ: [&str; 9] = [
    "/command_line",
    "/outcome/also/0",
    "/outcome/seen/0",
    "/top/check",
    "/attempts/0/digest",
    "/modules/present/0",
    "/modules/failed/0",
    // How many there are is read.
    "/modules/later/0",
    "/modules/loaded/0/start_us",
];

fn written() -> BootRecord {
    BootRecord {
        format: FORMAT,
        outcome: OutcomeRecord::Failed {
            step: "o-step".into(),
            object: "o-object".into(),
            why: "o-why".into(),
            also: vec!["o-also".into()],
            seen: vec!["o-seen".into()],
            r#try: vec!["o-try".into()],
        },
        kernel: "6.1".into(),
        command_line: "quiet".into(),
        store: Some("LABEL=x".into()),
        medium: Some("/dev/vda (ext4)".into()),
        store_folder: Some("/m/lamina".into()),
        profile: Some(ProfileRecord {
            name: "web".into(),
            generation: 7,
            digest: "sha256:p".into(),
            signed_by: Some("key".into()),
            bound: true,
        }),
        root: Some("root writable=\"no\"".into()),
        top: Some(top()),
        overrides: vec!["an override".into()],
        attempts: vec![attempt()],
        ledger: LedgerRecord { counted: true, attempt: Some(3), why_not: Some("l-why".into()) },
        modules: ModuleRecord {
            loaded: vec![LoadedModule {
                name: "ext4".into(),
                why: "m-why".into(),
                start_us: 11,
                length_us: 12,
            }],
            present: vec!["loop".into()],
            failed: vec!["xfs: no".into()],
            later: vec!["e1000".into()],
        },
        log_from: 13,
        warnings: vec!["a warning".into()],
        began_us: 14,
        ended_us: 15,
        peak_kib: 16,
    }
}

fn step() -> StepRecord<'static> {
    StepRecord {
        stage: "s-stage",
        step: "s-step",
        object: format_args!("s-object"),
        start_us: 17,
        length_us: 18,
    }
}

fn top() -> TopRecord {
    TopRecord {
        kind: "state",
        path: Some("/t"),
        device: Some("/dev/vdb".into()),
        file_system: Some("ext4".into()),
        folder: Some("/t/web".into()),
        action: Some("created".into()),
        aside: Some("/t/web.aside-1".into()),
        check: Some("good"),
        fell_back: Some("t-why".into()),
    }
}

fn layer() -> LayerRecord<'static> {
    LayerRecord {
        name: "busybox",
        version: "1.35.0",
        id: Some("id".into()),
        digest: "sha256:l".into(),
        size: 19,
        file_system: "erofs",
        verified: "verity",
        corrects_errors: true,
        path: "/l/busybox".into(),
        device: Some("253:0".into()),
        backing: Some("7:0".into()),
    }
}

fn attempt() -> AttemptRecord {
    let mut attempt = AttemptRecord::of("the profile web".into(), "web".into());
    attempt.found(20, "sha256:a".into());
    attempt.failed("a-step", "a-object", "a-why");
    attempt.suspects = vec!["busybox".into()];
    attempt.kernel = vec!["a line".into()];
    attempt
}

fn json_of(record: &BootRecord) -> Vec<u8> {
    let (mut layers, mut steps, mut text) = (Rendered::default(), Rendered::default(), Vec::new());
    layers.push(&layer());
    steps.push(&step());
    record.write(&layers, &[&steps], &mut text).unwrap();
    text
}

#[test]
fn what_is_written_is_read() {
    let expected = BootReport {
        format: FORMAT,
        outcome: Outcome {
            state: "failed".into(),
            init: String::new(),
            step: "o-step".into(),
            object: "o-object".into(),
            why: "o-why".into(),
            remedies: vec!["o-try".into()],
        },
        kernel: "6.1".into(),
        store: "LABEL=x".into(),
        medium: "/dev/vda (ext4)".into(),
        store_folder: "/m/lamina".into(),
        profile: Some(Profile {
            name: "web".into(),
            generation: 7,
            digest: "sha256:p".into(),
            signed_by: "key".into(),
            bound: true,
        }),
        root: "root writable=\"no\"".into(),
        top: Top {
            kind: "state".into(),
            path: "/t".into(),
            device: "/dev/vdb".into(),
            file_system: "ext4".into(),
            folder: "/t/web".into(),
            action: "created".into(),
            aside: "/t/web.aside-1".into(),
            fell_back: "t-why".into(),
        },
        layers: vec![read_layer()],
        overrides: vec!["an override".into()],
        attempts: vec![read_attempt()],
        ledger: Ledger { counted: true, attempt: 3, why_not: "l-why".into() },
        modules: vec![Module { name: "ext4".into(), why: "m-why".into(), length: 12 }],
        later_modules: 1,
        log_from: 13,
        warnings: vec!["a warning".into()],
        steps: vec![Step {
            stage: "s-stage".into(),
            step: "s-step".into(),
            object: "s-object".into(),
            start: 17,
            length: 18,
        }],
        began: 14,
        ended: 15,
        peak_kib: 16,
    };
    assert_eq!(BootReport::parse(&json_of(&written())).unwrap(), expected);
}

fn read_layer() -> Layer {
    Layer {
        name: "busybox".into(),
        version: "1.35.0".into(),
        id: "id".into(),
        digest: "sha256:l".into(),
        size: 19,
        file_system: "erofs".into(),
        verified: "verity".into(),
        corrects_errors: true,
        device: "253:0".into(),
        backing: "7:0".into(),
        path: "/l/busybox".into(),
    }
}

fn read_attempt() -> Attempt {
    Attempt {
        candidate: "the profile web".into(),
        profile: "web".into(),
        generation: 20,
        outcome: "failed".into(),
        step: "a-step".into(),
        object: "a-object".into(),
        why: "a-why".into(),
        suspects: vec!["busybox".into()],
        kernel: vec!["a line".into()],
    }
}

#[test]
fn the_end_of_a_boot_that_went_well_is_read() {
    let record = BootRecord {
        outcome: OutcomeRecord::Started { init: "/sbin/init".into() },
        format: FORMAT,
        ..BootRecord::default()
    };
    let outcome = BootReport::parse(&json_of(&record)).unwrap().outcome;
    assert_eq!(outcome, Outcome { state: "started".into(), init: "/sbin/init".into(), ..Outcome::default() });
}

/// A new field of the writer is read, or named above.
#[test]
fn no_field_is_written_past_the_reader() {
    let whole: Value = serde_json::from_slice(&json_of(&written())).unwrap();
    let read = |value: &Value| BootReport::parse(value.to_string().as_bytes()).ok();
    let mut leaves = Vec::new();
    leaves_of(&whole, String::new(), &mut leaves);
    let unread = leaves.into_iter().filter(|pointer| {
        let mut changed = whole.clone();
        let value = changed.pointer_mut(pointer).unwrap();
        *value = match &*value {
            Value::String(text) => json!(format!("{text}!")),
            Value::Number(_) => json!(99),
            Value::Bool(truth) => json!(!truth),
            other => panic!("{pointer} is {other}: give the record above a value for it"),
        };
        read(&changed) == read(&whole)
    });
    let mut unread: Vec<String> = unread.collect();
    let mut known = NOT_READ.map(str::to_owned);
    unread.sort();
    known.sort();
    assert_eq!(unread, known);
}

/// JSON pointers (RFC 6901) to all values that hold no others.
fn leaves_of(value: &Value, pointer: String, found: &mut Vec<String>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            map.iter().for_each(|(key, value)| leaves_of(value, format!("{pointer}/{key}"), found))
        }
        Value::Array(list) if !list.is_empty() => {
            list.iter().enumerate().for_each(|(n, value)| leaves_of(value, format!("{pointer}/{n}"), found));
        }
        _ => found.push(pointer),
    }
}
