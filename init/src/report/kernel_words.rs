//! What the kernel says in its log while a root is built. A layer's devices have other numbers in the next attempt, so that it is
//! heard, and explained, before they are given up.

use std::path::Path;
use std::time::Duration;

use running::damage::Damages;
use running::kernel_log::{self, KernelLog, Record};
use running::layer_devices::LayerDevices;

/// The last ones are kept for the screen.
const MOST: usize = 8;

/// Listens to the kernel's log. To open it takes 0.1 ms where it is full, because the kernel looks for its first record: a boot that
/// does not need its words leaves it alone.
#[derive(Debug, Default)]
pub struct KernelWords {
    log: Option<KernelLog>,
    /// What was said before is not of this boot of ours; as [`Record::time`].
    since: Duration,
    /// The last [`MOST`] of this boot, with the layers that they are about.
    warnings: Vec<String>,
    /// Those since the last attempt.
    of_attempt: Vec<String>,
    /// The number of the next record.
    heard_to: u64,
    /// The first record in which the devices are those of this attempt.
    attempt_from: u64,
    damages: Damages,
}

impl KernelWords {
    /// Begins with what is said after `since`, a time of the kernel's clock. Without `/dev/kmsg` nothing is heard.
    pub fn begin(&mut self, since: Duration) {
        self.since = since;
    }

    /// Begins with what comes from here on: who will listen in any case need not read what the log has now.
    pub fn attend(&mut self) {
        if self.log.is_none() {
            self.log = KernelLog::open(Path::new(kernel_log::PATH)).and_then(KernelLog::skip).ok();
        }
    }

    /// Hears what was said since the last time, about layers with these devices.
    pub fn listen(&mut self, devices: &LayerDevices) {
        if self.log.is_none() {
            self.log = KernelLog::open(Path::new(kernel_log::PATH)).ok();
        }
        let Self { log: Some(log), since, warnings, of_attempt, heard_to, damages, .. } = self else {
            return;
        };
        log.each(|record| {
            if record.time < *since {
                return;
            }
            *heard_to = record.sequence.saturating_add(1);
            damages.hear(&record, devices);
            if is_warning(&record) {
                let words = devices.explain(&record.text);
                keep(of_attempt, MOST, &words);
                keep(warnings, MOST, &words);
            }
        });
    }

    /// The devices are given up.
    pub fn next_attempt(&mut self) {
        self.attempt_from = self.heard_to;
        self.damages = Damages::default();
        self.of_attempt.clear();
    }

    /// The last warnings, with the layers that they are about.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Those of this attempt.
    pub fn of_attempt(&self) -> &[String] {
        &self.of_attempt
    }

    /// The number of the first record that was not heard.
    pub fn heard_to(&self) -> u64 {
        self.heard_to
    }

    /// The number of the first record of this attempt.
    pub fn attempt_from(&self) -> u64 {
        self.attempt_from
    }

    /// The damage of this attempt's layers.
    pub fn damages(&self) -> &Damages {
        &self.damages
    }
}

/// Warnings and worse, but not our own.
pub fn is_warning(record: &Record) -> bool {
    record.level <= 4 && !record.text.starts_with("lamina:")
}

/// Adds a line, and keeps the last ones.
pub fn keep(lines: &mut Vec<String>, most: usize, line: &str) {
    if lines.len() >= most && !lines.is_empty() {
        lines.remove(0);
    }
    lines.push(line.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept() {
        let mut lines = Vec::new();
        (0..20).for_each(|number| keep(&mut lines, MOST, &number.to_string()));
        assert_eq!((lines.len(), lines[0].as_str(), lines[MOST - 1].as_str()), (MOST, "12", "19"));
    }

    #[test]
    fn what_was_said_before_is_not_heard() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kmsg");
        std::fs::write(&path, "4,7,50,-;of the kernel's own start\n4,8,150,-;erofs: bad\n").unwrap();
        let mut words = KernelWords { log: KernelLog::open(&path).ok(), ..KernelWords::default() };
        words.begin(Duration::from_micros(100));
        words.listen(&LayerDevices::default());
        assert_eq!((words.of_attempt(), words.heard_to()), (&["erofs: bad".to_owned()][..], 9));
    }

    #[test]
    fn warnings_and_worse_are_kept_but_not_our_own() {
        let warning = |record| is_warning(&Record::parse(record).unwrap());
        assert!(warning("4,12,99,-;squashfs: bad\n SUBSYSTEM=x\n"));
        assert!(!warning("30,12,99,-;information"));
        assert!(!warning("3,12,99,-;lamina: boot stopped"));
    }
}
