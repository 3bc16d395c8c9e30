//! The real init of a soak test's system: it says that the boot has arrived, with what, and switches off.

use std::fs;

use boot_report::paths::REPORT;

use crate::machine::{say, switch_off};

/// PID 1 of the booted system.
pub fn arrive() -> Result<(), String> {
    let report = fs::read_to_string(REPORT).map_err(|error| format!("{REPORT}: {error}"))?;
    let generation = value(&report, "\"profile\"", "\"generation\"").unwrap_or("unknown");
    let top = value(&report, "\"top\"", "\"action\"").unwrap_or("none");
    let fell_back = value(&report, "\"top\"", "\"fell_back\"").is_some_and(|why| why != "null");
    let top = if fell_back { "fell back" } else { top.trim_matches('"') };
    let attempt = value(&report, "\"ledger\"", "\"attempt\"").unwrap_or("unknown");
    let verified = value(&report, "\"layers\"", "\"verified\"").unwrap_or("unknown").trim_matches('"');
    say(&format!("checked by {verified}, attempt {attempt}"));
    say(&format!("arrived generation {generation} top {top}"));
    switch_off()
}

/// The value of `key` behind `object` in a report: enough for a line on the console, without a parser.
fn value<'a>(report: &'a str, object: &str, key: &str) -> Option<&'a str> {
    let rest = report.split_once(object)?.1.split_once(key)?.1;
    let rest = rest.trim_start_matches([':', ' ', '\n']);
    Some(rest[..rest.find([',', '}', '\n'])?].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_with_and_without_blanks() {
        let report = "{\"profile\": {\"name\": \"x\",\n \"generation\": 3}, \"top\":{\"action\":\"kept\"}}";
        assert_eq!(value(report, "\"profile\"", "\"generation\""), Some("3"));
        assert_eq!(value(report, "\"top\"", "\"action\""), Some("\"kept\""));
        assert_eq!(value(report, "\"none\"", "\"action\""), None);
    }
}
