//! The report for reading: one line a thing instead of one a brace, in pages.

use super::context::Context;
use super::screen::{ScreenSize, printable};

/// Rows of a page on a terminal of 25: the rest of a screen is the prompt and what was before.
const AROUND: usize = 5;

/// What was seen, what was tried, and the report, as lines that fit into so many columns.
pub fn lines(context: &Context, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for (head, texts) in [("devices", &context.devices), ("tried before", &context.attempts)] {
        if !texts.is_empty() {
            lines.push(format!("{head}:"));
            lines.extend(texts.iter().flat_map(|text| text.lines()).map(|line| format!("  {line}")));
        }
    }
    lines.extend(readable(&context.report));
    if lines.is_empty() {
        lines.push("nothing was recorded: init failed before".to_owned());
    }
    lines.iter().flat_map(|line| wrapped(&printable(line), columns)).collect()
}

/// The pages of these lines.
pub fn pages(lines: &[String], size: ScreenSize) -> impl Iterator<Item = &[String]> {
    lines.chunks(size.rows.saturating_sub(AROUND).max(5))
}

/// Indented JSON with each innermost object or list on one line, without quotes, braces and what is empty. Only the layout is
/// looked at: a string of JSON has no line break in it.
fn readable(json: &str) -> Vec<String> {
    let mut lines = Vec::new();
    // An object or list that has only plain values so far.
    let mut open: Vec<&str> = Vec::new();
    for line in json.lines() {
        if line.ends_with(['{', '[']) {
            lines.extend(open.drain(..).filter_map(plain));
            open.push(line);
        } else if line.trim_start().starts_with(['}', ']']) {
            let mut values = open.drain(..);
            let head = values.next().map(|head| (indent(head), name(head)));
            let values: Vec<String> =
                values.filter_map(plain).map(|value| value.trim_start().to_owned()).collect();
            if let Some((indent, name)) = head.filter(|_| !values.is_empty()) {
                lines.push(format!("{indent}{name}{}", values.join(", ")));
            }
        } else if open.is_empty() {
            lines.extend(plain(line));
        } else {
            open.push(line);
        }
    }
    lines
}

fn indent(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

/// `name: ` of `"name": {`, nothing of `{`.
fn name(line: &str) -> String {
    let name = line.trim().split_once("\": ").map(|(name, _)| name.trim_start_matches('"'));
    name.map(|name| format!("{name}: ")).unwrap_or_default()
}

/// A name and a value without quotes; nothing when there is nothing in it.
fn plain(line: &str) -> Option<String> {
    let text = line.trim().trim_end_matches(',');
    let unquoted =
        |value: &str| value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).map(str::to_owned);
    let (name, value) = match text.split_once("\": ") {
        Some((_, value)) => (name(text), value),
        None => (String::new(), text),
    };
    if matches!(value, "null" | "[]" | "{}" | "\"\"") {
        return None;
    }
    // The line that opens an object with more than plain values in it.
    let value = value.trim_end_matches(['{', '[']);
    let text = format!("{name}{}", unquoted(value).unwrap_or_else(|| value.to_owned()));
    let text = text.trim_end();
    (!text.is_empty()).then(|| format!("{}{text}", indent(line)))
}

/// `NAME@GENERATION` of the profile in the report.
pub fn profile(report: &str) -> Option<String> {
    let mut lines = report.lines().map(str::trim);
    lines.find(|line| *line == "\"profile\": {")?;
    let own: Vec<String> = lines.take_while(|line| !line.starts_with('}')).filter_map(plain).collect();
    let value = |name: &str| own.iter().find_map(|line| line.strip_prefix(name));
    Some(format!("{}@{}", value("name: ")?, value("generation: ")?))
}

fn wrapped(line: &str, columns: usize) -> Vec<String> {
    let characters: Vec<char> = line.chars().collect();
    if characters.is_empty() {
        return vec![String::new()];
    }
    characters.chunks(columns.max(20)).map(|row| row.iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{
  "format": 2,
  "outcome": {
    "state": "failed",
    "step": "find the store",
    "also": [],
    "seen": [
      "vda: \"x\"",
      "vdb"
    ],
    "top": null
  },
  "kernel": "6.1",
  "profile": {
    "name": "web",
    "generation": 12,
    "digest": "sha256:ab"
  },
  "layers": [],
  "steps": [
    {
      "stage": "early mounts",
      "object": "proc, at /proc",
      "start_us": 12
    },
    {
      "stage": "medium",
      "start_us": 15
    }
  ]
}
"#;

    #[test]
    fn every_innermost_thing_is_one_line() {
        let expected = r#"  format: 2
  outcome:
    state: failed
    step: find the store
    seen: vda: \"x\", vdb
  kernel: 6.1
  profile: name: web, generation: 12, digest: sha256:ab
  steps:
    stage: early mounts, object: proc, at /proc, start_us: 12
    stage: medium, start_us: 15"#;
        assert_eq!(readable(REPORT).join("\n"), expected);
        assert_eq!(profile(REPORT).as_deref(), Some("web@12"));
        assert_eq!(profile("{\n  \"profile\": null\n}"), None);
    }

    #[test]
    fn pages_hold_what_a_screen_holds() {
        let context =
            Context { report: REPORT.repeat(4), devices: vec!["d".repeat(100)], ..Context::default() };
        let size = ScreenSize { rows: 25, columns: 80 };
        let lines = lines(&context, size.columns);
        assert!(lines.iter().all(|line| line.chars().count() <= 80));
        let pages: Vec<_> = pages(&lines, size).collect();
        assert_eq!(pages[0].len(), 20);
        assert_eq!(pages.concat(), lines);
        assert_eq!(super::lines(&Context::default(), 80).len(), 1);
        for strange in ["", "{", "}", "]\n{\n}", "\"", "\": \n[", "{\n\"a\": [\n"] {
            let context = Context { report: strange.to_owned(), ..Context::default() };
            super::lines(&context, 80);
            profile(strange);
        }
    }
}
