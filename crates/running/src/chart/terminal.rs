//! The chart of a terminal.

use std::fmt::Write;

use boot_report::BootReport;
use boot_report::reading::{Layer, Module};
use cli::numbers::human_size;

use super::scale::{Scale, tick_label};
use super::stages::{Stage, slowest};
use super::words;
use crate::text::{clean, clip, milliseconds};

/// More layers than these are counted, not listed.
const MOST_LAYERS: usize = 40;
/// More modules than these are counted, not listed.
const MOST_MODULES: usize = 60;
/// So many of the slowest steps are named.
const MOST_STEPS: usize = 6;
const RED: &str = "31";
const YELLOW: &str = "33";
const BOLD: &str = "1";

/// What the terminal can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Columns.
    pub width: usize,
    /// Draw with ASCII alone.
    pub ascii: bool,
    /// Use colours.
    pub colour: bool,
}

/// Draws the boot. Nothing in the result commands the terminal but the colours, when they are asked for.
pub fn draw(report: &BootReport, style: &Style) -> String {
    let style = &Style { width: style.width.clamp(60, 160), ..*style };
    let mut out = style.paint(BOLD, &clean(&words::heading(report))) + "\n";
    let failed = report.outcome.state == "failed";
    let outcome = wrap(&clean(&words::outcome(report)), 0, style.width);
    out += &style.painted_if(failed, RED, &outcome);
    out += "\n";
    troubles(&mut out, report, style);
    out += "\n";
    for (name, text) in words::facts(report) {
        let _ = writeln!(out, "  {name:<9} {}", wrap(&clean(&text), 12, style.width));
    }
    if !report.steps.is_empty() {
        slow_steps(&mut out, report, style);
        stages(&mut out, report, style);
    }
    layers(&mut out, &report.layers, style);
    modules(&mut out, report, style);
    out
}

impl Style {
    fn paint(&self, code: &str, text: &str) -> String {
        self.painted_if(true, code, text)
    }

