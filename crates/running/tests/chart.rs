//! The charts of known reports: golden in a terminal, and judged by rsvg-convert as SVG.
//!
//! `LAMINA_BLESS=1 cargo test -p running` writes the golden files anew; read the difference before committing it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use boot_report::BootReport;
use running::chart::{self, Style};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports").join(name)
}

fn report(name: &str) -> BootReport {
    running::report::in_file(&file(&format!("{name}.json"))).unwrap()
}

fn check(golden: &str, found: &str) {
    let golden = file(golden);
    if std::env::var_os("LAMINA_BLESS").is_some() {
        fs::write(&golden, found).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap_or_default();
    assert!(found == expected, "{}: found\n{found}", golden.display());
}

#[test]
fn a_terminal_shows_what_it_can() {
    let plain = Style { width: 80, ascii: false, colour: false };
    for name in ["web", "failed", "format-1"] {
        check(&format!("{name}.txt"), &chart::terminal(&report(name), &plain));
    }
    let ascii = chart::terminal(&report("web"), &Style { ascii: true, ..plain });
    assert!(ascii.is_ascii());
    check("web-ascii.txt", &ascii);
    check("web-narrow.txt", &chart::terminal(&report("web"), &Style { width: 60, ..plain }));
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for (name, width) in [("web", 80), ("web", 120), ("failed", 60), ("format-1", 66)] {
        let drawn = chart::terminal(&report(name), &Style { width, ascii: false, colour: false });
        let digest = |line: &&str| !line.contains("sha256:");
        let widest = drawn.lines().filter(digest).map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= width, "{name}: {widest} columns of {width}\n{drawn}");
    }
}

#[test]
fn colours_are_the_only_commands_to_a_terminal() {
    let style = Style { width: 80, ascii: false, colour: true };
    let drawn = chart::terminal(&report("failed"), &style);
    assert!(drawn.contains("\x1b[31mstopped after"), "what failed is red:\n{drawn}");
    let rest = ["\x1b[31m", "\x1b[33m", "\x1b[1m", "\x1b[0m", "\n"]
        .iter()
        .fold(drawn, |text, it| text.replace(it, ""));
    assert!(!rest.contains(char::is_control));
}

#[test]
fn an_svg_is_drawn_by_another_program() {
    for name in ["web", "failed", "format-1"] {
        let (report, svg) = (report(name), chart::svg(&report(name)));
        let bars = svg.matches("class=\"bar ").count();
        assert_eq!(bars, report.steps.len() + report.layers.len(), "a bar a step and a bar a layer");
        assert_eq!(svg.matches("<title>").count(), bars + 1, "each with a tooltip");
        assert!(svg.contains("prefers-color-scheme:dark"));
        for outside in ["href", "url(", "<script", "@import", "<image"] {
            assert!(!svg.contains(outside), "{outside} in {name}: it is not self-contained");
        }
        let picture = rasterised(&svg);
        assert_eq!(&picture[..8], b"\x89PNG\r\n\x1a\n");
        assert!(picture.len() > 10_000, "{name}: an empty picture?");
    }
}

/// A text in a bar is white, and so is the page: what sticks out cannot be read.
#[test]
fn a_wide_label_is_not_put_into_a_bar_that_cuts_it() {
    let mut report = report("web");
    let largest = (0..report.layers.len()).max_by_key(|index| report.layers[*index].size).expect("a layer");
    let bar_of = |svg: &str, name: &str| -> f64 {
        let at = svg.find(&format!("<title>{name}")).expect("a bar of the layer");
        let width = svg[..at].rsplit("width=\"").next().and_then(|rest| rest.split('"').next());
        width.and_then(|width| width.parse().ok()).expect("its width")
    };
    // As many `m` as a bar of this width could hold of average characters of 6.1 pixels; each has 10.7.
    let width = bar_of(&chart::svg(&report), &report.layers[largest].name);
    let count = ((width - 12.0) / 6.1) as usize;
    report.layers[largest].name = "m".repeat(count);
    let svg = chart::svg(&report);
    assert!(count > 3 && bar_of(&svg, &report.layers[largest].name) > 6.1 * count as f64, "{width}");
    assert!(!svg.contains(&format!("class=\"inside\">{}</text>", report.layers[largest].name)), "{svg}");
    // A narrow one of that length fits.
    report.layers[largest].name = "i".repeat(count);
    assert!(
        chart::svg(&report).contains(&format!("class=\"inside\">{}</text>", report.layers[largest].name))
    );
}

#[test]
fn signs_of_xml_in_a_report_stay_text() {
    let mut report = report("web");
    report.steps[3].object = "<script>\"&'\u{1}".to_owned();
    report.layers[1].name = "]]><b>".to_owned();
    report.warnings = vec!["<!-- ".to_owned()];
    rasterised(&chart::svg(&report));
}

/// The PNG that rsvg-convert makes of it.
fn rasterised(svg: &str) -> Vec<u8> {
    let mut judge = Command::new("rsvg-convert")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("rsvg-convert, of the package librsvg2-bin: run `make deps`");
    judge.stdin.take().unwrap().write_all(svg.as_bytes()).unwrap();
    let done = judge.wait_with_output().unwrap();
    assert!(done.status.success(), "{}\n{svg}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}
