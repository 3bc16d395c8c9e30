//! The chart as SVG 1.1 (the recommendation of the W3C of 2011): one file, without scripts, fonts or links.
//!
//! Colours follow the reader's `prefers-color-scheme`; programs that do not know it draw the light ones. Details are in
//! `<title>` elements, which browsers show as tooltips.

mod paint;
mod text_width;

use std::fmt::Write;

use super::scale::{Scale, tick_label};
use super::stages::Stage;
use super::words;
use boot_report::BootReport;
use boot_report::reading::{Layer, Step};
use cli::numbers::count;

use crate::text::{clip, milliseconds};
use paint::{STYLE, colour, escape, verified_colour};
use text_width::width_of;

/// All lengths are pixels of an image of this width.
const WIDTH: f64 = 1000.0;
const MARGIN: f64 = 36.0;
/// Where the axis begins: to its left stand the names of the stages.
const AXIS: f64 = 262.0;
const AXIS_WIDTH: f64 = WIDTH - MARGIN - AXIS;
/// Height of a bar, with the gap below it.
const BAR: f64 = 15.0;
const LANE: f64 = 18.0;

/// Draws the boot.
pub fn draw(report: &BootReport) -> String {
    let mut page = Page { body: String::new(), y: MARGIN };
    page.heading(report);
    page.troubles(report);
    page.facts(report);
    if !report.steps.is_empty() {
        page.chart(report);
    }
    page.layers(&report.layers);
    let height = page.y + MARGIN - 12.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" \
         height=\"{height:.0}\" role=\"img\">\n<title>{}</title>\n<style>{STYLE}</style>\n\
         <rect class=\"page\" width=\"{WIDTH}\" height=\"{height:.0}\"/>\n{}</svg>\n",
        escape(&words::heading(report)),
        page.body
    )
}

/// The drawing so far, and where the next thing goes.
struct Page {
    body: String,
    y: f64,
}

