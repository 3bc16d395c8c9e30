//! What a command says while it works: plain lines on standard error, so that results on standard output can be piped.

use std::fmt;
use std::io::Write;

/// Where progress goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Say also what was decided and why.
    pub verbose: bool,
}

impl Report {
    /// One line of progress. A closed standard error is no reason to stop a build.
    pub fn line(&self, text: fmt::Arguments) {
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    /// One line that only `--verbose` shows.
    pub fn detail(&self, text: fmt::Arguments) {
        if self.verbose {
            self.line(text);
        }
    }
}

/// A size for people: `716 B`, `41.5 KiB`, `1.2 MiB`.
pub fn human_size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_for_people() {
        for (bytes, text) in
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (42_496, "41.5 KiB"), (3 << 30, "3.0 GiB")]
        {
            assert_eq!(human_size(bytes), text);
        }
    }
}
