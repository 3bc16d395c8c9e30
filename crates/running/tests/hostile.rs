//! Reports that no init wrote: nothing panics, nothing hangs, and nothing commands a terminal.

use boot_report::BootReport;
use running::chart::{self, Style};
use running::report;
use serde_json::{Value, json};

/// Numbers that are the same in every run: xorshift64 (Marsaglia, 2003).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

fn draw_all(report: &BootReport) {
    for width in [0, 80, usize::MAX] {
        let drawn = chart::terminal(report, &Style { width, ascii: width == 0, colour: false });
        assert!(!drawn.contains(|c: char| c.is_control() && c != '\n'));
    }
    let svg = chart::svg(report);
    assert!(svg.ends_with("</svg>\n"));
    for no_number in ["=\"NaN", "=\"inf", "=\"-"] {
        assert!(!svg.contains(no_number), "{no_number} in {svg}");
    }
}

#[test]
fn bytes_that_are_changed_are_refused_or_drawn() {
    let text = include_bytes!("reports/web.json");
    let mut numbers = Numbers(4711);
    let mut drawn = 0;
    for _ in 0..1500 {
        let mut changed = text.to_vec();
        for _ in 0..=numbers.below(6) {
            let place = numbers.below(changed.len());
            changed[place] = b"0987{}[],:\"\\ntfal\x1b\xff-."[numbers.below(21)];
        }
        changed.truncate(changed.len() - [0, 0, 0, 700][numbers.below(4)]);
        if let Ok(report) = report::parse("x", &changed) {
            draw_all(&report);
            drawn += 1;
        }
    }
    assert!((50..1450).contains(&drawn), "{drawn} of 1500 were reports");
}

/// Every value of a report, replaced by every kind of value.
#[test]
fn values_of_other_types_count_as_absent() {
    let report: Value = serde_json::from_slice(include_bytes!("reports/web.json")).unwrap();
    let others = [
        json!(null),
        json!(true),
        json!(-1),
        json!(u64::MAX),
        json!(1e300),
        json!("\u{1b}[2J\n\u{202e}"),
        json!([]),
        json!([[]]),
        json!({}),
    ];
    let mut places = Vec::new();
    pointers(&report, String::new(), &mut places);
    assert!(places.len() > 60);
    for place in places {
        for other in &others {
            let mut changed = report.clone();
            *changed.pointer_mut(&place).unwrap() = other.clone();
            if let Ok(report) = report::parse("x", changed.to_string().as_bytes()) {
                draw_all(&report);
            }
        }
    }
}

/// JSON pointers (RFC 6901) to all values; of a list the first two.
fn pointers(value: &Value, path: String, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| pointers(value, format!("{path}/{key}"), found))
        }
        Value::Array(list) => {
            list.iter()
                .take(2)
                .enumerate()
                .for_each(|(n, value)| pointers(value, format!("{path}/{n}"), found));
        }
        _ => {}
    }
    found.push(path);
}

#[test]
fn a_report_of_far_too_many_steps_at_a_time_is_drawn_soon() {
    let step = json!({ "stage": "s", "step": "s", "object": "o", "start_us": 1, "length_us": 1000 });
    let steps = vec![step; 50_000];
    let text = json!({ "format": 2, "steps": steps, "layers": vec![json!({"name": "x"}); 5000] }).to_string();
    draw_all(&report::parse("x", text.as_bytes()).unwrap());
}

#[test]
fn what_is_no_report_is_refused_with_a_remedy() {
    for text in
        ["", "{", "[]", "7", "{}", "{\"format\":2}", "{\"format\":0,\"steps\":[]}", &"[".repeat(100_000)]
    {
        let error = report::parse("x.json", text.as_bytes()).unwrap_err();
        assert!(error.object() == "x.json" && error.has_own_remedy(), "{error}");
    }
    let newer = report::parse("x", b"{\"format\":9,\"steps\":[]}").unwrap();
    assert!(newer.caution().unwrap().contains("format 9"));
    assert!(chart::terminal(&newer, &Style { width: 80, ascii: true, colour: false }).contains("format 9"));
}
