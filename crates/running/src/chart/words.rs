//! What both charts say in words.

use boot_report::BootReport;
use boot_report::reading::{Attempt, Layer, Top};
use cli::numbers::{count, human_size};

use crate::text::milliseconds;

use super::scale::Scale;

/// The heading: what was booted.
pub(super) fn heading(report: &BootReport) -> String {
    match &report.profile {
        Some(profile) => format!("Boot of {}, generation {}", profile.name, profile.generation),
        None => "A boot that found no profile".to_owned(),
    }
}

/// How it ended, in one sentence.
pub(super) fn outcome(report: &BootReport) -> String {
    let took = milliseconds(Scale::of(report).length());
    match report.outcome.state.as_str() {
        "started" => format!("{} started after {took} in init", report.outcome.init),
        "failed" => format!("stopped after {took} at: {}, {}", report.outcome.step, report.outcome.object),
        _ => format!("not finished after {took}"),
    }
}

/// What went wrong or differs from what was asked for, worst first.
pub(super) fn troubles(report: &BootReport) -> Vec<String> {
    let mut troubles = Vec::new();
    if report.outcome.state == "failed" {
        troubles.push(format!("failed: {}", report.outcome.why));
        troubles.extend(report.outcome.remedies.iter().map(|remedy| format!("try: {remedy}")));
    }
    for tried in report.attempts.iter().filter(|attempt| attempt.outcome != "started") {
        troubles.push(attempt(tried));
        troubles.extend(tried.kernel.iter().map(|words| format!("the kernel: {words}")));
    }
    if !report.top.fell_back.is_empty() {
        troubles.push(format!("changes are lost at power-off: {}", report.top.fell_back));
    }
    troubles.extend(report.warnings.iter().map(|warning| format!("warning: {warning}")));
    troubles.extend(report.caution().map(|caution| format!("warning: {caution}")));
    troubles
}

fn attempt(attempt: &Attempt) -> String {
    let Attempt { candidate, profile, generation, outcome, step, object, why, suspects, .. } = attempt;
    let mut line = if candidate.is_empty() { format!("the profile {profile}") } else { candidate.clone() };
    if *generation > 0 {
        line += &format!(" (generation {generation})");
    }
    line += &format!(" {outcome}");
    let parts = [step, object, why].into_iter().filter(|part| !part.is_empty());
    line.extend(parts.flat_map(|part| [": ", part]));
    match suspects.as_slice() {
        [] => line,
        suspects => format!("{line} (suspects: {})", suspects.join(", ")),
    }
}

/// The facts, each with its name. Those without content are left out.
pub(super) fn facts(report: &BootReport) -> Vec<(&'static str, String)> {
    let profile = report.profile.clone().unwrap_or_default();
    let mut identity = profile.digest.clone();
    if !profile.signed_by.is_empty() {
        identity += &format!(", signed by {}", profile.signed_by);
    }
    if profile.bound {
        identity += ", bound by the command line";
    }
    let before = (report.began > 0).then(|| format!(", {} before init", milliseconds(report.began)));
    let found = |spec: &str| if spec.is_empty() { String::new() } else { format!(", found by {spec}") };
    let counted = match &report.ledger {
        ledger if ledger.counted => format!("attempt {}", ledger.attempt),
        ledger if ledger.why_not.is_empty() => String::new(),
        ledger => format!("not counted: {}", ledger.why_not),
    };
    let peak =
        if report.peak_kib == 0 { String::new() } else { human_size(report.peak_kib.saturating_mul(1024)) };
    let mut facts = vec![
        ("profile", identity),
        ("kernel", format!("{}{}", report.kernel, before.unwrap_or_default())),
        ("medium", format!("{}{}", report.medium, found(&report.store))),
        ("layers", layers(&report.layers)),
        ("top", top(report)),
        ("boots", counted),
        ("memory", peak),
    ];
    facts.extend(report.overrides.iter().map(|text| ("override", text.clone())));
    facts.retain(|(_, text)| !text.is_empty());
    facts
}

/// `20 layers, 41.5 MiB: 18 verity with correction, 2 digest`.
fn layers(layers: &[Layer]) -> String {
    let total = layers.iter().fold(0_u64, |total, layer| total.saturating_add(layer.size));
    let mut ways: Vec<(String, usize)> = Vec::new();
    for layer in layers {
        let way = verified(layer);
        match ways.iter_mut().find(|(known, _)| *known == way) {
            Some((_, number)) => *number += 1,
            None => ways.push((way, 1)),
        }
    }
    let ways = match ways.as_slice() {
        [] => return String::new(),
        [(way, _)] => way.clone(),
        ways => ways.iter().map(|(way, number)| format!("{number} {way}")).collect::<Vec<_>>().join(", "),
    };
    format!("{}, {}: {ways}", count(layers.len(), "layer"), human_size(total))
}

/// How a layer was verified.
pub(super) fn verified(layer: &Layer) -> String {
    match (layer.verified.as_str(), layer.corrects_errors) {
        ("none", _) => "not verified".to_owned(),
        (way, true) => format!("{way} with correction"),
        (way, false) => way.to_owned(),
    }
}

fn top(report: &BootReport) -> String {
    let Top { kind, device, file_system, folder, action, aside, .. } = &report.top;
    let mut text = match kind.as_str() {
        // Format 1 has only the words of the profile.
        "" => report.root.trim_start_matches("root ").to_owned(),
        "none" => "none: the root is read-only".to_owned(),
        "state" => format!("{folder} on {device} ({file_system}), {action}"),
        kind => kind.to_owned(),
    };
    if !aside.is_empty() {
        text += &format!("; the old one is {aside}");
    }
    text
}

/// `busybox 1.35.0, sha256:..., 1.0 MiB`: all about a layer.
pub(super) fn layer(layer: &Layer) -> String {
    let Layer { name, version, digest, file_system, .. } = layer;
    format!("{name} {version}\n{}, {}\n{digest}", join(file_system, &human_size(layer.size)), verified(layer))
}

fn join(first: &str, second: &str) -> String {
    if first.is_empty() { second.to_owned() } else { format!("{first}, {second}") }
}
