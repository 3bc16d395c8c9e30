//! What the screen and its menu know beside the error.

use std::time::Duration;

use crate::store::ProfileSummary;

/// The rest of what is known of the boot.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The value of `panic=`: seconds after which to reboot; negative means at once, 0 never.
    pub panic: Option<i64>,
    /// When init began (CLOCK_BOOTTIME): the kernel's warnings of before have nothing to do with it.
    pub since: Duration,
    /// The report, as indented JSON.
    pub report: String,
    /// The other profiles that may be started.
    pub profiles: Vec<ProfileSummary>,
    /// The block devices that were seen, one a line.
    pub devices: Vec<String>,
    /// What was tried before, one line a candidate that failed.
    pub attempts: Vec<String>,
    /// The last warnings of the kernel that init heard itself, with the layers that they are about.
    pub kernel: Vec<String>,
    /// The number of the first record of the kernel's log that init did not hear.
    pub heard_to: u64,
}

impl Context {
    /// All that is known when init itself fails.
    pub fn bare(panic: Option<i64>, since: Duration) -> Self {
        Self { panic, since, ..Self::default() }
    }
}
