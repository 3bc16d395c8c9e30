//! Times since the machine was switched on.

use std::time::Duration;

use nix::time::ClockId;

/// Time since the machine was switched on: CLOCK_BOOTTIME of clock_gettime(2), which also dmesg(1) shows.
pub fn now() -> Duration {
    ClockId::CLOCK_BOOTTIME.now().map_or(Duration::ZERO, Duration::from)
}

/// Whole microseconds, as in the report.
pub fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// `12.3 ms`, right-aligned by the caller.
pub fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
