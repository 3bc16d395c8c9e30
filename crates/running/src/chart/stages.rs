//! Steps, grouped.

use boot_report::BootReport;
use boot_report::reading::Step;

/// More things at a time no machine does; a report that says so is drawn all the same.
const MOST_LANES: usize = 64;

/// Steps that follow each other and belong together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stage<'a> {
    pub(super) name: &'a str,
    pub(super) steps: Vec<&'a Step>,
}

impl<'a> Stage<'a> {
    /// The stages of a boot, in order.
    pub(super) fn all(report: &'a BootReport) -> Vec<Stage<'a>> {
        let mut stages: Vec<Stage> = Vec::new();
        for step in &report.steps {
            match stages.last_mut() {
                Some(stage) if stage.name == step.stage => stage.steps.push(step),
                _ => stages.push(Stage { name: &step.stage, steps: vec![step] }),
            }
        }
        stages
    }

    /// When its first step began.
    pub(super) fn start(&self) -> u64 {
        self.steps.iter().map(|step| step.start).min().unwrap_or_default()
    }

    /// When its last step ended.
    pub(super) fn end(&self) -> u64 {
        self.steps.iter().map(|step| step.end()).max().unwrap_or_default()
    }

    /// From the first begin to the last end.
    pub(super) fn length(&self) -> u64 {
        self.end().saturating_sub(self.start())
    }

    /// The steps in lanes: those of one lane follow each other, those of several were done at the same time.
    pub(super) fn lanes(&self) -> Vec<Vec<&'a Step>> {
        let mut steps = self.steps.clone();
        steps.sort_by_key(|step| step.start);
        let mut lanes: Vec<Vec<&Step>> = Vec::new();
        for step in steps {
            let free = |lane: &Vec<&Step>| lane.last().is_none_or(|last| last.end() <= step.start);
            match lanes.iter().position(free) {
                Some(lane) => lanes[lane].push(step),
                None if lanes.len() < MOST_LANES => lanes.push(vec![step]),
                None => lanes[MOST_LANES - 1].push(step),
            }
        }
        lanes
    }
}

/// The steps that took longest, longest first, without those that took less than a hundredth of the whole.
pub(super) fn slowest(report: &BootReport, whole: u64, most: usize) -> Vec<&Step> {
    let mut steps: Vec<&Step> = report.steps.iter().filter(|step| step.length >= whole / 100).collect();
    steps.sort_by_key(|step| std::cmp::Reverse(step.length));
    steps.truncate(most);
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(steps: &[(&str, u64, u64)]) -> BootReport {
        let step = |&(stage, start, length): &(&str, u64, u64)| Step {
            stage: stage.to_owned(),
            start,
            length,
            ..Step::default()
        };
        BootReport { steps: steps.iter().map(step).collect(), ..BootReport::default() }
    }

    #[test]
    fn neighbours_of_one_name_are_a_stage() {
        let report = report(&[("a", 0, 1), ("b", 1, 4), ("b", 2, 9), ("a", 12, 1)]);
        let stages = Stage::all(&report);
        let shape: Vec<_> =
            stages.iter().map(|stage| (stage.name, stage.steps.len(), stage.length())).collect();
        assert_eq!(shape, [("a", 1, 1), ("b", 2, 10), ("a", 1, 1)]);
    }

    #[test]
    fn what_was_done_at_the_same_time_stands_in_lanes() {
        let report = report(&[("a", 0, 4), ("a", 1, 2), ("a", 4, 1), ("a", 3, 9)]);
        let lanes: Vec<Vec<u64>> = Stage::all(&report)[0]
            .lanes()
            .iter()
            .map(|lane| lane.iter().map(|step| step.start).collect())
            .collect();
        assert_eq!(lanes, [vec![0, 4], vec![1, 3]]);
    }

    #[test]
    fn the_slowest_come_first() {
        let report = report(&[("a", 0, 5), ("b", 5, 1000), ("c", 5, 300), ("d", 9, 2)]);
        let names: Vec<&str> = slowest(&report, 1000, 2).iter().map(|step| step.stage.as_str()).collect();
        assert_eq!(names, ["b", "c"]);
        assert_eq!(slowest(&report, 1000, 9).len(), 2);
    }
}