    fn painted_if(&self, wanted: bool, code: &str, text: &str) -> String {
        if wanted && self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// The heading of a section.
    fn section(&self, out: &mut String, title: &str) {
        let _ = writeln!(out, "\n{}", self.paint(BOLD, title));
    }
}

fn troubles(out: &mut String, report: &BootReport, style: &Style) {
    for trouble in words::troubles(report) {
        let code = if trouble.starts_with("warning") || trouble.starts_with("try") { YELLOW } else { RED };
        let _ = writeln!(out, "  {}", style.paint(code, &wrap(&clean(&trouble), 4, style.width)));
    }
}

fn slow_steps(out: &mut String, report: &BootReport, style: &Style) {
    let whole = Scale::of(report).length();
    style.section(out, "Slowest steps");
    for step in slowest(report, whole, MOST_STEPS) {
        let share = step.length as f64 * 100.0 / whole as f64;
        let what = clean(&format!("{}  {}", step.step, step.object));
        let line = format!("  {:>12} {share:>4.0} %  {what}", milliseconds(step.length));
        let _ = writeln!(out, "{}", clip(line.trim_end(), style.width));
    }
}

fn stages(out: &mut String, report: &BootReport, style: &Style) {
    let (scale, stages) = (Scale::of(report), Stage::all(report));
    let longest = stages.iter().map(|stage| stage.name.chars().count()).max().unwrap_or_default();
    let name_width = longest.clamp(6, 22);
    let times: Vec<String> = stages.iter().map(|stage| milliseconds(stage.length())).collect();
    let time_width = times.iter().map(String::len).max().unwrap_or_default();
    let left = 2 + name_width + 2 + time_width + 2;
    let area = style.width.saturating_sub(left).max(10);
    style.section(out, "Stages");
    let _ = writeln!(out, "{:left$}{}", "", axis(&scale, area));
    for (stage, time) in stages.iter().zip(times) {
        let name = clip(&clean(stage.name), name_width);
        let bar = bar(&scale, stage.start(), stage.end(), area, style.ascii);
        let _ = writeln!(out, "  {name:<name_width$}  {time:>time_width$}  {}", bar.trim_end());
    }
}

/// `0     2     4 ms`: each number stands where its moment is.
fn axis(scale: &Scale, area: usize) -> String {
    let mut line = String::new();
    for tick in scale.ticks(area as u64 / 9) {
        let place = scale.place(scale.begin.saturating_add(tick), area as f64) as usize;
        let label = tick_label(tick);
        if place >= line.len() && place + label.len() + 3 <= area {
            line = format!("{line:<place$}{label} ");
        }
    }
    line + "ms"
}

/// A bar in eighths of a column (Block Elements, U+2588 to U+258F), or in whole ones.
fn bar(scale: &Scale, start: u64, end: u64, area: usize, ascii: bool) -> String {
    let from = (scale.place(start, area as f64) as usize).min(area - 1);
    let length = scale.place(end, area as f64) - scale.place(start, area as f64);
    let eighths = ((length * 8.0).round() as usize).clamp(1, (area - from) * 8);
    let mut bar = " ".repeat(from);
    if ascii {
        bar += &"#".repeat(eighths.div_ceil(8));
    } else {
        bar += &"█".repeat(eighths / 8);
        bar += ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    }
    bar
}

fn layers(out: &mut String, layers: &[Layer], style: &Style) {
    if layers.is_empty() {
        return;
    }
    style.section(out, "Layers, top first");
    let shown = || layers.iter().rev().take(MOST_LAYERS);
    let title = |layer: &Layer| clean(&format!("{} {}", layer.name, layer.version));
    let width =
        shown().map(|layer| title(layer).chars().count()).max().unwrap_or_default().min(style.width - 48);
    for layer in shown() {
        let (name, size) = (clip(&title(layer), width), human_size(layer.size));
        let line = format!("  {name:<width$}  {size:>10}  {:<8}  ", clean(&layer.file_system));
        let way = words::verified(layer);
        let painted = style.painted_if(layer.verified == "none", YELLOW, &clean(&way));
        let _ = writeln!(out, "{line}{painted}");
    }
    if layers.len() > MOST_LAYERS {
        let _ =
            writeln!(out, "  and {} more: `lamina report --json` has them all", layers.len() - MOST_LAYERS);
    }
}

fn modules(out: &mut String, report: &BootReport, style: &Style) {
    if report.modules.is_empty() {
        return;
    }
    style.section(out, "Kernel modules");
    let shown = || report.modules.iter().take(MOST_MODULES);
    let name = |module: &Module| clean(&module.name);
    let width = shown().map(|module| name(module).chars().count()).max().unwrap_or_default().min(24);
    for module in shown() {
        let name = clip(&name(module), width);
        let line = format!("  {:>12}  {name:<width$}  {}", milliseconds(module.length), clean(&module.why));
        let _ = writeln!(out, "{}", clip(line.trim_end(), style.width));
    }
    let more = report.modules.len().saturating_sub(MOST_MODULES);
    if more > 0 {
        let _ = writeln!(out, "  and {more} more: `lamina report --json` has them all");
    }
    if report.later_modules > 0 {
        let _ = writeln!(
            out,
            "  and {} that nothing had asked for, while the system started",
            report.later_modules
        );
    }
}

/// Breaks a text between words; the lines after the first are indented.
fn wrap(text: &str, indent: usize, width: usize) -> String {
    let (mut wrapped, mut column) = (String::new(), indent);
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > indent && column + 1 + length > width {
            wrapped += &format!("\n{:indent$}", "");
            column = indent;
        } else if column > indent {
            wrapped.push(' ');
            column += 1;
        }
        wrapped += word;
        column += length;
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_where_its_time_is() {
        let scale = Scale { begin: 100, end: 900 };
        let plain = |start, end| bar(&scale, start, end, 8, true);
        assert_eq!(plain(100, 900), "########");
        assert_eq!(plain(300, 500), "  ##");
        assert_eq!(plain(300, 350), "  #");
        assert_eq!(plain(900, 5000), "       #");
        assert_eq!(bar(&scale, 300, 450, 8, false), "  █▌");
        assert_eq!(bar(&scale, 300, 300, 8, false), "  ▏");
    }

    #[test]
    fn numbers_of_the_axis_stand_at_their_moments() {
        let scale = Scale { begin: 0, end: 10_000 };
        assert_eq!(axis(&scale, 50), "0         2         4         6         8 ms");
        assert_eq!(axis(&Scale { begin: 0, end: 1 }, 10), "0 ms");
    }

    #[test]
    fn long_texts_go_on_below() {
        assert_eq!(wrap("one two three", 4, 11), "one two\n    three");
        assert_eq!(wrap("unbreakable", 4, 8), "unbreakable");
    }
}