impl Page {
    fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        let _ =
            writeln!(self.body, "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{}</text>", escape(text));
    }

    /// A bar with a tooltip.
    fn bar(&mut self, x: f64, y: f64, width: f64, class: &str, tip: &str) {
        let _ = writeln!(
            self.body,
            "<rect x=\"{x:.2}\" y=\"{y:.1}\" width=\"{width:.2}\" height=\"{BAR}\" rx=\"{:.1}\" class=\"bar {class}\">\
             <title>{}</title></rect>",
            (width / 2.0).min(3.0),
            escape(tip)
        );
    }

    fn heading(&mut self, report: &BootReport) {
        self.y += 12.0;
        self.text(MARGIN, self.y, "h1", &words::heading(report));
        self.y += 24.0;
        let class = if report.outcome.state == "failed" { "h2 ink-bad" } else { "h2" };
        self.text(MARGIN, self.y, class, &clip(&words::outcome(report), 120));
        self.y += 16.0;
    }

    fn troubles(&mut self, report: &BootReport) {
        let troubles = words::troubles(report);
        if troubles.is_empty() {
            return;
        }
        let mild = troubles.iter().all(|trouble| trouble.starts_with("warning"));
        let class = if mild { "alarm mild" } else { "alarm" };
        let height = troubles.len() as f64 * 18.0 + 12.0;
        let (x, y, width) = (MARGIN, self.y + 4.0, WIDTH - 2.0 * MARGIN);
        let _ = writeln!(
            self.body,
            "<rect x=\"{x}\" y=\"{y:.1}\" width=\"{width}\" height=\"{height}\" rx=\"6\" class=\"{class}\"/>"
        );
        self.y = y + 4.0;
        for trouble in troubles {
            self.y += 18.0;
            let calm = ["warning", "try"].iter().any(|word| trouble.starts_with(word));
            let class = if calm { "small" } else { "small ink-bad" };
            self.text(MARGIN + 14.0, self.y - 3.0, class, &clip(&trouble, 150));
        }
        self.y += 16.0;
    }

    fn facts(&mut self, report: &BootReport) {
        self.y += 8.0;
        for (name, text) in words::facts(report) {
            self.y += 18.0;
            self.text(MARGIN, self.y, "small faint", name);
            self.text(MARGIN + 80.0, self.y, "small", &clip(&text, 140));
        }
        self.y += 20.0;
    }

    fn chart(&mut self, report: &BootReport) {
        let (scale, stages) = (Scale::of(report), Stage::all(report));
        let lanes: Vec<Vec<Vec<&Step>>> = stages.iter().map(Stage::lanes).collect();
        let height: f64 = lanes.iter().map(|lanes| stage_height(lanes.len())).sum();
        self.y += 22.0;
        self.bands(&lanes);
        self.axis(&scale, height);
        for (stage, lanes) in stages.iter().zip(&lanes) {
            self.stage(stage, lanes, &scale, report);
        }
        self.y += 28.0;
    }

    /// Every second stage stands on a band.
    fn bands(&mut self, lanes: &[Vec<Vec<&Step>>]) {
        let mut y = self.y + 8.0;
        for (number, lanes) in lanes.iter().enumerate() {
            let (x, width, height) = (MARGIN - 8.0, WIDTH - 2.0 * MARGIN + 16.0, stage_height(lanes.len()));
            if number % 2 == 0 {
                let _ = writeln!(
                    self.body,
                    "<rect x=\"{x}\" y=\"{y:.1}\" width=\"{width}\" height=\"{height}\" class=\"band\"/>"
                );
            }
            y += height;
        }
    }

    fn axis(&mut self, scale: &Scale, height: f64) {
        for tick in scale.ticks(10) {
            let x = AXIS + scale.place(scale.begin.saturating_add(tick), AXIS_WIDTH);
            let (top, bottom) = (self.y + 8.0, self.y + 8.0 + height);
            let _ = writeln!(
                self.body,
                "<line x1=\"{x:.2}\" x2=\"{x:.2}\" y1=\"{top:.1}\" y2=\"{bottom:.1}\" class=\"grid\"/>"
            );
            self.text(x, self.y, "tick", &tick_label(tick));
        }
        self.text(MARGIN, self.y, "small faint", "milliseconds since init began");
        self.y += 8.0;
    }

    fn stage(&mut self, stage: &Stage, lanes: &[Vec<&Step>], scale: &Scale, report: &BootReport) {
        let base = self.y + 18.0;
        self.text(MARGIN, base, "stage", &clip(stage.name, 22));
        self.text(AXIS - 14.0, base, "time", &milliseconds(stage.length()));
        for (number, lane) in lanes.iter().enumerate() {
            self.lane(lane, self.y + 6.0 + number as f64 * LANE, scale, report);
        }
        let label = match stage.steps.as_slice() {
            [only] if only.object.is_empty() => only.step.clone(),
            [only] => only.object.clone(),
            steps => count(steps.len(), "step"),
        };
        self.label(&clip(&label, 70), stage, scale);
        self.y += stage_height(lanes.len());
    }

    /// Bars beside each other.
    fn lane(&mut self, lane: &[&Step], y: f64, scale: &Scale, report: &BootReport) {
        for step in lane {
            let (x, width) = extent(scale, step.start, step.end());
            let since = step.start.saturating_sub(scale.begin);
            let (length, since) = (milliseconds(step.length), milliseconds(since));
            let tip = format!("{}\n{}\n{length}, from {since}", step.step, step.object);
            let end = &report.outcome;
            let bad = end.state == "failed" && end.step == step.step && end.object == step.object;
            self.bar(x, y, width, if bad { "bad" } else { colour(&step.stage) }, &tip);
            if lane.len() > 1 && width_of(&step.object) + 10.0 < width {
                self.text(x + 5.0, y + 11.5, "inside", &step.object);
            }
        }
    }

    /// What a stage is about: in its bar, or behind it, or before it, where there is room.
    fn label(&mut self, label: &str, stage: &Stage, scale: &Scale) {
        let (x, width) = extent(scale, stage.start(), stage.end());
        let (wide, y) = (width_of(label) + 10.0, self.y + 17.5);
        if wide < width && stage.steps.len() == 1 {
            self.text(x + 5.0, y, "inside", label);
        } else if wide < AXIS + AXIS_WIDTH - x - width {
            self.text(x + width + 5.0, y, "faint", label);
        } else if wide < x - AXIS {
            self.text(x - 5.0, y, "faint before", label);
        }
    }

    /// All layers beside each other, as wide as they are large.
    fn layers(&mut self, layers: &[Layer]) {
        if layers.is_empty() {
            return;
        }
        self.y += 6.0;
        let title = format!("{}, bottom first, as wide as they are large", count(layers.len(), "layer"));
        self.text(MARGIN, self.y, "small faint", &title);
        self.legend(layers);
        self.y += 10.0;
        let area = WIDTH - 2.0 * MARGIN;
        let total: f64 = layers.iter().map(|layer| layer.size as f64).sum::<f64>().max(1.0);
        let least = (area / layers.len() as f64).min(3.0);
        let room = area - least * layers.len() as f64;
        let mut x = MARGIN;
        for layer in layers {
            let width = least + room * layer.size as f64 / total;
            let gap = if width > 2.0 { 1.0 } else { 0.0 };
            self.bar(x, self.y, width - gap, verified_colour(layer), &words::layer(layer));
            if width_of(&layer.name) + 10.0 < width {
                self.text(x + 5.0, self.y + 11.5, "inside", &layer.name);
            }
            x += width;
        }
        self.y += BAR + 8.0;
    }

    /// What the colours of the layers mean, from the right.
    fn legend(&mut self, layers: &[Layer]) {
        let mut ways: Vec<(String, &str)> = Vec::new();
        for layer in layers {
            let way = (words::verified(layer), verified_colour(layer));
            if !ways.contains(&way) && ways.len() < 6 {
                ways.push(way);
            }
        }
        let mut x = WIDTH - MARGIN;
        for (way, class) in ways.iter().rev() {
            // `small` has 12 pixels.
            x -= width_of(way) * 12.0 / 11.0 + 4.0;
            self.text(x, self.y, "small faint", way);
            x -= 15.0;
            let y = self.y - 9.0;
            let _ = writeln!(
                self.body,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"10\" height=\"10\" rx=\"2\" class=\"{class}\"/>"
            );
            x -= 12.0;
        }
    }
}

/// Where a bar begins, and its width: enough to be seen.
fn extent(scale: &Scale, start: u64, end: u64) -> (f64, f64) {
    let x = scale.place(start, AXIS_WIDTH).min(AXIS_WIDTH - 1.5);
    (AXIS + x, (scale.place(end, AXIS_WIDTH) - x).max(1.5))
}

/// Height of a stage with so many lanes.
fn stage_height(lanes: usize) -> f64 {
    lanes.max(1) as f64 * LANE + 9.0
}
