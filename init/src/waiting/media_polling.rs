//! Lets the kernel look every second whether a medium was put into a drive, for as long as init waits for one.
//!
//! Disc drives and card readers do not say by themselves that somebody has put something in: the kernel has to ask them, and does
//! it only when it was told how often (`Documentation/ABI/stable/sysfs-block`, `events_poll_msecs`). In a running system udev tells it.
//! The kernel's default interval is used, not that of each disk, so that drives that come later are asked too.

use std::fs;
use std::path::{Path, PathBuf};

/// The interval in milliseconds for all disks that have none of their own; 0: never
/// (`block.events_dfl_poll_msecs` of `Documentation/admin-guide/kernel-parameters.txt`).
const INTERVAL: &str = "/sys/module/block/parameters/events_dfl_poll_msecs";

/// One second: a person is waiting.
const OFTEN: &str = "1000";

/// The kernel looks until this is dropped.
#[derive(Debug)]
pub struct MediaPolling {
    /// What has to be undone.
    changed: Option<PathBuf>,
}

impl MediaPolling {
    /// Begins, and lets the kernel look at once.
    pub fn begin() -> Self {
        Self::begin_at(Path::new(INTERVAL))
    }

    fn begin_at(interval: &Path) -> Self {
        // Whoever chose an interval on the kernel command line keeps it.
        let is_off = fs::read_to_string(interval).is_ok_and(|text| text.trim() == "0");
        // Without it the drives are found empty, as they were.
        let changed = is_off && fs::write(interval, OFTEN).is_ok();
        Self { changed: changed.then(|| interval.to_owned()) }
    }
}

impl Drop for MediaPolling {
    /// The real init decides for its system.
    fn drop(&mut self) {
        if let Some(interval) = &self.changed {
            let _ = fs::write(interval, "0");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_off_is_on_while_it_is_waited_and_what_somebody_chose_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("events_dfl_poll_msecs");
        for (before, meanwhile) in [("0\n", OFTEN), ("5000\n", "5000\n")] {
            fs::write(&file, before).unwrap();
            let polling = MediaPolling::begin_at(&file);
            assert_eq!(fs::read_to_string(&file).unwrap(), meanwhile);
            drop(polling);
            assert_eq!(fs::read_to_string(&file).unwrap().trim(), before.trim());
        }
        drop(MediaPolling::begin_at(&folder.path().join("a kernel without it")));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
