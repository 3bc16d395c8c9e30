//! The axis of time.

use boot_report::BootReport;

/// A span of CLOCK_BOOTTIME, in microseconds, that is drawn over a width.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    pub(super) begin: u64,
    pub(super) end: u64,
}

impl Scale {
    /// From init's begin to its end, and never empty.
    pub(super) fn of(report: &BootReport) -> Self {
        let known = [report.began].into_iter().filter(|time| *time > 0);
        let begin = known.chain(report.steps.iter().map(|step| step.start)).min().unwrap_or_default();
        let end = report.steps.iter().map(|step| step.end()).chain([report.ended]).max().unwrap_or_default();
        Scale { begin, end: end.max(begin.saturating_add(1)) }
    }

    /// Its length in microseconds, at least 1.
    pub(super) fn length(&self) -> u64 {
        self.end.saturating_sub(self.begin).max(1)
    }

    /// Where a moment is on an axis of this width.
    pub(super) fn place(&self, time: u64, width: f64) -> f64 {
        let since = time.saturating_sub(self.begin) as f64;
        (since / self.length() as f64).min(1.0) * width
    }

    /// Round moments for at most `most` marks, in microseconds since the begin, the begin included.
    pub(super) fn ticks(&self, most: u64) -> Vec<u64> {
        let step = self.tick(most);
        (0..=self.length() / step).map(|number| number * step).collect()
    }

    /// The distance of two marks: 1, 2 or 5 times a power of ten.
    fn tick(&self, most: u64) -> u64 {
        let mut power: u64 = 1;
        loop {
            for step in [power, power.saturating_mul(2), power.saturating_mul(5)] {
                if self.length() / step <= most {
                    return step;
                }
            }
            power = power.saturating_mul(10);
        }
    }
}

/// A mark's moment in milliseconds, without zeros that say nothing.
pub(super) fn tick_label(micros: u64) -> String {
    let text = format!("{:.3}", micros as f64 / 1000.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use boot_report::reading::Step;

    #[test]
    fn marks_are_round_and_few() {
        let scale = |end| Scale { begin: 100, end: 100 + end };
        assert_eq!(scale(12_345).ticks(7), [0, 2000, 4000, 6000, 8000, 10_000, 12_000]);
        assert_eq!(scale(1).ticks(7), [0, 1]);
        assert_eq!(scale(u64::MAX - 100).ticks(5).len(), 4);
        assert_eq!([0, 500, 12_000, 2_000_000].map(tick_label), ["0", "0.5", "12", "2000"]);
    }

    #[test]
    fn it_spans_all_steps_and_survives_nonsense() {
        let step = |start, length| Step { start, length, ..Step::default() };
        let report = BootReport { steps: vec![step(50, 10), step(20, 5)], ..BootReport::default() };
        assert_eq!(Scale::of(&report), Scale { begin: 20, end: 60 });
        let report = BootReport { began: 10, ended: 100, ..report };
        assert_eq!(Scale::of(&report), Scale { begin: 10, end: 100 });
        let scale = Scale::of(&BootReport { steps: vec![step(u64::MAX, u64::MAX)], ..BootReport::default() });
        assert_eq!(scale.place(0, 10.0), 0.0);
        assert_eq!(scale.length(), 1);
        assert_eq!(Scale::of(&BootReport::default()).length(), 1);
    }
}
