//! The kernel's last warnings, which often say what an error number does not.

use std::path::Path;
use std::time::Duration;

use running::kernel_log::{self, KernelLog, Record};

use crate::report::kernel_words::{is_warning, keep};

/// The last words of the kernel that fit on a screen.
const LINES: usize = 5;

/// The last warnings and errors of the kernel's log since then, those of before in front: `heard` are those that init heard itself, up to
/// the record `heard_to`, with the names of the layers that they are about.
pub fn warnings(since: Duration, heard: &[String], heard_to: u64) -> Vec<String> {
    let mut lines = heard.to_vec();
    if let Ok(mut log) = KernelLog::open(Path::new(kernel_log::PATH)) {
        let new = |record: &Record| record.time >= since && record.sequence >= heard_to && is_warning(record);
        log.each(|record| {
            if new(&record) {
                keep(&mut lines, LINES, &record.text);
            }
        });
    }
    lines.split_off(lines.len().saturating_sub(LINES))
}
