//! Sizes for people, in whole units, as mount(8) takes them: `lamina.state=tmpfs,size=` can be given what a message says, and the figures of
//! one message can be subtracted. The sizes of commands (`cli::numbers::human_size`) are rounded to a tenth of the largest unit, and need the
//! formatting of floating-point numbers, which init does not link.

use std::fmt;

/// Bytes in the largest binary unit that leaves a whole number, or rounded down in MiB.
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes < 1 << 10 => write!(f, "{bytes} bytes"),
            bytes if bytes < 1 << 20 => write!(f, "{} KiB", bytes >> 10),
            bytes => write!(f, "{} MiB", bytes >> 20),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let shown = [511, 4096, 5 << 30].map(|bytes| Size(bytes).to_string());
        assert_eq!(shown, ["511 bytes", "4 KiB", "5120 MiB"]);
    }
}
